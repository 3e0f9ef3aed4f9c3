"""What every strategy keeps to, whoever judges; test_every_method has what they find and cost."""

import math
from collections import Counter
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from play import (
    EVERY_COUNT,
    always_first,
    best,
    by_value,
    documents,
    identity,
    noisy,
    place,
    play,
    questions,
    worth,
)

from rerank.questions import Compare, Order, Pick
from rerank.strategies import STRATEGIES
from rerank.strategies.listwise import carried, full_ranking, sliding_window, windows
from rerank.strategies.pairwise import prp_allpairs, prp_heapsort, prp_sliding
from rerank.strategies.setwise import setwise_bubblesort, setwise_heapsort

SLOW = {"prp-allpairs", "uncertain"}
ALL = [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in STRATEGIES]
APPROXIMATE = {"top-down", "tournament", "joint-blocks", "uncertain", "active"}
SHUFFLES = {"tournament", "joint-blocks", "self-consistency"}
MOVES_ON_NOTHING = {*SHUFFLES, "uncertain"}  # which weighs a list's first place, however far down


def names(without):
    return [n for n in ALL if (n if isinstance(n, str) else n.values[0]) not in without]


EXACT = names({"first-stage", *APPROXIMATE})


@pytest.mark.parametrize("name", names({"first-stage"}))
def test_what_a_window_holds_is_exact_under_a_perfect_judge(name):
    """But for the order of a tournament, which only counts points."""
    for count in range(21):
        docs = documents(count)
        ranking, _ = play(STRATEGIES[name](docs), by_value(worth))
        if name == "tournament":
            assert {*ranking[:2]} == {*best(docs, 2)}
        else:
            assert ranking[:10] == best(docs), count


@pytest.mark.parametrize("name", ALL)
def test_a_noisy_judge_loses_invents_and_doubles_nothing(name):
    for count in EVERY_COUNT:
        docs = documents(count)
        ranking, _ = play(STRATEGIES[name](docs), noisy(worth, seed=count))
        assert sorted(ranking) == docs


@pytest.mark.parametrize("name", ALL)
def test_a_judge_that_always_takes_the_first_moves_nothing(name):
    """But in a setwise heap: a pop puts a document from the bottom first, and it stays there."""
    for count in EVERY_COUNT:
        docs = documents(count)
        ranking, _ = play(STRATEGIES[name](docs), always_first)
        assert sorted(ranking) == docs
        assert ranking == docs or name in {"setwise-heapsort", *MOVES_ON_NOTHING}


@pytest.mark.parametrize("name", names(MOVES_ON_NOTHING))
def test_a_judge_that_decides_nothing_moves_nothing(name):
    for count in EVERY_COUNT:
        docs = documents(count)
        assert play(STRATEGIES[name](docs), by_value(lambda doc: 0.0))[0] == docs


@pytest.mark.parametrize("name", names({"joint-blocks", "uncertain"}))
def test_a_judge_that_believes_the_first_stage_moves_nothing(name):
    for count in EVERY_COUNT:
        docs = documents(count)
        assert play(STRATEGIES[name](docs), identity(place))[0] == docs


@pytest.mark.parametrize("name", EXACT)
@given(grades=st.lists(st.integers(0, 2), max_size=40))
@settings(deadline=None)
def test_documents_that_look_alike_stay_apart_and_ties_keep_first_stage_order(name, grades):
    ranking, _ = play(STRATEGIES[name](list(grades)), by_value(float))
    assert sorted(ranking) == sorted(grades)
    assert ranking[:10] == sorted(grades, reverse=True)[:10]


def test_pointwise_keeps_first_stage_order_among_equals():
    docs = [("a", 1), ("b", 2), ("c", 1), ("d", 2)]
    ranking, _ = play(STRATEGIES["pointwise"](docs), by_value(worth))
    assert [name for name, _ in ranking] == ["b", "d", "a", "c"]


@pytest.mark.parametrize(("window", "stride"), [(20, 10), (10, 5), (4, 2), (7, 3), (5, 5), (1, 1)])
def test_windows_cover_every_place_and_number_as_the_formula_says(window, stride):
    for count in range(1, 151):
        parts = list(windows(count, window, stride))
        expected = 1 if count <= window else 1 + math.ceil((count - window) / stride)
        assert len(parts) == expected
        assert {i for part in parts for i in range(count)[part]} == set(range(count))
        assert all(1 <= part.stop - part.start <= window for part in parts)


