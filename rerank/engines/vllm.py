"""vLLM, fed one request at a time; the only module that knows vllm.

Its law: prompts go in as token ids. A label is scored as its own token over the full vocabulary,
never looked up among the likeliest: `logprob_token_ids`, and no request asks for plain
`logprobs`, which one of vLLM's two runners would mix up with it in one step. The head computes
in float32, because in bfloat16 twenty labels nearly always hold a tie.

Whatever names vllm stands below the line, the same in 0.26 (CUDA) and 0.32 (CPU).
"""

import json
import os
from collections.abc import Collection, Hashable, Iterable
from contextlib import suppress
from dataclasses import fields
from functools import lru_cache, partial
from itertools import count
from threading import Thread
from typing import Any, TypeAlias

from rerank.engines import NOBODY, beside_numba, folders
from rerank.engines.hub import refuse_unreachable
from rerank.engines.outputs import Reader, decoded, replied, scored, summed, written
from rerank.engines.prints import stdout_on_stderr
from rerank.engines.tokenisation.tokens import Tokens
from rerank.errors import EngineError, UsageError, extra
from rerank.wants import Labels, Likelihood, Reply, Request, Text, Want

Task: TypeAlias = tuple[list[int], Any, Reader]
"""A request as vLLM takes it, token ids and sampling parameters, and what reads its output."""

TOGETHER = 64  # requests that are tokenised in one call
MOST_LABELS = 128  # vllm.sampling_params.MAX_LOGPROB_TOKEN_IDS
BEFORE = 8  # tokens of a prompt that are decoded with what is written after it
SCORING = {"max_tokens": 1, "temperature": 0, "detokenize": False, "flat_logprobs": True}


