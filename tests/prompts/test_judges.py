"""The model judge words, sends and reads, and is checked before anything is asked."""

import math

import pytest
from judging import A, B, long, scripted_judge, told, values, words_shown

from rerank.errors import EngineError, UsageError
from rerank.judges import Oracle
from rerank.questions import Compare, Order, Pick, Rate
from rerank.records import Doc, Query, Status, Usage
from rerank.scheduler import drive
from rerank.strategies import STRATEGIES
from rerank.wants import Labels, Pair, Reply, Text


@pytest.mark.parametrize(
    ("prompt", "question", "reply", "value", "status"),
    [
        ("listwise/rank-zephyr", Order((A, B)), Reply("[2] > [1]"), [B, A], Status.OK),
        ("listwise/rank-zephyr", Order((A, B)), Reply("[2]"), [B, A], Status.REPAIRED),
        ("listwise/rank-zephyr", Order((A, B)), Reply("hm"), [A, B], Status.UNREADABLE),
        ("listwise/first", Order((A, B)), Reply(scores=(-2.0, -1.0)), [B, A], Status.OK),
        ("setwise/setwise", Pick((A, B)), Reply("Passage B"), [0.0, 1.0], Status.OK),
        ("setwise/setwise-labels", Pick((A, B)), Reply(scores=(0.0, 0.0)), [0.5, 0.5], Status.OK),
        ("pairwise/prp", Compare(A, B), Reply("Passage A"), 1.0, Status.OK),
        ("pairwise/prp-labels", Compare(A, B), Reply(scores=(0.0, 0.0)), 0.5, Status.OK),
        ("pointwise/yes-no", Rate(A), Reply(scores=(-1.0, -3.0)), 2.0, Status.OK),
        ("pointwise/score", Rate(A), Reply(scores=(7.5,)), 7.5, Status.OK),
        ("pointwise/score", Rate(A), Reply(scores=()), -math.inf, Status.UNREADABLE),
    ],
)
def test_a_reply_becomes_an_answer_with_its_status_and_cost(prompt, question, reply, value, status):
    spent = Usage(11, 7, 3)
    paid = Reply(reply.text, reply.scores, spent)
    judge, engine = scripted_judge(prompt, lambda request: paid)
    [answer] = told(judge, question)
    assert (answer.value, answer.status, answer.usage) == (value, status, spent)
    assert len(engine.requests) == 1


def test_many_questions_are_out_at_once_and_each_gets_its_own_answer():
    def reply(request):
        scores = [-float(label == " B") for label in request.want.labels]
        backwards = "text b" in request.messages[0].content.split("Passage B")[0]
        return Reply(scores=tuple(scores[::-1] if backwards else scores))

    judge, engine = scripted_judge("pairwise/prp-labels", reply, at_once=2, seed=4)
    first, second = values(judge, *[Compare(A, B)] * 20, *[Compare(B, A)] * 20)[::39]
    assert first > 0.7 > 0.3 > second
    assert len(engine.requests) == 40


def test_an_error_of_the_engine_is_a_failed_answer_and_no_digit_of_it_is_read():
    error = "maximum context length is 8192 tokens: [2] > [1]"
    judge, _ = scripted_judge(reply=lambda request: Reply(usage=Usage(5), error=error))
    [answer] = told(judge, Order((A, B)))
    assert (answer.value, answer.status, answer.error) == (None, Status.FAILED, error)
    assert answer.usage == Usage(5)


def test_statuses_are_counted_by_the_scheduler():
    replies = iter([Reply("[2] > [1]"), Reply("[2]"), Reply("?"), Reply("[1] > [2]")])
    judge, _ = scripted_judge(reply=lambda request: next(replies), at_once=1)
    jobs = list(
        drive(((Query(str(q), ""), STRATEGIES["full-ranking"]([A, B])) for q in range(4)), judge)
    )
    counted = sum((job.statuses for job in jobs), start=jobs[0].statuses.__class__())
    assert counted == {Status.OK: 2, Status.REPAIRED: 1, Status.UNREADABLE: 1}


def test_passages_longer_than_the_prompt_shows_are_counted():
    judge, _ = scripted_judge()
    [answer] = told(judge, Order((long("1", 310), long("2", 300), long("3", 400))))
    assert (answer.truncated, answer.cut) == (2, 110)


