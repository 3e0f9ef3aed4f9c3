"""The beliefs that ship are those that the labels of dl19 make most likely."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import multivariate_normal, norm
from shared import collection

from rerank.beliefs import BELIEFS, Belief
from rerank.datasets import read_qrels
from rerank.judges import Oracle
from rerank.questions import Compare, Order, Rate
from rerank.records import Doc, Query

GRADES = range(4)


@cache
def labels(model):
    return read_qrels(collection("dl19") / "llm_grades" / f"{model}.four_prompts.qrels.gz")


@cache
def truth():
    return read_qrels(collection("dl19") / "qrels" / "test.tsv")


def counts(*models):
    """How often each true grade got each label, or each pair of labels of two models."""
    shape = np.zeros((4,) * (1 + len(models)))
    for query, grades in truth().items():
        for doc, grade in grades.items():
            shape[(grade, *(labels(model)[query][doc] for model in models))] += 1
    return shape


def unpack(numbers):
    """Means, spreads and cuts; grade 0 is the unit, its mean the zero."""
    means = np.array([0.0, *numbers[:3]])
    spreads = np.exp([0.0, *numbers[3:6]])
    cuts = numbers[6] + np.array([0.0, *np.cumsum(np.exp(numbers[7:9]))])
    return means, spreads, cuts


def shares(numbers):
    """How often each true grade gets each label, if a label is a place between two cuts."""
    means, spreads, cuts = unpack(numbers)
    below = norm.cdf((cuts - means[:, None]) / spreads[:, None])
    return np.diff(below, axis=1, prepend=0.0, append=1.0)


@cache
def fitted(model):
    found = counts(model)
    start = [1.0, 1.5, 2.0, 0.0, 0.0, 0.0, -0.4, 0.0, 0.0]
    best = minimize(
        lambda numbers: -(found * np.log(shares(numbers) + 1e-12)).sum(),
        start,
        method="Nelder-Mead",
        options={"maxiter": 40000, "maxfev": 40000, "xatol": 1e-8, "fatol": 1e-8},
    )
    return best.x


def correlation(model, other):
    """Of two models' beliefs about documents of one grade, as the pairs of labels have it."""
    found = counts(model, other)
    cuts = []
    for one in (model, other):
        means, spreads, at = unpack(fitted(one))
        cuts.append((np.array([-40.0, *at, 40.0]) - means[:, None]) / spreads[:, None])

    def surprise(rho):
        normal = multivariate_normal(cov=[[1, rho], [rho, 1]])
        total = 0.0
        for grade in GRADES:
            corners = np.stack(np.meshgrid(*(cut[grade] for cut in cuts), indexing="ij"), -1)
            cells = np.diff(np.diff(normal.cdf(corners.clip(-8, 8)), axis=0), axis=1)
            total -= (found[grade] * np.log(cells.clip(1e-9))).sum()
        return total

    return minimize_scalar(surprise, bounds=(0, 0.99), method="bounded", options={"xatol": 1e-3}).x


@pytest.mark.slow
@pytest.mark.parametrize("model", BELIEFS)
def test_means_and_spreads_make_the_labels_most_likely(model):
    means, spreads, _ = unpack(fitted(model))
    assert BELIEFS[model].means == pytest.approx(means, abs=0.006)
    assert BELIEFS[model].spreads == pytest.approx(spreads, abs=0.006)


@pytest.mark.slow
@pytest.mark.parametrize("model", BELIEFS)
def test_beliefs_between_cuts_are_labels_as_often_as_the_model_gave_them(model):
    """Within 5 in 100 for every true grade and label, and within 2 in 100 on average."""
    found = counts(model) / counts(model).sum(1, keepdims=True)
    assert shares(fitted(model)) == pytest.approx(found, abs=0.05)
    assert np.abs(shares(fitted(model)) - found).mean() < 0.02


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "like"),
    [("llama3-70b", "llama3-8b"), ("llama3-8b", "llama3-70b"), ("flan-t5-large", "llama3-70b")],
)
def test_what_is_kept_is_what_the_most_similar_model_shares(model, like):
    assert BELIEFS[model].kept == pytest.approx(correlation(model, like), abs=0.01)
    assert BELIEFS[model].kept >= correlation(model, *({*BELIEFS} - {model, like})) - 0.01


def test_a_grade_above_the_highest_is_as_the_highest_and_below_none_as_none():
    belief = Belief((0.0, 1.0), (2.0, 3.0), 0.5)
    assert [belief.at(g) for g in (-1, 0, 0.5, 1, 9)] == [
        (0.0, 2.0), (0.0, 2.0), (0.0, 2.0), (1.0, 3.0), (1.0, 3.0),
    ]  # fmt: skip


# -------------------------------------------------------------------------- an oracle with beliefs


QUERY = Query("q", "?")
DOCS = [Doc(f"d{i}", "") for i in range(4000)]
QRELS = {"q": {doc.id: i % 4 for i, doc in enumerate(DOCS)}}


def ask(oracle, question):
    oracle.submit(0, QUERY, question)
    [(_, answer)] = oracle.poll()
    return answer.value


def test_an_oracle_believes_what_the_model_does():
    belief = BELIEFS["llama3-70b"]
    oracle = Oracle(QRELS, like="llama3-70b")
    ratings = np.array([ask(oracle, Rate(doc)) for doc in DOCS]).reshape(-1, 4)
    assert ratings.mean(0) == pytest.approx(belief.means, abs=0.2)
    assert ratings.std(0) == pytest.approx(belief.spreads, rel=0.1)


def test_it_keeps_a_share_of_its_errors_from_question_to_question():
    """A compared document is asked about anew; its rating correlates as much as is kept."""
    oracle = Oracle(QRELS, like="llama3-70b")
    zeros = DOCS[::4]
    rated = {doc: ask(oracle, Rate(doc)) for doc in zeros}
    order = ask(oracle, Order(tuple(zeros)))
    places = [-order.index(doc) for doc in zeros]
    again = norm.ppf((np.argsort(np.argsort(places)) + 0.5) / len(places))
    seen = np.corrcoef([rated[doc] for doc in zeros], again)[0, 1]
    assert seen == pytest.approx(BELIEFS["llama3-70b"].kept, abs=0.05)


def test_the_same_question_has_the_same_answer_in_any_order_of_questions():
    pairs = [Compare(a, b) for a, b in zip(DOCS[:40], DOCS[40:80], strict=True)]
    one, other = Oracle(QRELS, like="llama3-8b", seed=3), Oracle(QRELS, like="llama3-8b", seed=3)
    assert [ask(one, p) for p in pairs] == [ask(other, p) for p in reversed(pairs)][::-1]
    third = Oracle(QRELS, like="llama3-8b", seed=4)
    assert [ask(one, p) for p in pairs] != [ask(third, p) for p in pairs]


def test_a_weaker_model_orders_worse():
    """By how often a document of grade 2 is preferred to one of grade 0."""

    def won(like):
        oracle = Oracle(QRELS, like=like)
        wins = Counter(ask(oracle, Compare(DOCS[i + 2], DOCS[i])) for i in range(0, 4000, 4))
        return wins[1.0] / 1000

    assert won("llama3-70b") > won("llama3-8b") > 0.75
    assert won(None) == 1.0
