"""Many callers of one reranker: loops, streams, tasks and threads, and its end."""

import asyncio
import gc
import threading

import pytest
from fakes import counted, order

from rerank import Reranker, UsageError

DOCS = ["fish swim", "the sky is blue", "sky", "sky sky sky"]


def test_progress_is_told_after_each_query(opened):
    opened(counted)
    told = []
    batch = [("sky", DOCS)] * 3
    Reranker("any", method="scorer").rerank_many(batch, on_progress=lambda *at: told.append(at))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_calls_inside_a_running_loop_work_as_in_a_notebook(opened):
    opened(counted)
    reranker = Reranker("any", method="scorer")

    async def cell():
        return order(reranker.rerank("sky", DOCS)), order(await reranker.arerank("sky", DOCS, 2))

    assert asyncio.run(cell()) == ([3, 1, 2, 0], [3, 1])
    assert asyncio.run(cell()) == ([3, 1, 2, 0], [3, 1])


def test_a_stream_gives_each_ranking_once_with_its_place(opened):
    opened(counted, at_once=1, seed=1)

    async def streamed():
        async with Reranker("any", method="scorer") as reranker:
            batch = [("sky", ["x"] * n + ["sky"]) for n in (5, 0, 3)]
            return {place: order(ranking)[0] async for place, ranking in reranker.astream(batch)}

    assert asyncio.run(streamed()) == {0: 5, 1: 0, 2: 3}


def test_tasks_share_the_model(opened):
    """Three queries, each of one wave: one poll answers all of them."""
    engines = opened(counted)

    async def together():
        async with Reranker("any", method="scorer") as reranker:
            tasks = [reranker.arerank("sky", DOCS) for _ in range(20)]
            return await asyncio.gather(*tasks)

    assert [order(ranking) for ranking in asyncio.run(together())] == [[3, 1, 2, 0]] * 20
    assert len(engines[0][-1].requests) == 80


def test_a_closed_reranker_says_so(opened):
    opened(counted)
    reranker = Reranker("any", method="scorer")
    reranker.rerank("sky", DOCS)
    reranker.close()
    reranker.close()
    with pytest.raises(UsageError, match="this reranker is closed"):
        reranker.rerank("sky", DOCS)


def test_a_reranker_that_nobody_has_any_more_lets_go_of_its_model_and_its_thread(opened):
    engines, before = opened(counted), {*threading.enumerate()}
    reranker = Reranker("any", method="scorer")
    reranker.rerank("sky", DOCS)
    closed = []
    engines[0][-1].close = lambda: closed.append(True)
    del reranker
    gc.collect()
    assert closed == [True] and {*threading.enumerate()} <= before


def test_many_threads_at_once_each_get_their_own(opened):
    opened(counted, at_once=1)
    reranker, found = Reranker("any", method="scorer"), {}

    def ask(number):
        docs = ["x"] * number + ["sky"]
        found[number] = order(reranker.rerank("sky", docs))[0]

    threads = [threading.Thread(target=ask, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: number for number in range(8)}