def test_what_a_scoring_model_cuts_is_counted_once():
    judge, engine = scripted_judge(
        "pointwise/score", lambda request: Reply(scores=(1.0,), truncated=40)
    )
    [answer] = told(judge, Rate(long("1", 1000)))
    assert (answer.truncated, answer.cut) == (1, 0)  # tokens are no words
    assert len(engine.requests[0].want.doc.split()) == 1000


# -------------------------------------------------------------------------- checks and guarding


def test_an_engine_that_cannot_serve_a_prompt_is_refused_in_one_line():
    judge, engine = scripted_judge("listwise/first", wants=(Text, Pair))
    with pytest.raises(EngineError) as wrong:
        judge.check(20)
    assert str(wrong.value) == (
        "prompt listwise/first wants Labels, but this engine serves Text, Pair:"
        " choose another prompt or engine"
    )
    assert engine.checked == []


@pytest.mark.parametrize(
    ("prompt", "docs", "labels"),
    [("listwise/first", 20, 20), ("pairwise/prp-labels", 1, 2), ("pointwise/yes-no", 0, 2)],
)
def test_the_engine_checks_the_widest_request_before_anything_is_asked(prompt, docs, labels):
    judge, engine = scripted_judge(prompt)
    judge.check(docs)
    [request] = engine.checked
    assert isinstance(request.want, Labels)
    assert len(request.want.labels) == labels
    assert engine.requests == []


def test_what_an_engine_refuses_comes_through():
    judge, engine = scripted_judge("listwise/first")

    def refuse(request):
        raise EngineError("label 'A' is not one token")

    engine.check = refuse
    with pytest.raises(EngineError, match="label 'A' is not one token"):
        judge.check(20)


def test_a_window_wider_than_the_alphabet_is_refused_by_the_check():
    judge, _ = scripted_judge("listwise/first")
    with pytest.raises(UsageError, match="letters for 26 documents, not 27"):
        judge.check(27)


def test_the_control_tokens_of_an_engine_are_kept_out_of_documents_and_queries():
    judge, engine = scripted_judge(special_tokens=("<|ours|>", ""))
    judge.submit(0, Query("q", "<|ours|>?"), Order((Doc("1", "a <|ours|> b <|im_end|>"), B)))
    list(judge.poll())
    text = engine.requests[0].messages[-1].content
    assert "<|ours|>" not in text
    assert "a < |ours|> b < |im_end|>" in text


def test_an_engine_that_says_nothing_stops_the_run():
    """It would be waited for without end."""
    judge, engine = scripted_judge()
    engine.poll = lambda: iter(())
    with pytest.raises(EngineError, match="engine scripted gave no reply to 2 requests"):
        told(judge, Order((A, B)), Order((B, A)))


def test_a_judge_that_nobody_asked_has_nothing_to_say():
    judge, _ = scripted_judge()
    assert list(judge.poll()) == []


@pytest.mark.parametrize("name", ["sliding-window", "full-ranking"])
def test_a_model_that_reads_the_grades_ranks_as_the_oracle_does(name):
    """Through prompt, engine and reader, in any order of replies, with prompts that overflow."""

    def by_grade(request):
        lines = request.messages[-1].content.splitlines()
        grades = {line.split()[0]: int(line.split()[2]) for line in lines if " grade " in line}
        return Reply(" > ".join(sorted(grades, key=grades.__getitem__, reverse=True)))

    queries = [Query(str(q), f"query {q}") for q in range(6)]
    docs = [Doc(str(i), f"grade {i * 7 % 30} " + "and so on " * i) for i in range(30)]
    qrels = {query.id: {doc.id: int(doc.text.split()[1]) for doc in docs} for query in queries}
    judge, _ = scripted_judge(reply=by_grade, at_once=3, seed=1, limit=600)
    by_model = {j.query: j for j in drive(((q, STRATEGIES[name](docs)) for q in queries), judge)}
    for job in drive(((q, STRATEGIES[name](docs)) for q in queries), Oracle(qrels)):
        assert by_model[job.query].ranking == job.ranking
        assert by_model[job.query].statuses == {Status.OK: job.calls}
        assert by_model[job.query].truncated > 0


def test_an_engine_that_can_get_ready_is_told_what_will_be_shown_from_the_bottom():
    judge, engine = scripted_judge()
    expected = []
    engine.expect = expected.append
    judge.expect(Query("q", "asked"), [long(str(i), 3) for i in range(50)])
    assert [words_shown(request, 20).count(3) for request in expected] == [20, 20, 10]
    judge.expect(Query("q", "asked"), [long(str(i), 3) for i in range(20)])
    assert len(expected) == 3
    assert not engine.requests
