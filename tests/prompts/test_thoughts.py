"""A thought is written first, and its labels are scored behind it or not at all."""

import math

import pytest
from judging import A, B, long, scripted_judge, told

from rerank.errors import EngineError
from rerank.questions import Rate
from rerank.records import Status, Usage
from rerank.wants import Labels, Reply, Text

THOUGHT = Reply("It says so.", usage=Usage(50, 0, 9))


def reasoning(reply=THOUGHT, **options):
    """A judge with Rank1's prompt over an engine that reasons, then scores, and the engine."""

    def answer(request):
        scored = Reply(scores=(-1.0, -3.5), usage=Usage(60, 48, 1))
        return scored if isinstance(request.want, Labels) else reply

    return scripted_judge("pointwise/rank1", answer, **options)


def test_labels_are_scored_behind_the_thought_that_was_written_for_them():
    judge, engine = reasoning(at_once=1)
    answers = told(judge, Rate(A), Rate(B))
    assert [(a.value, a.status, a.usage) for a in answers] == [
        (2.5, Status.OK, Usage(110, 48, 10))
    ] * 2
    thoughts, scores = engine.requests[:2], engine.requests[2:]
    assert [type(request.want) for request in thoughts + scores] == [Text, Text, Labels, Labels]
    assert [request.prefill for request in scores] == ["\n<think>It says so.</think>"] * 2
    assert {r.messages for r in scores} == {r.messages for r in thoughts}


def test_a_thought_that_was_cut_off_is_not_scored():
    """The published code ends it at its last full stop and forces a verdict."""
    judge, engine = reasoning(Reply("It says", finished=False))
    [answer] = told(judge, Rate(A))
    assert (answer.value, answer.status) == (-math.inf, Status.UNREADABLE)
    assert len(engine.requests) == 1


def test_a_thought_that_leaves_no_room_for_its_scores_is_thought_again_over_less():
    lengths = iter([Reply("It says so."), Reply(overflow=40), Reply("So.")])

    def answer(request):
        return next(lengths, Reply(scores=(-1.0, -2.0)))

    judge, engine = scripted_judge("pointwise/rank1", answer)
    [answer] = told(judge, Rate(long("1", 100)))
    assert (answer.value, answer.truncated) == (1.0, 1)
    kinds = [type(request.want) for request in engine.requests]
    assert kinds == [Text, Labels, Text, Labels]
    assert engine.requests[-1].prefill == "\n<think>So.</think>"


def test_both_forms_of_a_prompt_are_checked_before_anything_is_asked():
    judge, engine = reasoning()
    judge.check(1)
    assert [type(request.want) for request in engine.checked] == [Text, Labels]
    judge, _ = reasoning(wants=(Text,))
    with pytest.raises(EngineError, match="wants Labels, but this engine serves Text"):
        judge.check(1)
