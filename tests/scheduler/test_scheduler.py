"""The scheduler changes when questions are asked, never what a strategy returns."""

import weakref
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jumbled import Jumbled, answer_everything, asks_in_turn, rate_doc
from play import by_value, play, worth

from rerank.errors import EngineError, UsageError
from rerank.questions import Compare, Rate, ask
from rerank.records import Answer, Doc, Query, Status, Usage
from rerank.scheduler import drive
from rerank.strategies import STRATEGIES

lists = st.dictionaries(st.integers(), st.lists(st.integers(0, 3), max_size=12), max_size=8)


@given(lists, st.sampled_from(sorted(STRATEGIES)), st.integers(), st.integers(1, 9), st.booleans())
@settings(deadline=None)
def test_neither_order_nor_number_nor_memo_changes_a_ranking(grades, name, seed, at_once, memo):
    def strategy(worths):
        return STRATEGIES[name](list(enumerate(worths)))

    tasks = ((query, strategy(worths)) for query, worths in grades.items())
    judge = Jumbled(seed, at_once=1 + seed % 3)
    driven = {job.query: job for job in drive(tasks, judge, at_once=at_once, memo=memo)}
    assert driven.keys() == grades.keys()
    for query, worths in grades.items():
        ranking, batches = play(strategy(worths), by_value(worth))
        job = driven[query]
        assert job.ranking == ranking
        assert job.questions == sum(map(len, batches))
        if not memo:
            assert job.calls == job.questions
            assert job.rounds == sum(map(bool, batches))
            assert job.slots == sum(len(q.documents) for batch in batches for q in batch)


@given(lists, st.sampled_from(sorted(STRATEGIES)), st.integers())
@settings(deadline=None)
def test_with_the_memo_nothing_is_asked_twice_and_every_count_is_right(grades, name, seed):
    tasks = ((q, STRATEGIES[name](list(enumerate(worths)))) for q, worths in grades.items())
    judge = Jumbled(seed)
    jobs = list(drive(tasks, judge))
    assert max(Counter(judge.asked).values(), default=1) == 1
    calls = Counter(query for query, _ in judge.asked)
    for job in jobs:
        assert job.calls == calls[job.query] <= job.questions
        assert job.slots == sum(len(x.documents) for query, x in judge.asked if query == job.query)
        assert job.statuses == Counter({Status.OK: job.calls} if job.calls else {})


def test_questions_calls_slots_and_rounds_are_counted():
    def strategy():
        yield [Rate(1), Rate(2), Rate(1), Compare(1, 2)]  # three calls, four slots
        yield []
        yield [Rate(2), Rate(1)]  # known: nobody waits
        yield [Compare(2, 1), Rate(1)]  # one call, two slots
        return "done"

    [job] = drive([("q", strategy())], answer_everything(lambda q, x: Answer(0.5)))
    assert (job.ranking, job.questions, job.calls, job.slots, job.rounds) == ("done", 8, 4, 6, 2)
    [job] = drive([("q", strategy())], answer_everything(lambda q, x: Answer(0.5)), memo=False)
    assert (job.ranking, job.questions, job.calls, job.slots, job.rounds) == ("done", 8, 8, 10, 3)


def test_a_question_asked_twice_in_one_batch_is_answered_in_both_places():
    [job] = drive([("q", asks_in_turn([3, 5, 3, 3], [5]))], answer_everything(rate_doc))
    assert job.ranking == [[3, 5, 3, 3], [5]]
    assert (job.questions, job.calls) == (5, 2)


def test_one_query_knows_nothing_of_what_another_was_told():
    def rate_for_query(query, question):
        return Answer((query, question.doc))

    jobs = drive(
        [("a", asks_in_turn([1])), ("b", asks_in_turn([1]))], answer_everything(rate_for_query)
    )
    assert {job.query: job.ranking for job in jobs} == {"a": [[("a", 1)]], "b": [[("b", 1)]]}


