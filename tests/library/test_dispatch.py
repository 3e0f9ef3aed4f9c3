"""Queries of many callers on one thread: each answered, failed or given up by itself."""

import threading
import time
from concurrent.futures import CancelledError

import pytest
from fakes import ScriptedEngine

from rerank import EngineError, UsageError
from rerank.engines import NOBODY
from rerank.judges import LLMJudge
from rerank.library.dispatch import Dispatch
from rerank.prompts import read_prompt
from rerank.questions import Rate
from rerank.records import Doc, Query
from rerank.scheduler import Job
from rerank.strategies import STRATEGIES
from rerank.wants import Reply


class Slow(ScriptedEngine):
    """Replies when told to; a wait ends early when it is woken."""

    def __init__(self):
        super().__init__(lambda request: Reply(scores=(float(len(request.want.doc)),)))
        self.gate, self.woken, self.cancelled = threading.Event(), threading.Event(), []

    def poll(self):
        while not (self.gate.is_set() or self.woken.is_set()):
            time.sleep(0.001)
        if self.woken.is_set() and not self.gate.is_set():
            self.woken.clear()
            return [(NOBODY, Reply())]
        return list(super().poll())

    def wake(self):
        self.woken.set()

    def cancel(self, tickets):
        self.cancelled += tickets
        super().cancel(tickets)


def dispatched(engine, **options):
    return Dispatch(LLMJudge(read_prompt("pointwise/score"), engine), **options)


def job(*texts):
    docs = [Doc(str(i), text) for i, text in enumerate(texts)]
    return Job(Query("", "q"), STRATEGIES["pointwise"](docs))


def ranked(future):
    return [doc.text for doc in future.result(timeout=10).ranking]


def until(true):
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_query_that_comes_while_others_wait_goes_out_at_once():
    engine = Slow()
    dispatch = dispatched(engine)
    first = dispatch.submit(job("a", "bb"))
    until(lambda: len(engine.requests) == 2)
    second = dispatch.submit(job("ccc"))
    until(lambda: len(engine.requests) == 3)
    engine.gate.set()
    assert ranked(first) == ["bb", "a"] and ranked(second) == ["ccc"]
    dispatch.close()


def test_a_query_that_is_given_up_is_cancelled_at_the_engine_and_the_others_go_on():
    engine = Slow()
    dispatch = dispatched(engine)
    given_up, other = dispatch.submit(job("a", "bb")), dispatch.submit(job("ccc"))
    until(lambda: len(engine.requests) == 3)
    assert given_up.cancel()
    until(lambda: len(engine.cancelled) == 2)
    engine.gate.set()
    assert ranked(other) == ["ccc"]
    with pytest.raises(CancelledError):
        given_up.result()
    dispatch.close()


def test_a_query_that_is_given_up_before_it_begins_asks_nothing():
    engine = Slow()
    dispatch = dispatched(engine, at_once=1)
    first, waiting = dispatch.submit(job("a")), dispatch.submit(job("b"))
    until(lambda: len(engine.requests) == 1)
    waiting.cancel()
    engine.gate.set()
    assert ranked(first) == ["a"]
    assert ranked(dispatch.submit(job("c"))) == ["c"]
    assert [request.want.doc for request in engine.requests] == ["a", "c"]
    dispatch.close()


def test_no_query_begins_while_so_many_questions_are_out():
    engine = Slow()
    dispatch = dispatched(engine, at_once=2)
    futures = [dispatch.submit(job("a", "b", "c")), *(dispatch.submit(job("d")) for _ in range(5))]
    until(lambda: len(engine.requests) == 3)
    time.sleep(0.02)
    assert len(engine.requests) == 3
    engine.gate.set()
    assert [len(ranked(future)) for future in futures] == [3, 1, 1, 1, 1, 1]
    dispatch.close()


def test_a_mistake_of_one_query_is_its_own():
    def wrong():
        yield [Rate(Doc("0", "a"))]
        raise UsageError("wrong")

    def unready():
        raise EngineError("no such label")

    engine = Slow()
    engine.gate.set()
    dispatch = dispatched(engine)
    mistaken = dispatch.submit(Job(Query("", "q"), wrong()))
    refused, fine = dispatch.submit(job("a"), unready), dispatch.submit(job("a", "bb"))
    with pytest.raises(UsageError, match="wrong"):
        mistaken.result(timeout=10)
    with pytest.raises(EngineError, match="no such label"):
        refused.result(timeout=10)
    assert ranked(fine) == ["bb", "a"]
    dispatch.close()


def test_an_engine_that_breaks_fails_who_waits_and_may_serve_who_comes():
    engine = ScriptedEngine(lambda request: Reply(scores=(1.0,)))
    broken, poll = threading.Event(), engine.poll

    def break_once():
        if not broken.is_set():
            broken.set()
            raise EngineError("the GPU's memory is full")
        return poll()

    engine.poll = break_once
    dispatch = dispatched(engine)
    with pytest.raises(EngineError, match="memory is full"):
        dispatch.submit(job("a")).result(timeout=10)
    assert ranked(dispatch.submit(job("b"))) == ["b"]
    dispatch.close()


def test_closing_gives_up_what_is_unfinished_and_refuses_what_comes():
    engine = Slow()
    dispatch = dispatched(engine, at_once=1)
    out, waiting = dispatch.submit(job("a")), dispatch.submit(job("b"))
    until(lambda: len(engine.requests) == 1)
    dispatch.close()
    for future in (out, waiting):
        with pytest.raises(UsageError, match="closed before"):
            future.result(timeout=10)
    with pytest.raises(UsageError, match="is closed"):
        dispatch.submit(job("c"))
    dispatch.close()


def test_an_engine_that_cannot_even_cancel_leaves_nobody_waiting():
    engine = Slow()
    engine.cancel = lambda tickets: 1 / 0
    dispatch = dispatched(engine)
    given_up, other = dispatch.submit(job("a")), dispatch.submit(job("b"))
    until(lambda: len(engine.requests) == 2)
    given_up.cancel()
    with pytest.raises(EngineError, match="the engine stopped"):
        other.result(timeout=10)
    with pytest.raises(EngineError, match="the engine stopped"):
        dispatch.submit(job("c"))
    dispatch.close()


def test_a_hundred_threads_that_come_and_go_get_their_own_answers():
    engine = ScriptedEngine(
        lambda request: Reply(scores=(float(len(request.want.doc)),)), at_once=3, seed=4
    )
    dispatch, found = dispatched(engine, at_once=50), {}

    def ask(number):
        future = dispatch.submit(job(*("x" * ((number * place) % 17) for place in range(9))))
        if number % 5 == 0:
            future.cancel()
        else:
            found[number] = ranked(future)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, texts in found.items():
        lengths = [(number * place) % 17 for place in range(9)]
        assert [len(text) for text in texts] == sorted(lengths, reverse=True)
    assert len(found) == 80
    dispatch.close()