@pytest.mark.parametrize("stride", [0, -1, 21])
def test_a_stride_that_skips_documents_or_stands_still_is_refused(stride):
    with pytest.raises(ValueError, match="stride must be in"):
        list(windows(100, 20, stride))


@pytest.mark.parametrize(("window", "stride", "passes"), [(10, 5, 2), (4, 2, 5), (20, 15, 2)])
def test_enough_passes_carry_the_top_ten(window, stride, passes):
    assert carried(window, stride, passes) >= 10
    for count in EVERY_COUNT:
        docs = documents(count, correlation=0)
        strategy = sliding_window(docs, window=window, stride=stride, passes=passes)
        assert play(strategy, by_value(worth))[0][:10] == best(docs)


def test_too_few_passes_do_not_carry_the_top_ten():
    docs = list(enumerate(range(100)))
    ranking, _ = play(sliding_window(docs, window=4, stride=2), by_value(worth))
    assert carried(4, 2, 1) == 2
    assert [worth(doc) for doc in ranking[:10]] != list(range(99, 89, -1))


def test_passes_stop_when_the_top_is_settled():
    _, batches = play(sliding_window(documents(100), passes=5), by_value(worth))
    assert questions(batches) == 2 * 9


def test_a_hundred_documents_cost_what_the_tables_say():
    docs = documents(100)
    asked = {
        name: questions(play(STRATEGIES[name](docs), by_value(worth))[1])
        for name in ("pointwise", "prp-allpairs", "prp-sliding", "sliding-window", "full-ranking")
    }
    assert asked == {
        "pointwise": 100,
        "prp-allpairs": 9900,
        "prp-sliding": 2 * sum(99 - i for i in range(10)),
        "sliding-window": 9,
        "full-ranking": 1,
    }


@pytest.mark.parametrize(("children", "calls"), [(2, 475), (3, 318), (9, 109), (19, 54)])
def test_setwise_bubblesort_asks_as_often_as_the_formula_says(children, calls):
    _, batches = play(setwise_bubblesort(documents(100), children=children), by_value(worth))
    assert questions(batches) == sum(math.ceil((99 - i) / children) for i in range(10)) == calls


@pytest.mark.parametrize(
    ("children", "low", "high"), [(2, 120, 138), (3, 72, 84), (9, 29, 32), (19, 21, 25)]
)
def test_setwise_heapsort_asks_as_often_as_was_measured(children, low, high):
    """But for a twentieth at most, which nobody needs once the best are known."""
    lists = [documents(100, seed=seed) for seed in range(20)]
    in_turn = sum(len(sifted_in_turn(docs, by_value(worth), children)[1]) for docs in lists)
    assert low <= in_turn / len(lists) <= high
    plays = [play(setwise_heapsort(docs, children=children), by_value(worth)) for docs in lists]
    assert 0.95 * in_turn <= sum(questions(batches) for _, batches in plays) <= in_turn


@pytest.mark.parametrize(("correlation", "low", "high"), [(0, 262, 292), (0.5, 243, 269)])
def test_prp_heapsort_asks_as_often_as_was_measured(correlation, low, high):
    counts = [
        questions(play(prp_heapsort(documents(100, correlation, seed)), by_value(worth))[1]) / 2
        for seed in range(20)
    ]
    assert low <= sum(counts) / len(counts) <= high


@pytest.mark.parametrize(
    ("strategy", "children", "most"),
    [
        (prp_heapsort, {}, 60),
        (setwise_heapsort, {"children": 2}, 30),
        (setwise_heapsort, {"children": 3}, 23),
        (setwise_heapsort, {"children": 9}, 21),
    ],
)
def test_sifts_overlap_so_a_query_waits_seldom(strategy, children, most):
    """A sift after the other, a level of the build at a time, it is 136, 68, 43 and 22 rounds."""
    plays = (play(strategy(documents(100, seed=s), **children), by_value(worth)) for s in range(20))
    assert sum(len(batches) for _, batches in plays) / 20 <= most


