"""The library over real models: many callers, one model, and what is given up stops at it."""

import asyncio
import threading

import pytest
import tiny
from servers import openai_server

from rerank import Reranker

DOCS = [
    "Dust scatters red light.",
    "Air scatters blue light the most.",
    "The sea is salty.",
    "Paris is the capital of France.",
]


@pytest.mark.slow
def test_twenty_threads_on_one_real_scorer_get_what_one_gets():
    with Reranker("all-MiniLM-L6-v2") as reranker:
        questions = [f"what of {word}?" for word in ("sky", "sea", "France", "dust", "light")] * 4
        alone = [reranker.rerank(question, DOCS) for question in questions]
        found = {}

        def ask(place, question):
            found[place] = reranker.rerank(question, DOCS)

        threads = [threading.Thread(target=ask, args=one) for one in enumerate(questions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for place, ranking in enumerate(alone):
        assert [hit.index for hit in found[place]] == [hit.index for hit in ranking]
        scores = [hit.score for hit in ranking]
        assert [hit.score for hit in found[place]] == pytest.approx(scores, abs=1e-5)


@pytest.mark.slow
@pytest.mark.vllm
def test_a_task_with_a_deadline_frees_a_real_server_and_the_next_is_answered(tmp_path):
    import httpx

    folder = tiny.checkpoint(tmp_path / "tiny")
    with openai_server(folder) as url:
        metrics = url.removesuffix("/v1") + "/metrics"

        def running():
            lines = httpx.get(metrics).text.splitlines()
            return sum(float(line.split()[-1]) for line in lines if "requests_running{" in line)

        async def deadline():
            async with Reranker("tiny", method="listwise", base_url=url) as reranker:
                docs = [f"document number {i}" for i in range(100)]
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await reranker.arerank("q", docs)
                await asyncio.sleep(0.5)
                busy = running()
                return busy, await reranker.arerank("q", docs[:1])

        busy, ranking = asyncio.run(deadline())
    assert busy == 0 and len(ranking) == 1