class VLLM:
    """A model in vLLM's continuous batching, which fills every step from whatever is submitted.

    `options` go to vLLM's `EngineArgs`; a model with a quantized head needs
    `hf_overrides={"head_dtype": "model"}`. `in_process` (the default on a CPU) loads in seconds
    instead of a minute, but seeds Python's, NumPy's and torch's global random generators; out of
    it (the default on a GPU) vLLM computes while this process words prompts, and the main module
    needs its `if __name__ == "__main__"`. The first engine of a Python process decides for all.
    """

    wants: tuple[type[Want], ...] = (Text, Labels, Likelihood)

    def __init__(
        self,
        model: str,
        *,
        dtype: str = "auto",
        max_model_len: int | None = None,
        seed: int = 0,
        chat_template_options: dict[str, Any] | None = None,
        in_process: bool | None = None,
        **options: Any,
    ) -> None:
        asked = {"dtype": dtype, "max_model_len": max_model_len, "seed": seed, **options}
        self._engine = _start({"model": folders.place(model), **asked}, in_process)
        config = self._engine.vllm_config
        self._tokens = Tokens(self._engine.get_tokenizer(), chat_template_options)
        self._limit: int = config.model_config.max_model_len
        self._seeds = not (_on_a_cpu() and config.scheduler_config.enable_chunked_prefill)
        self.special_tokens, self.cut = self._tokens.special, self._tokens.cut
        self.expect = self._tokens.expect
        self.name = _name(model, config.model_config, chat_template_options, asked)
        self._numbers = count()
        self._out: dict[str, tuple[Hashable, Reader]] = {}
        self._asked: dict[Hashable, Request] = {}
        self._ready, self._woken = list[tuple[Hashable, Reply]](), False

    def check(self, request: Request) -> None:
        """Raise `EngineError` where this model cannot answer a request of this form exactly."""
        self._task(request)

    def submit(self, ticket: Hashable, request: Request) -> None:
        """Queue one request; a `poll` says why, where it cannot be sent.

        Many go out at a time, tokenised side by side; vLLM queues what exceeds its `max_num_seqs`.
        """
        self._asked[ticket] = request
        if len(self._asked) >= TOGETHER:
            self._send_all()

    def _send_all(self) -> None:
        asked, self._asked = self._asked, {}
        with suppress(Exception):  # what cannot be tokenised says so below, for itself
            self._tokens.learn(asked.values())
        for ticket, request in asked.items():
            self._send(ticket, request)

    def _send(self, ticket: Hashable, request: Request) -> None:
        try:
            ids, params, read = self._task(request)
            if (over := len(ids) + params.max_tokens - self._limit) > 0:
                self._ready.append((ticket, Reply(overflow=over)))
                return
            number = str(next(self._numbers))
            self._engine.add_request(number, {"type": "token", "prompt_token_ids": ids}, params)
        except Exception as refusal:
            self._ready.append((ticket, Reply(error=_line(refusal))))
        else:
            self._out[number] = ticket, read

    def poll(self) -> Iterable[tuple[Hashable, Reply]]:
        """Step until something is finished; `EngineError` where vLLM died."""
        self._send_all()
        ready, self._ready = self._ready, []
        while self._out and not ready and not self._woken:
            ready = self._step()
        woken, self._woken = self._woken, False
        return ready or [(NOBODY, Reply())] * woken

    def wake(self) -> None:
        self._woken = True

    def cancel(self, tickets: Collection[Hashable]) -> None:
        for ticket in tickets:
            self._asked.pop(ticket, None)
        gone = [number for number, (ticket, _) in self._out.items() if ticket in tickets]
        self._engine.abort_request(gone)
        self._out = {n: asked for n, asked in self._out.items() if n not in gone}

    def close(self) -> None:
        """Stop vLLM, whatever it is at, and free its memory."""
        self._asked, self._out, self._ready = {}, {}, []
        if self._engine is not None:
            self._engine.engine_core.shutdown()
            self._engine = None

    def _step(self) -> list[tuple[Hashable, Reply]]:
        try:
            outputs = self._engine.step()
        except Exception as failure:
            raise EngineError(f"vLLM stopped: {_line(failure)}") from failure
        finished = [(self._out.pop(o.request_id), o) for o in outputs if o.request_id in self._out]
        return [(ticket, replied(output, read)) for (ticket, read), output in finished]

    def _task(self, request: Request) -> Task:
        match request.want:
            case Text() as want:
                ids = self._tokens.ids(request)
                later = not want.stop and self._tokens.decodes
                read = partial(decoded, self._tokens, ids[-BEFORE:]) if later else written
                return ids, self._writing(want, not later), read
            case Labels(labels):
                if len(labels) > MOST_LABELS:
                    raise EngineError(f"vLLM scores {MOST_LABELS} labels, not {len(labels)}")
                label_ids = self._tokens.label_ids(request)
                params = _scoring(logprob_token_ids=label_ids)
                return self._tokens.ids(request), params, partial(scored, label_ids)
            case Likelihood():
                # Such a prompt is read whole: from the prefix cache it would have no scores.
                ids, start = self._tokens.continued(request)
                return ids, _scoring(prompt_logprobs=0), partial(summed, start)
        raise EngineError("vLLM scores no pairs of query and document; use a scorer for them")

    def _writing(self, want: Text, detokenize: bool) -> Any:
        """On a CPU, vLLM dies of a seeded request whose prompt it reads in two steps.

        `RuntimeError: CPU Generator does not use offset` (0.32, gpu_model_runner.py).
        """
        seed = want.seed if want.temperature > 0 else None
        if seed is not None and not self._seeds:
            raise EngineError(
                "vLLM on a CPU cannot sample with a seed while it reads prompts in chunks: leave"
                " out the seed, or start it with enable_chunked_prefill=False and a"
                " max_num_batched_tokens of at least max_model_len"
            )
        asked = {"max_tokens": want.max_tokens, "stop": want.stop, "temperature": want.temperature}
        return _params(**asked, seed=seed, detokenize=detokenize)


def _line(failure: Exception) -> str:
    return " ".join(str(failure).split())[:400] or type(failure).__name__