@pytest.mark.parametrize("children", [1, 2, 3, 9, 19])
def test_sifts_that_overlap_find_and_ask_what_they_do_one_after_another(children):
    """But for questions that nobody needs once the best are known."""
    for count in range(0, 150, 7):
        docs, answer = documents(count, seed=count), noisy_pairs(count)
        ranking, batches = play(setwise_heapsort(docs, children=children), answer)
        in_turn, asked = sifted_in_turn(docs, answer, children)
        assert ranking == in_turn
        assert Counter(chain(*batches)) <= Counter(asked)


def sifted_in_turn(docs, answer, children, keep=10):
    """The published heap, a sift at a time, and the questions of all."""
    heap, asked = list(range(len(docs))), []

    def sift(node):
        while (first := children * node + 1) < len(heap):
            family = [node, *range(first, min(first + children, len(heap)))]
            asked.append(Pick(tuple(docs[heap[place]] for place in family)))
            weights = answer(asked[-1])
            best = max(range(len(family)), key=lambda at: (weights[at], -heap[family[at]]))
            if best == 0:
                return
            heap[node], heap[family[best]] = heap[family[best]], heap[node]
            node = family[best]

    for node in reversed(range(len(docs))):
        sift(node)
    best = heap[:1]
    while len(best) < min(keep, len(docs)):
        heap[0] = heap[-1]
        heap.pop()
        sift(0)
        best.append(heap[0])
    rest = [place for place in range(len(docs)) if place not in best]
    return [docs[place] for place in best + rest], asked


@pytest.mark.parametrize(("strategy", "rounds"), [(prp_sliding, 108), (setwise_bubblesort, 28)])
def test_passes_run_side_by_side_and_rank_as_they_do_one_after_another(strategy, rounds):
    docs = documents(100)
    _, batches = play(strategy(docs), by_value(worth))
    assert len(batches) == rounds
    for seed in range(20):
        docs = documents(60 + seed, seed=seed)
        swaps = noisy_pairs(seed)
        assert play(strategy(docs), swaps)[0] == one_after_another(strategy, docs, swaps)


def noisy_pairs(seed):
    """A judge that is wrong at random, but always the same way about the same question."""
    return lambda question: noisy(worth, seed=f"{seed} {question}")(question)


def one_after_another(strategy, docs, answer):
    """The published loops, a pass at a time."""
    ranking, last = list(docs), len(docs)
    for top in range(10):
        if strategy is prp_sliding:
            for i in range(last - 1, top, -1):
                forward = answer(Compare(ranking[i], ranking[i - 1]))
                if forward > 0.5 > answer(Compare(ranking[i - 1], ranking[i])):
                    ranking[i - 1], ranking[i] = ranking[i], ranking[i - 1]
            continue
        for end in range(last, top + 1, -9):
            start = max(end - 10, top)
            weights = answer(Pick(tuple(ranking[start:end])))
            best = start + weights.index(max(weights))
            ranking[start], ranking[best] = ranking[best], ranking[start]
    return ranking


def test_prp_sliding_starts_at_the_bottom():
    assert next(prp_sliding("abc")) == [Compare("c", "b"), Compare("b", "c")]


def test_full_ranking_is_one_window():
    assert next(full_ranking("abc")) == [Order(("a", "b", "c"))]


def test_a_pair_that_the_judge_contradicts_itself_on_is_a_draw():
    ranking, _ = play(prp_allpairs("ab"), always_first)
    assert ranking == ["a", "b"]


def test_mean_debiasing_lets_the_stronger_preference_decide():
    """b is preferred in both orders, but more when it stands first."""
    strengths = {("a", "b"): 0.4, ("b", "a"): 0.55}
    strategy = prp_sliding("ab", debias="mean")
    ranking, _ = play(strategy, lambda q: strengths[q.a, q.b])
    assert ranking == ["b", "a"]
    undecided, _ = play(prp_sliding("ab", debias="mean"), lambda q: 0.7)
    assert undecided == ["a", "b"]


@pytest.mark.parametrize("strategy", [setwise_heapsort, setwise_bubblesort])
def test_a_set_of_one_is_refused(strategy):
    with pytest.raises(ValueError, match="at least one child"):
        play(strategy(documents(5), children=0), by_value(worth))