def test_what_the_answers_cost_is_added_up_once():
    cost = Usage(100, 60, 5)

    def answer(query, question):
        status = Status.REPAIRED if question.doc == 2 else Status.OK
        return Answer(question.doc, status, cost, truncated=1, cut=7)

    [job] = drive([("q", asks_in_turn([1, 2, 2], [1]))], answer_everything(answer))
    assert job.usage == Usage(200, 120, 10)
    assert job.statuses == {Status.OK: 1, Status.REPAIRED: 1}
    assert (job.truncated, job.cut) == (2, 14)


def test_queries_share_the_judge():
    """50 queries of 3 documents: a question each is out from the first wait on."""
    docs = list(enumerate([0, 1, 2]))
    judge = answer_everything()
    jobs = list(drive(((q, STRATEGIES["prp-sliding"](docs)) for q in range(50)), judge, memo=False))
    assert judge.most == 100
    assert judge.waits == max(job.rounds for job in jobs)


def test_a_query_waits_for_its_own_answers_only():
    """One slow query among quick ones: the quick ones finish first."""
    judge = Jumbled(at_once=1)
    judge.chance.shuffle = lambda out: out.sort(key=lambda pair: pair[1].value == "slow")
    judge.answer = lambda query, question: Answer(query)
    tasks = [("slow", asks_in_turn([1]))] + [(f"q{i}", asks_in_turn([1], [2])) for i in range(5)]
    assert [job.query for job in drive(tasks, judge)][-1] == "slow"


def test_queries_begin_only_as_there_is_room():
    begun, finished, most = 0, 0, 0

    def tasks():
        nonlocal begun
        for query in range(200):
            begun += 1
            yield query, asks_in_turn([1, 2], [3, 4])

    for _ in drive(tasks(), Jumbled(at_once=3, answer=rate_doc), at_once=10):
        finished += 1
        most = max(most, begun - finished)
    assert (begun, finished) == (200, 200)
    assert most <= 10


def test_queries_that_have_begun_go_on_before_others_begin():
    judge = Jumbled(at_once=1, answer=rate_doc)
    list(drive(((q, asks_in_turn([1], [2])) for q in range(20)), judge, at_once=1))
    assert [query for query, _ in judge.asked] == [q for q in range(20) for _ in range(2)]


def test_a_finished_query_is_not_kept():
    def tasks():
        for query in range(50):
            strategy = asks_in_turn([query])
            alive.add(strategy)
            yield query, strategy

    alive = weakref.WeakSet()
    for _ in drive(tasks(), Jumbled(at_once=1, answer=rate_doc), at_once=4):
        assert len(alive) <= 6


def test_no_strategies_are_no_jobs_and_ask_nothing():
    assert list(drive([], judge := Jumbled())) == []
    assert judge.waits == 0


def test_strategies_that_ask_nothing_finish_without_a_judge():
    docs = ["a", "b"]
    tasks = [("q1", STRATEGIES["first-stage"](docs)), ("q2", STRATEGIES["pointwise"]([]))]
    jobs = list(drive(tasks, judge := Jumbled()))
    assert [(job.ranking, job.questions, job.rounds) for job in jobs] == [(docs, 0, 0), ([], 0, 0)]
    assert judge.waits == 0


def test_an_empty_batch_is_answered_at_once():
    def strategy():
        assert (yield []) == []
        first = yield from ask(Rate(4))
        assert (yield []) == []
        return first

    [job] = drive([("q", strategy())], answer_everything(rate_doc))
    assert (job.ranking, job.questions, job.rounds) == (4, 1, 1)


# --------------------------------------------------------------------------------- failed answers


def fails_on(*bad):
    def answer(query, question):
        if question.doc in bad:
            return Answer(None, Status.FAILED, Usage(9), error=f"no reply to {question.doc}")
        return Answer(question.doc, usage=Usage(1))

    return answer


def test_a_failed_answer_raises_and_names_the_query():
    tasks = [(Query("q7", "why?"), asks_in_turn([1, 2]))]
    with pytest.raises(EngineError, match=r"^query 'q7': no reply to 2$"):
        list(drive(tasks, answer_everything(fails_on(2))))


