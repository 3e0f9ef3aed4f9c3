"""One engine, two ways to drive it: ours, in turn, and vLLM's own with every request at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter, process_time, thread_time
from typing import Any
from unittest.mock import patch

from bench.lists import reranked
from gpu.floors import Read

from rerank import stopwatch
from rerank.engines.vllm import VLLM
from rerank.garbage import left_alone


@dataclass(frozen=True)
class Turn:
    """Seconds by the wall, of this thread and of this process; what was computed, and in how many
    rounds a query. Of this thread's, `inside` were vLLM's own: its add_request and its step.
    `stages` are a run's, by the wall, and `theirs` what of them vLLM's own two were."""

    wall: float
    host: float
    threads: float
    reads: list[Read]
    rounds: float = 0.0
    inside: float = 0.0
    asked: list[tuple[Any, Any]] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    theirs: float = 0.0


class Both:
    """A model in vLLM under this project's driver, and vLLM's offline class around the same."""

    def __init__(self, folder: str, **options: Any) -> None:
        begun = perf_counter()
        self.ours = VLLM(folder, in_process=False, **options)
        self.loading = perf_counter() - begun
        from vllm import LLM
        from vllm.v1.engine.llm_engine import LLMEngine

        self.engine = self.ours._engine
        with patch.object(LLMEngine, "from_engine_args", lambda *_, **__: self.engine):
            self.theirs = LLM(folder, **options)

    def in_turn(self, method: str, lists: Any, max_tokens: int | None = None) -> Turn:
        """Rerank with a method from an empty prefix cache, as a run does."""
        self._forget()
        asked: list[tuple[Any, Any]] = []
        outputs: list[Any] = []
        add, step = _Timed(self.engine.add_request), _Timed(self.engine.step)

        def adding(number: str, prompt: Any, params: Any) -> Any:
            asked.append((prompt, params))
            return add(number, prompt, params)

        def stepping() -> Any:
            found = step()
            outputs.extend(found)
            return found

        with (
            patch.object(self.engine, "add_request", adding),
            patch.object(self.engine, "step", stepping),
            left_alone(),
        ):
            before, begun = stopwatch.spent(), _now()
            jobs = reranked(self.ours, method, lists, max_tokens)
            spent = _since(begun)
        stages = {name: now - before[name] for name, now in stopwatch.spent().items()}
        assert len(jobs) == len(lists) and not any(job.error for job in jobs)
        rounds = sum(job.rounds for job in jobs) / len(jobs)
        reads, inside, theirs = (
            list(map(_read, outputs)),
            add.spent + step.spent,
            add.wall + step.wall,
        )
        return Turn(*spent, reads, rounds, inside, asked, stages, theirs)

    def at_once(self, turn: Turn) -> Turn:
        """vLLM's own loop over the requests of a turn, in the order in which we asked."""
        self._forget()
        begun = _now()
        prompts, params = zip(*turn.asked, strict=True)
        done = self.theirs.generate(list(prompts), list(params), use_tqdm=False)
        return Turn(*_since(begun), list(map(_read, done)))

    def close(self) -> None:
        self.ours.close()

    def _forget(self) -> None:
        assert self.engine.reset_prefix_cache()


class _Timed:
    """A function, and the CPU time and the wall of the threads that called it so far."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call, self.spent, self.wall = call, 0.0, 0.0

    def __call__(self, *given: Any) -> Any:
        begun, then = thread_time(), perf_counter()
        found = self._call(*given)
        self.wall += perf_counter() - then
        self.spent += thread_time() - begun
        return found


def _now() -> tuple[float, ...]:
    return perf_counter(), thread_time(), process_time()


def _since(begun: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(now - then for now, then in zip(_now(), begun, strict=True))


def _read(output: Any) -> Read:
    [said] = output.outputs
    return Read(len(output.prompt_token_ids), output.num_cached_tokens or 0, len(said.token_ids))
