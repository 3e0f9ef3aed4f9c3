"""Every row of the table, at every length from 0 to 150: exact where its paper is, legal always."""

import json
from dataclasses import replace

import pytest
from costs import bounds
from play import EVERY_COUNT, JUDGES, best, by_value, documents, play, questions, worth

from rerank.methods import METHODS
from rerank.strategies import STRATEGIES, options_of

APPROXIMATE = {"top-down", "tournament", "joint-blocks", "uncertain", "active"}
SLOW = {"prp-allpairs", "prp-heapsort", "prp-sliding", "uncertain", "active"}


def alike():
    """The first of the rows that ask alike, by the names of all of them."""
    rows = {}
    for name, row in METHODS.items():
        rows.setdefault((row.strategy, json.dumps(row.options)), []).append(name)
    for names in rows.values():
        slow = [pytest.mark.slow] if METHODS[names[0]].strategy in SLOW else []
        yield pytest.param(METHODS[names[0]], id="+".join(names), marks=slow)


ROWS = [*alike()]
EXACT = [row for row in ROWS if row.values[0].strategy not in {"first-stage", *APPROXIMATE}]


def wanted(row):
    """A row for each k in 1, 5 and 10; a strategy that knows no k sorts all."""
    if "k" not in options_of(STRATEGIES[row.strategy]):
        return {10: row}
    return {k: replace(row, options={**row.options, "k": k}) for k in (1, 5, 10)}


def counts(row):
    """Every length; all pairs also once for each way to weigh their answers, at fewer."""
    weighed = row.strategy == "prp-allpairs" and row.options
    return [*range(31), 50, 75, 100, 150] if weighed else EVERY_COUNT


def asking(row, docs):
    return STRATEGIES[row.strategy](docs, **row.options)


@pytest.mark.parametrize("row", EXACT)
def test_with_a_perfect_judge_the_top_k_is_right_at_the_predicted_cost(row):
    for k, one in wanted(row).items():
        for count in counts(one):
            docs = documents(count)
            ranking, batches = play(asking(one, docs), by_value(worth))
            least, most = bounds(one, count)
            assert ranking[:k] == best(docs, k), (count, k)
            assert sorted(ranking) == docs
            assert least <= questions(batches) <= most, (count, k)


@pytest.mark.parametrize("judge", ["always first", "always last", "at random"])
@pytest.mark.parametrize("row", ROWS)
def test_whoever_judges_it_is_a_permutation_at_the_predicted_cost(row, judge):
    for k, one in wanted(row).items():
        for count in counts(one):
            docs = documents(count)
            ranking, batches = play(asking(one, docs), JUDGES[judge](count))
            least, most = bounds(one, count)
            assert sorted(ranking) == docs
            assert least <= questions(batches) <= most, (count, k)