def test_a_failure_without_a_reason_says_so():
    judge = answer_everything(lambda query, question: Answer(None, Status.FAILED))
    with pytest.raises(EngineError, match=r"^query 3: the engine gave no reply$"):
        list(drive([(3, asks_in_turn([1]))], judge))


@given(st.integers(), st.integers(1, 5))
@settings(deadline=None, max_examples=40)
def test_kept_failures_end_their_own_query_and_no_other(seed, at_once):
    tasks = [(q, asks_in_turn([q, q + 100, 200 + q], [q + 300], [q + 400])) for q in range(12)]
    judge = Jumbled(seed, at_once, fails_on(3, 103, 305, 207))
    jobs = {job.query: job for job in drive(tasks, judge, on_error="keep", at_once=9)}
    assert sorted(jobs) == list(range(12))
    for query, job in jobs.items():
        if query in (3, 5, 7):
            assert job.ranking is None
            assert job.error.startswith("no reply to ")
            assert job.statuses[Status.FAILED] == (2 if query == 3 else 1)
            assert job.statuses.total() == job.calls
        else:
            assert job.ranking == [[query, query + 100, query + 200], [query + 300], [query + 400]]
            assert (job.error, job.statuses) == ("", {Status.OK: 5})
    assert not judge.out
    assert (7, Rate(307)) not in judge.asked


def test_answers_that_come_after_a_failure_change_nothing_and_are_counted():
    judge = Jumbled(at_once=1, answer=fails_on(1))
    judge.chance.shuffle = lambda out: out.sort(
        key=lambda pair: pair[1].status is not Status.FAILED
    )
    [job] = drive([("q", asks_in_turn([0, 1, 2, 3], [4]))], judge, on_error="keep")
    assert (job.ranking, job.error) == (None, "no reply to 1")
    assert (job.usage, job.statuses) == (Usage(12), {Status.FAILED: 1, Status.OK: 3})
    assert judge.waits == 4


def test_a_failed_strategy_is_closed():
    closed = []

    def strategy():
        try:
            yield [Rate(1)]
        finally:
            closed.append(True)

    [job] = drive([("q", strategy())], answer_everything(fails_on(1)), on_error="keep")
    assert job.error
    assert closed == [True]


def test_the_answers_of_a_drive_that_was_given_up_reach_no_other():
    """A judge outlives a run: what the first asked is answered while the second waits."""
    judge = Jumbled(at_once=1, answer=lambda query, question: Answer((query, question.doc)))
    first = drive([("old", asks_in_turn([1, 2, 3])), ("done", asks_in_turn([]))], judge)
    assert next(first).query == "done"
    first.close()
    assert len(judge.out) == 3
    [job] = drive([("new", asks_in_turn([1, 2, 3]))], judge)
    assert job.ranking == [[("new", 1), ("new", 2), ("new", 3)]]
    assert job.statuses == {Status.OK: 3}


def test_an_error_of_the_judge_or_of_a_strategy_comes_through():
    def broken():
        yield [Rate(1)]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(drive([("q", broken())], answer_everything(rate_doc)))
    with pytest.raises(ValueError, match="stride"):
        strategy = STRATEGIES["sliding-window"](["a", "b"], stride=99)
        list(drive([("q", strategy)], Jumbled()))


@pytest.mark.parametrize("options", [{"at_once": 0}, {"at_once": -1}, {"on_error": "ignore"}])
def test_options_that_cannot_work_are_refused_before_anything_is_asked(options):
    with pytest.raises(UsageError, match="at_once is 1 or more, on_error raise or keep"):
        list(drive([("q", asks_in_turn([1]))], judge := Jumbled(), **options))
    assert judge.asked == []


def test_documents_with_equal_texts_stay_two_documents():
    docs = [Doc("1", "same"), Doc("2", "same")]
    judge = answer_everything(lambda query, question: Answer(float(question.doc.id)))
    [job] = drive([(Query("q", ""), STRATEGIES["pointwise"](docs))], judge)
    assert job.ranking == docs[::-1]
    assert job.calls == 2
