"""Run by the peer's own Python: rank-llm over the requests of a file, and where its time went.

Its T5 module does not import beside the transformers that this vLLM needs, and a listwise ranker
does not use it: it is left out. Its engine gets the settings that ours has.
"""

import json
import sys
import time
import types
from pathlib import Path

seconds = {"prompts": 0.0, "generate": 0.0, "engine": 0.0}


def timed(stage, function):
    def call(*given, **options):
        begun = time.perf_counter()
        try:
            return function(*given, **options)
        finally:
            seconds[stage] += time.perf_counter() - begun

    return call


def main(model, requests, first, engine_options):
    left_out = types.ModuleType("rank_llm.rerank.listwise.rank_fid")
    left_out.RankFiDDistill = left_out.RankFiDScore = None
    sys.modules[left_out.__name__] = left_out
    import vllm

    def load(**given):
        given.pop("gpu_memory_utilization"), given.pop("download_dir")
        return llm(**{**given, **engine_options})

    llm, vllm.LLM = vllm.LLM, load
    from dacite import from_dict
    from rank_llm.data import Request
    from rank_llm.rerank.listwise import RankListwiseOSLLM

    lines = Path(requests).read_text(encoding="utf-8").splitlines()
    asked = [from_dict(Request, json.loads(line)) for line in lines]
    options = {"use_logits": True, "use_alpha": True} if first else {}
    ranker = RankListwiseOSLLM(
        model, context_size=engine_options["max_model_len"] - 256, device="cpu", **options
    )
    ranker.create_prompt_batched = timed("prompts", ranker.create_prompt_batched)
    ranker._vllm_handler.generate_output = timed("generate", ranker._vllm_handler.generate_output)
    core = type(ranker._vllm_handler._vllm.llm_engine)
    for name in ("add_request", "step"):
        setattr(core, name, timed("engine", getattr(core, name)))
    ranker.rerank_batch(asked[:1], rank_end=40)
    for stage in seconds:
        seconds[stage] = 0.0
    begun, used = time.perf_counter(), time.process_time()
    results = ranker.rerank_batch(asked, rank_end=100, populate_invocations_history=True)
    took = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - used}
    windows = [call for result in results for call in result.invocations_history]
    print(
        json.dumps(
            {**took, **seconds, "windows": len(windows)}
            | {"tokens": sum(call.input_token_count for call in windows)}
            | {"new tokens": ranker.num_output_tokens()}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3] == "first", json.loads(sys.argv[4]))
