"""What `expect` says is what a run will do: formulas, measured ranges, and words weighed."""

from math import ceil

import pytest

from rerank import prompts
from rerank.cost import WORDED, expect, strategy_of, warnings
from rerank.errors import UsageError
from rerank.judges import LLMJudge, Oracle
from rerank.methods import METHODS, Method
from rerank.prompts import read_prompt
from rerank.questions import Order
from rerank.records import Doc, Query
from rerank.scheduler import drive
from rerank.wants import Reply

SIZES = [0, 1, 2, 3, 5, 10, 11, 19, 20, 21, 25, 29, 30, 31, 37, 60, 95, 100]


def windows(n, w=20, s=10):
    """algorithms.md section 2.1."""
    if n <= w:
        return int(n > 1)
    return 1 + ceil((n - w) / s)


def sliding(n, k=10):
    return 2 * sum(n - 1 - i for i in range(min(k, n)))


def sliding_rounds(n, k=10):
    return n - 1 + min(k, n - 1) - 1 if n > 1 else 0


def bubble(n, k=10, c=9):
    return sum(ceil((n - 1 - i) / c) for i in range(min(k, n)))


def bubble_rounds(n, k=10, c=9):
    """Each pass starts two sets behind the one before it."""
    return len({2 * i + j for i in range(min(k, n)) for j in range(ceil((n - 1 - i) / c))})


FORMULAS = {  # method, options: calls, rounds
    "scorer": ({}, lambda n: n, lambda n: min(n, 1)),
    "yes-no": ({}, lambda n: n, lambda n: min(n, 1)),
    "prp-allpairs": ({}, lambda n: n * (n - 1), lambda n: int(n > 1)),
    "prp-sliding": ({}, sliding, sliding_rounds),
    "prp-sliding-labels": (
        {"k": 3},
        lambda n: sliding(n, 3),
        lambda n: sliding_rounds(n, 3),
    ),
    "setwise-bubblesort": ({}, bubble, bubble_rounds),
    "setwise-bubblesort-labels": (
        {"k": 4, "children": 3},
        lambda n: bubble(n, 4, 3),
        lambda n: bubble_rounds(n, 4, 3),
    ),
    "listwise": ({}, windows, windows),
    "first": ({"window": 8, "stride": 3}, lambda n: windows(n, 8, 3), lambda n: windows(n, 8, 3)),
    "full-ranking": ({}, lambda n: int(n > 1), lambda n: int(n > 1)),
    "first-stage": ({}, lambda n: 0, lambda n: 0),
}


def row(method, options=None):
    known = METHODS[method]
    return Method(known.strategy, known.prompt, "", "", "", {**known.options, **(options or {})})


def candidates(*sizes):
    return {
        Query(f"q{q}", f"query {q}"): [Doc(f"d{d}", f"text {'word ' * d}") for d in range(n)]
        for q, n in enumerate(sizes)
    }


@pytest.mark.parametrize("method", FORMULAS)
def test_calls_and_rounds_are_the_formulas_for_every_size(method):
    options, calls, rounds = FORMULAS[method]
    sizes = [n for n in SIZES if n <= 40 or method != "prp-allpairs"]
    for n in sizes:
        cost = expect(row(method, options), candidates(n), memo=False, worded=False)
        assert (cost.calls, cost.rounds) == (calls(n), rounds(n)), n
    every = expect(row(method, options), candidates(*sizes), memo=False, worded=False)
    assert every.calls == sum(map(calls, sizes))
    assert every.rounds == pytest.approx(sum(map(rounds, sizes)) / len(sizes))
    assert every.queries == len(sizes)


@pytest.mark.parametrize(
    ("method", "options", "low", "high"),
    [  # algorithms.md section 1.1: N = 100, k = 10
        ("prp-heapsort", {}, 2 * 235, 2 * 278),
        ("setwise-heapsort", {}, 30.2 * 0.9, 30.2 * 1.1),
        ("setwise-heapsort", {"children": 3}, 78 * 0.9, 78 * 1.1),
        ("setwise-heapsort", {"children": 2}, 129 * 0.9, 129 * 1.1),
        ("setwise-heapsort", {"children": 19}, 21.7 * 0.9, 21.7 * 1.1),
    ],
)
def test_heapsorts_cost_what_was_measured(method, options, low, high):
    cost = expect(row(method, options), candidates(100), worded=False)
    assert low <= cost.calls <= high
    assert cost.rounds < cost.calls


@pytest.mark.parametrize("memo", [False, True])
@pytest.mark.parametrize("method", ["yes-no", "prp-allpairs", "listwise", "full-ranking"])
def test_an_oracle_run_asks_exactly_what_was_expected(method, memo):
    asked, given = row(method), candidates(3, 20, 45)
    strategy, _ = strategy_of(asked)
    qrels = {q.id: {d.id: int(d.id[1:]) % 4 for d in docs} for q, docs in given.items()}
    jobs = list(drive(((q, strategy(d)) for q, d in given.items()), Oracle(qrels), memo=memo))
    cost = expect(asked, given, memo=memo, worded=False)
    assert cost.calls == sum(job.calls for job in jobs)
    assert cost.slots == sum(job.slots for job in jobs)
    assert cost.rounds == pytest.approx(sum(job.rounds for job in jobs) / len(jobs))