# -------------------------------------------------------------------------------- vllm by name

ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
}
SEPARATE = "VLLM_ENABLE_V1_MULTIPROCESSING"
ALWAYS = {"enable_prefix_caching": True, "disable_log_stats": True}
ON_A_CPU = {
    "block_size": 32,  # the smallest there; prefixes are shared in whole blocks
    "enforce_eager": True,  # compiling takes longer than most runs on a CPU
    "kv_cache_memory_bytes": 2 * 2**30,  # VLLM_CPU_KVCACHE_SPACE goes before
}
SPEED_ONLY = {
    *("block_size", "disable_log_stats", "enable_prefix_caching", "gpu_memory_utilization"),
    *("kv_cache_memory_bytes", "max_num_batched_tokens", "max_num_seqs", "use_tqdm_on_load"),
}


def _start(options: dict[str, Any], in_process: bool | None) -> Any:
    """Load the model with the step sizes of vLLM's offline class; any other usage takes smaller."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with stdout_on_stderr():
        extra("vllm", "vllm")
        refuse_unreachable(options["model"], options.get("revision"))
        beside_numba.hide_dict()
        given = _given(options)
        if in_process is not None or SEPARATE not in os.environ:
            inside = _on_a_cpu() if in_process is None else in_process
            os.environ[SEPARATE] = str(int(not inside))
        offline = extra("vllm.usage.usage_lib", "vllm").UsageContext.LLM_CLASS
        try:
            args = extra("vllm.engine.arg_utils", "vllm").EngineArgs(**given)
            engine = extra("vllm.v1.engine.llm_engine", "vllm").LLMEngine
            started = engine.from_engine_args(args, usage_context=offline)
        except Exception as failure:
            what = f"vLLM cannot serve {options['model']}"
            raise EngineError(f"{what}: {_line(failure)}") from failure
        _wake_on_death(started.engine_core)
        return started


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """What is asked for, over what this engine prefers."""
    known = {field.name for field in fields(extra("vllm.engine.arg_utils", "vllm").EngineArgs)}
    if unknown := sorted(options.keys() - known):
        raise UsageError(f"vLLM has no option {', '.join(unknown)}")
    overrides = {"head_dtype": "float32", **(options.get("hf_overrides") or {})}
    here = ON_A_CPU if _on_a_cpu() else {}
    return {**ALWAYS, **here, **options, "hf_overrides": overrides}


def _on_a_cpu() -> bool:
    return bool(extra("vllm.platforms", "vllm").current_platform.is_cpu())


def _wake_on_death(core: Any) -> None:
    """Where its own process is killed outright, vLLM would wait for it forever: end the wait."""
    processes = getattr(getattr(core, "resources", None), "engine_manager", None)
    if processes is None:
        return
    outputs = core.outputs_queue

    def wake() -> None:
        processes.manager_stopped.wait()
        outputs.put(EngineError("its process ended"))

    Thread(target=wake, name="vllm-wake", daemon=True).start()


def _name(model: str, config: Any, template: dict[str, Any] | None, asked: dict[str, Any]) -> str:
    decides = {
        **{key: value for key, value in asked.items() if key not in SPEED_ONLY},
        "commit": getattr(config.hf_config, "_commit_hash", None) or folders.state(model),
        "dtype": str(config.dtype).removeprefix("torch."),
        "head_dtype": str(config.head_dtype).removeprefix("torch."),
        "max_model_len": config.max_model_len,
        "chat_template_options": template or {},
    }
    return f"vllm {model} {json.dumps(decides, sort_keys=True, default=str)}"


@lru_cache(1024)
def _scoring(**wanted: Any) -> Any:
    return _params(**SCORING, **wanted)


@lru_cache(1024)
def _params(**options: Any) -> Any:
    """Made once for each want and never changed, so that vLLM need not copy them."""
    vllm = extra("vllm.sampling_params", "vllm")
    given = {key: list(it) if isinstance(it, tuple) else it for key, it in options.items()}
    final = vllm.RequestOutputKind.FINAL_ONLY
    return vllm.SamplingParams(output_kind=final, skip_clone=True, **given)
