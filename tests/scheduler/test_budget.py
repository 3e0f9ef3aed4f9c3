"""A budget stops the asking, not the ranking: every strategy ends by itself, with what it has."""

import math
from threading import Event

import pytest
from jumbled import Jumbled, answer_everything, asks_in_turn, rate_doc
from play import by_value, documents, place, play, worth

from rerank.questions import AsShown, Compare, Order, Pick, Question, Rate, undecided
from rerank.records import Answer, Status, Usage
from rerank.scheduler import Budget, drive
from rerank.strategies import STRATEGIES

TOP_LAST = {"full-ranking", "sliding-window", "self-consistency", "prp-sliding"}
SMALL = [0, 1, 2, 3, 5, 11, 21, 25, 34]


def stopped(strategy, budget, judge=None, **options):
    [job] = drive([("q", strategy)], judge or answer_everything(), budget=budget, **options)
    return job


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("memo", [True, False])
def test_any_number_of_calls_is_kept_to_and_ends_in_a_permutation(name, memo):
    for count in SMALL:
        docs = documents(count)
        whole = stopped(STRATEGIES[name](docs), Budget(), memo=memo)
        for calls in range(31):
            job = stopped(STRATEGIES[name](docs), Budget(calls=calls), memo=memo)
            assert sorted(job.ranking) == docs
            assert job.calls <= calls
            assert job.unasked or (job.ranking, job.calls) == (whole.ranking, whole.calls)
            if calls >= whole.calls:
                assert not job.unasked


@pytest.mark.parametrize("name", STRATEGIES)
def test_without_any_call_the_first_stage_stays(name):
    for count in SMALL:
        docs = documents(count)
        job = stopped(STRATEGIES[name](docs), Budget(calls=0))
        assert (job.ranking, job.calls, job.rounds, job.slots) == (docs, 0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "first-stage"])
def test_half_of_the_calls_find_more_of_the_best_ten_than_the_first_stage(name):
    """But where they come to the top last, or there is but one call."""
    found = before = 0
    for seed in range(20):
        docs = documents(60, 0.5, seed)
        calls = stopped(STRATEGIES[name](docs), Budget()).calls // 2
        ranking = stopped(STRATEGIES[name](docs), Budget(calls=calls)).ranking
        best = {*sorted(docs, key=worth)[-10:]}
        found, before = found + len({*ranking[:10]} & best), before + len({*docs[:10]} & best)
    assert found == before if name in TOP_LAST else found > before


def test_a_batch_that_is_larger_than_what_is_left_goes_out_in_part():
    job = stopped(asks_in_turn([1, 2, 3], [4, 5, 6]), Budget(calls=4), answer_everything(rate_doc))
    assert job.ranking == [[1, 2, 3], [4, -math.inf, -math.inf]]
    assert (job.questions, job.calls, job.slots, job.unasked, job.rounds) == (6, 4, 4, 2, 2)


def test_what_a_query_knows_already_is_free():
    strategy = asks_in_turn([1, 2], [2, 3], [1, 2, 1])
    job = stopped(strategy, Budget(calls=2), answer_everything(rate_doc))
    assert job.ranking == [[1, 2], [2, -math.inf], [1, 2, 1]]
    assert (job.questions, job.calls, job.unasked) == (7, 2, 1)


def test_every_place_of_a_question_asked_twice_is_left_undecided():
    job = stopped(asks_in_turn([1], [2, 2]), Budget(calls=1), answer_everything(rate_doc))
    assert job.ranking == [[1], [-math.inf, -math.inf]]
    assert job.unasked == 2


def test_each_query_has_its_own_budget_whatever_the_order_of_answers():
    tasks = [(q, asks_in_turn([q, q + 50], [q + 100])) for q in range(20)]
    judge = Jumbled(seed=3, at_once=2, answer=rate_doc)
    for job in drive(tasks, judge, budget=Budget(calls=2)):
        assert job.ranking == [[job.query, job.query + 50], [-math.inf]]
        assert (job.calls, job.unasked) == (2, 1)


def costs(tokens):
    """Answers a rating, and says that it took so many tokens; a function of the document."""

    def answer(query, question):
        return Answer(question.doc, usage=Usage(tokens(question.doc) - 1, 0, 1))

    return answer_everything(answer)


def test_tokens_are_kept_to_within_what_the_mean_call_costs():
    job = stopped(asks_in_turn(range(100)), Budget(tokens=1000), costs(lambda doc: 100))
    assert (job.calls, job.unasked, job.rounds) == (10, 90, 2)
    assert sum(math.isfinite(rating) for rating in job.ranking[0]) == 10
    job = stopped(asks_in_turn(range(100)), Budget(tokens=1099), costs(lambda doc: 100))
    assert job.calls == 10


def test_tokens_are_looked_at_again_after_each_batch():
    """The first call costs little, so that too many follow it; then nothing goes out."""
    cost = costs(lambda doc: 100 if doc else 10)
    job = stopped(asks_in_turn(range(20), range(20, 40)), Budget(tokens=100), cost)
    assert job.calls == 10
    assert job.usage == Usage(10 * 99 - 90, 0, 10)
    assert job.unasked == 30