def test_the_memo_saves_what_bubblesort_asks_twice():
    asked = row("setwise-bubblesort")
    without, cost = (expect(asked, candidates(100), memo=m, worded=False) for m in (False, True))
    assert without.calls == 109
    assert 66 * 0.8 <= cost.calls <= 66 * 1.2  # algorithms.md section 1.1


class Weighing:
    """An engine that weighs what it is asked and scores nothing apart."""

    name, special_tokens, cut = "weighing", (), None

    def __init__(self, wants):
        self.wants, self.characters, self.out = (wants,), 0, []

    def submit(self, ticket, request):
        self.characters += sum(len(m.content) for m in request.messages) + len(request.prefill)
        self.out.append((ticket, Reply(text="[1]", scores=(0.0,) * 2)))

    def poll(self):
        out, self.out = self.out, []
        return out


@pytest.mark.parametrize("method", ["yes-no", "prp-allpairs", "full-ranking"])
def test_prompt_tokens_are_a_quarter_of_the_characters_that_a_model_is_sent(method):
    asked, given = row(method), candidates(4, 9, 17)
    strategy, prompt = strategy_of(asked)
    engine = Weighing(prompt.reader.wants)
    list(drive(((q, strategy(d)) for q, d in given.items()), LLMJudge(prompt, engine)))
    assert expect(asked, given).prompt_tokens == round(engine.characters / 4)


def test_new_tokens_are_at_most_what_a_reply_may_have():
    given = candidates(10, 20)
    tens, twenties = (len(f"[{i}] > ") for i in (1, 10))
    listed = 9 * tens + 1 * twenties, 9 * tens + 11 * twenties
    assert expect(row("full-ranking"), given).completion_tokens == sum(listed)
    assert expect(row("yes-no"), given).completion_tokens == 30
    assert expect(row("prp-allpairs"), given).completion_tokens == 8 * (90 + 380)
    assert expect(row("scorer"), given).completion_tokens == 0


def test_of_very_many_questions_some_are_worded_and_the_rest_reckoned(monkeypatch):
    worded, word = [], prompts.Prompt.wording
    monkeypatch.setattr(prompts.Prompt, "wording", lambda *given: worded.append(1) or word(*given))
    asked, given = row("prp-allpairs"), candidates(50, 50, 50)
    cost = expect(asked, given)
    assert cost.calls == 3 * 50 * 49 and WORDED <= len(worded) <= 2 * WORDED
    template = len(read_prompt("pairwise/prp").file.user)
    each = 2 * (len("text ") + len("word ") * 49 / 2) + template
    assert cost.prompt_tokens == pytest.approx(cost.calls * each / 4, rel=0.1)


def test_the_widest_question_is_known():
    assert expect(row("listwise", {"window": 7, "stride": 3}), candidates(5, 40)).widest == 7
    assert expect(row("setwise-heapsort"), candidates(100)).widest == 10
    assert expect(row("full-ranking"), candidates(3, 33)).widest == 33
    assert expect(row("scorer"), candidates(0)).widest == 0


def test_nothing_to_rank_costs_nothing():
    cost = expect(row("listwise"), {})
    assert (cost.queries, cost.calls, cost.rounds, cost.prompt_tokens) == (0, 0, 0, 0)


def test_a_prompt_for_another_question_is_refused_also_for_two_documents():
    wrong = Method("pointwise", "listwise/first", "", "", "")
    with pytest.raises(UsageError, match="asks Rate, prompt listwise/first Order"):
        expect(wrong, candidates(2))


def test_letters_for_more_documents_than_there_are_letters_are_refused():
    with pytest.raises(UsageError, match="letters for 26 documents, not 27"):
        expect(row("first", {"window": 27, "stride": 5}), candidates(30))
    assert expect(row("first", {"window": 27, "stride": 5}), candidates(26)).calls == 1


@pytest.mark.parametrize(
    ("options", "depth", "warns"),
    [
        ({}, 100, False),
        ({"window": 10, "stride": 5}, 100, True),
        ({"window": 10, "stride": 5, "passes": 2}, 100, False),
        ({"window": 10, "stride": 5, "k": 5}, 100, False),
        ({"window": 4, "stride": 2, "passes": 4}, 100, True),
        ({"window": 10, "stride": 5}, 10, False),
        ({"window": 10, "stride": 10}, 11, True),
    ],
)
def test_windows_that_carry_too_few_documents_warn(options, depth, warns):
    """algorithms.md section 2.1: passes * (window - stride) < k."""
    assert bool(warnings(row("listwise", options), depth)) == warns
    assert warnings(row("setwise-heapsort"), depth) == []


def loses(docs):
    yield [Order(tuple(docs))]
    return list(docs)[:2]


def forgets(docs):
    yield [Order(tuple(docs))]


def doubles(docs):
    yield [Order(tuple(docs))]
    return [*docs, docs[0]]


@pytest.mark.parametrize("name", ["loses", "forgets", "doubles"])
def test_a_strategy_that_does_not_return_its_documents_is_refused_before_a_model_loads(name):
    mine = Method(f"{__name__}:{name}", "listwise/rank-zephyr", "", "", "")
    with pytest.raises(UsageError, match=r"did not return its 5 documents, each once"):
        expect(mine, candidates(5))
