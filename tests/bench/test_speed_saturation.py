"""The price of dependence and of the host: our driver against vLLM given every request at once."""

from time import perf_counter, process_time

import pytest
import tiny
from bench.lists import candidates, reranked, texts
from bench.report import record

from rerank.engines.vllm import VLLM
from rerank.passages import first_words

SIZES = {"tiny": {"hidden": 64, "layers": 2}, "small": {"hidden": 512, "layers": 12}}
PIECES = 8000  # so that a passage has about as many tokens as for a real model
QUERIES = 43  # all that dl19 has judged
LISTS = {  # method: candidates and words of a candidate, for either size
    "listwise": {"tiny": (100, 100), "small": (30, 12)},
    "first": {"tiny": (100, 100), "small": (30, 20)},
    "setwise-heapsort-labels": {"tiny": (100, 100), "small": (12, 12)},
    "prp-heapsort-labels": {"tiny": (100, 100), "small": (6, 12)},
    "yes-no": {"tiny": (100, 100), "small": (20, 20)},
}
TURNS, ENOUGH = 3, 15.0  # seconds after which no more turns are taken
ROWS = []
NOTE = (
    "Seconds to rerank dl19 in process against the seconds of vLLM's own LLM.generate, around the"
    " same engine, for all the same requests at once: the same token ids and sampling parameters,"
    " in the order in which we asked. Before every turn the prefix cache is emptied; it works in"
    " both. The least of up to three turns of each, in alternation; all judged queries side"
    " by side, and no more candidates and words of each than take a minute. CPU is of the whole"
    " process, where the model computes too. The goal is a wall ratio of at most 1.10."
)


@pytest.fixture(scope="module", params=SIZES)
def engines(request, tmp_path_factory):
    """Our driver, and vLLM's offline class around the same engine."""
    made = SIZES[request.param] | {"pieces": PIECES, "texts": texts("dl19")}
    folder = str(tiny.checkpoint(tmp_path_factory.mktemp("m"), **made))
    ours = VLLM(folder, dtype="float32")
    from vllm import LLM
    from vllm.v1.engine.llm_engine import LLMEngine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LLMEngine, "from_engine_args", lambda *_, **__: ours._engine)
        theirs = LLM(folder, dtype="float32", enforce_eager=True)
    yield request.param, ours, theirs
    ours.close()
    if ROWS:
        record("Saturation", ROWS, NOTE)


def shortened(lists, words):
    """The same candidates, so many words of each."""
    return {
        query: [doc._replace(text=first_words(doc.text, words)[0]) for doc in docs]
        for query, docs in lists.items()
    }


@pytest.mark.parametrize("method", LISTS)
def test_asking_in_turn_is_as_fast_as_asking_all_at_once(engines, method, monkeypatch):
    size, ours, theirs = engines
    depth, words = LISTS[method][size]
    lists = shortened(candidates("dl19", QUERIES, depth), words)
    engine, asked = ours._engine, []
    reranked(ours, method, {query: docs[:20] for query, docs in list(lists.items())[:1]})

    def adding(number, prompt, params):
        asked.append((prompt, params))
        return add(number, prompt, params)

    def in_turn():
        asked.clear()
        return reranked(ours, method, lists)

    def at_once():
        return theirs.generate([p for p, _ in asked], [p for _, p in asked], use_tqdm=False)

    add, taken = engine.add_request, {in_turn: [], at_once: []}
    while len(taken[in_turn]) < TURNS and sum(wall for wall, _ in taken[in_turn]) < ENOUGH:
        for run in (in_turn, at_once):
            monkeypatch.setattr(engine, "add_request", adding if run is in_turn else add)
            assert engine.reset_prefix_cache()
            begun, used = perf_counter(), process_time()
            done = run()
            taken[run].append((perf_counter() - begun, process_time() - used))
    (wall, used), (all_wall, all_used) = (map(min, zip(*taken[run], strict=True)) for run in taken)
    row = {"model": size, "method": method, "queries": QUERIES, "candidates": depth, "words": words}
    row |= {"requests": len(asked), "prompt tokens": sum(len(o.prompt_token_ids) for o in done)}
    row |= {"cached": sum(o.num_cached_tokens or 0 for o in done), "ours, s": wall}
    row |= {"at once, s": all_wall, "wall ratio": wall / all_wall, "CPU ratio": used / all_used}
    ROWS.append(row)
    print(row)