def test_the_first_call_goes_out_however_few_tokens_there_are():
    job = stopped(asks_in_turn([1], [2]), Budget(tokens=1), costs(lambda doc: 50))
    assert (job.calls, job.ranking) == (1, [[1], [-math.inf]])


def test_a_judge_that_reports_no_tokens_is_not_stopped_by_them():
    job = stopped(asks_in_turn(range(9)), Budget(tokens=1), answer_everything(rate_doc))
    assert (job.calls, job.unasked) == (9, 0)


def test_seconds_count_from_the_first_question(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("rerank.scheduler.job.monotonic", lambda: now[0])

    def answer(query, question):
        now[0] += 0.4
        return Answer(question.doc)

    def strategy():
        now[0] += 60  # a query that begins late, or thinks, has asked nothing yet
        return (yield from asks_in_turn([1], [2], [3], [4, 5]))

    job = stopped(strategy(), Budget(seconds=1.0), answer_everything(answer))
    assert job.ranking == [[1], [2], [3], [-math.inf, -math.inf]]


class Slow:
    """Answers so many questions; then it is silent until somebody wakes it."""

    def __init__(self, answers):
        self.left, self.ready, self.cancelled, self.woken = answers, [], [], Event()

    def submit(self, ticket, query, question):
        if self.left > 0:
            self.ready.append((ticket, rate_doc(query, question)))
        self.left -= 1

    def poll(self):
        if not self.ready:
            assert self.woken.wait(20)
            self.woken.clear()
        ready, self.ready = self.ready, []
        return ready

    def wake(self):
        self.woken.set()

    def cancel(self, tickets):
        self.cancelled += tickets


@pytest.mark.parametrize("memo", [True, False])
def test_what_is_out_when_the_seconds_are_over_is_taken_back(memo):
    """It was waited for: a method of one round had no limit."""
    judge, docs = Slow(answers=4), [3, 1, 2, 9, 5, 7]
    job = stopped(STRATEGIES["pointwise"](docs), Budget(seconds=0.05), judge, memo=memo)
    assert job.ranking == [9, 3, 2, 1, 5, 7]  # those that were rated, then the first stage's order
    assert (job.questions, job.calls, job.slots, job.unasked) == (6, 4, 4, 2)
    assert len(judge.cancelled) == len(set(judge.cancelled)) == 2


def test_a_query_whose_seconds_are_over_does_not_end_its_neighbours():
    judge = Slow(answers=3)
    asked = [("slow", asks_in_turn([1, 2, 3, 4])), ("quick", asks_in_turn([5]))]
    jobs = {job.query: job for job in drive(asked, judge, budget=Budget(seconds=0.05), at_once=1)}
    assert jobs["slow"].ranking == [[1, 2, 3, -math.inf]] and jobs["slow"].unasked == 1
    assert jobs["quick"].unasked == 1 and jobs["quick"].calls == 0


def test_what_is_spent_first_stops():
    budget = Budget(calls=5, tokens=300, seconds=1e9)
    assert stopped(asks_in_turn(range(9)), budget, costs(lambda doc: 100)).calls == 3
    assert stopped(asks_in_turn(range(9)), budget, costs(lambda doc: 10)).calls == 5


def test_a_query_that_is_stopped_can_still_fail():
    def answer(query, question):
        return Answer(None, Status.FAILED, error="lost")

    job = stopped(asks_in_turn([1, 2]), Budget(calls=1), answer_everything(answer), on_error="keep")
    assert (job.ranking, job.error) == (None, "lost")


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_ends_though_nothing_it_asks_is_ever_decided(name):
    for count in [*range(31), 60, 100]:
        docs = documents(count)
        assert play(STRATEGIES[name](docs), undecided)[0] == docs


def test_undecided_answers_decide_nothing():
    assert undecided(Rate("a")) == -math.inf
    assert undecided(Compare("a", "b")) == 0.5
    assert len({*undecided(Pick(("a", "b", "c")))}) == 1
    order = undecided(Order(("b", "a")))
    assert order == ["b", "a"] and isinstance(order, AsShown)
    with pytest.raises(TypeError, match="nothing is known of"):
        undecided(Question())


def test_documents_without_a_rating_follow_the_rated_in_first_stage_order():
    docs = documents(20)
    job = stopped(STRATEGIES["pointwise"](docs), Budget(calls=6))
    assert job.ranking == sorted(docs[:6], key=worth, reverse=True) + docs[6:]


def test_a_judge_that_believes_the_first_stage_moves_nothing_within_a_budget():
    docs = documents(60)
    judge = answer_everything(lambda q, x: Answer(by_value(lambda doc: -place(doc))(x)))
    assert stopped(STRATEGIES["active"](docs), Budget(calls=3), judge).ranking == docs
