import gzip
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

import pytest
from shared import collection

from rerank.errors import InputError, UsageError
from rerank.evaluate import Measure, canonical, evaluate, parse
from rerank.records import Doc
from rerank.runs import ranked_run

# a score that is 0.3 as a 32-bit float and above it as a 64-bit one; negative and saturated ones
SCORES = [-2.5, -0.5, 0.0, 0.3, 0.3 + 1e-9, 1.0, 1.0 + 1e-9, 1e39, 2e39]
NAMES = ["d{}", "é{}", "z{}", "{}", "文{}", "😀{}", "a-very-much-longer-document-identifier-{}"]


def tied(seed: int):
    """Random judgments and a run: ties, unjudged and negative grades, odd and absent queries."""
    dice = random.Random(seed)
    docs = [dice.choice(NAMES).format(number) for number in range(80)]
    qrels, run = {}, {}
    for number in range(40):
        query, deep = f"q{number}", dice.choice([0, 1, 5, 15, 16, 60])
        grades = [0] if number % 8 == 0 else [-2, -1, 0, 0, 1, 2, 3]
        qrels[query] = {doc: dice.choice(grades) for doc in dice.sample(docs, dice.randint(1, 40))}
        if number % 9:
            run[query] = {doc: dice.choice(SCORES) for doc in dice.sample(docs, deep)}
    return qrels, run | {"extra": {"d1": 1.0}}


def trec_eval(qrels, run, measure: str, level: int):
    import pytrec_eval

    # pytrec_eval leaves absent queries out, which trec_eval -c, like us, counts as 0; and it reads
    # past its memory (0.5.11: a crash now and then) where all grades of a query are negative
    sound = {query: grades for query, grades in qrels.items() if max(grades.values()) >= 0}
    asked = pytrec_eval.RelevanceEvaluator(sound, {measure}, relevance_level=level)
    found = asked.evaluate({query: run.get(query, {}) for query in sound})
    column = measure.replace(".", "_")
    return {query: found.get(query, {}).get(column, 0.0) for query in qrels}


def differing(ours, theirs):
    assert ours.keys() == theirs.keys()
    return [query for query in ours if abs(ours[query] - theirs[query]) > 1e-9]


TREC = {
    "ndcg": "ndcg",
    "map": "map",
    "mrr": "recip_rank",
    "recall": "set_recall",
    **{f"ndcg@{k}": f"ndcg_cut.{k}" for k in (1, 3, 10, 20, 100)},
    **{f"map@{k}": f"map_cut.{k}" for k in (5, 10, 100)},
    **{f"recall@{k}": f"recall.{k}" for k in (5, 10, 100)},
    **{f"precision@{k}": f"P.{k}" for k in (1, 5, 10, 100)},
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("level", [1, 2, 3])
def test_no_query_differs_from_trec_eval_however_many_ties_there_are(seed, level):
    qrels, run = tied(seed)
    suffix = f"-l{level}" if level > 1 else ""
    names = {
        f"{ours}{suffix}": theirs
        for ours, theirs in TREC.items()
        if level == 1 or not ours.startswith("ndcg")
    }
    scores = evaluate(qrels, run, list(names))
    for ours, theirs in names.items():
        assert differing(scores.per_query[ours], trec_eval(qrels, run, theirs, level)) == [], ours


@pytest.mark.parametrize("k", [1, 3, 10])
def test_reciprocal_rank_with_a_cutoff_is_that_of_the_first_k_documents(k):
    qrels, run = tied(7)
    cut = {query: dict(list(docs.items())[:k]) for query, docs in canonical(run).items()}
    scores = evaluate(qrels, run, [f"mrr@{k}"]).per_query[f"mrr@{k}"]
    assert differing(scores, trec_eval(qrels, cut, "recip_rank", 1)) == []
    assert scores != evaluate(qrels, run, ["mrr"]).per_query["mrr"]


@pytest.mark.slow
def test_no_query_differs_from_ranx_itself_on_the_canonical_run():
    import ranx

    qrels, run = tied(3)
    qrels = {query: {d: g for d, g in docs.items() if g >= 0} for query, docs in qrels.items()}
    names = ["ndcg@10", "ndcg", "map", "map@10-l2", "mrr@5", "recall@10-l3", "precision@5"]
    theirs = ranx.Run(canonical(run))
    ranx.evaluate(ranx.Qrels(qrels), theirs, names, make_comparable=True)
    ours = evaluate(qrels, run, names)
    for name in names:
        assert differing(ours.per_query[name], theirs.scores[name]) == []
        assert ours.mean[name] == pytest.approx(theirs.mean_scores[name], abs=1e-12)


@pytest.mark.slow
def test_25_published_runs_score_what_they_are_known_to_score():
    folder = collection("dl19")
    qrels: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, doc, grade = line.split("\t")
        qrels.setdefault(query, {})[doc] = int(grade)
    index = [line.split("\t") for line in (folder / "runs" / "INDEX.tsv").read_text().splitlines()]
    assert len(index[1:]) == 25
    for name, *_, ndcg, ap, recall, _source in index[1:]:
        run = trec_file(folder / "runs" / f"{name}.trec.gz")
        for ours, theirs, level in (("ndcg@10", "ndcg_cut.10", 1), ("map-l2", "map", 2)):
            values = evaluate(qrels, run, [ours]).per_query[ours]
            assert differing(values, trec_eval(qrels, run, theirs, level)) == [], name
        # the index lists tied documents in the order of the file, but those of repllama by id
        counted = run if name == "repllama" else in_file_order(run)
        mean = evaluate(qrels, counted, ["ndcg@10", "AP(rel=2)@100", "R(rel=2)@100"]).mean
        found = [round(value, 4) for value in mean.values()]
        assert found == [float(ndcg), float(ap), float(recall)], name


def in_file_order(run):
    falling = {q: sorted(docs, key=docs.__getitem__, reverse=True) for q, docs in run.items()}
    return ranked_run({q: [Doc(doc, "") for doc in docs] for q, docs in falling.items()})


def trec_file(path: Path):
    run: dict[str, dict[str, float]] = {}
    with gzip.open(path, "rt") as lines:
        for query, _, doc, _, score, _ in map(str.split, lines):
            run.setdefault(query, {})[doc] = float(score)
    return run


def test_ties_go_to_the_last_document_id_in_byte_order():
    run = {"q": {"10": 1.0, "9": 1.0, "z": 1.0, "é": 1.0, "A": 2.0, "a": -1.0}}
    assert canonical(run) == {"q": {"A": 6, "é": 5, "z": 4, "9": 3, "10": 2, "a": 1}}
    assert list(canonical(run)["q"]) == ["A", "é", "z", "9", "10", "a"]


def test_scores_that_are_equal_as_32_bit_floats_are_ties():
    assert list(canonical({"q": {"a": 30.0 + 1e-7, "b": 30.0}})["q"]) == ["b", "a"]
    assert list(canonical({"q": {"a": 30.0 + 1e-5, "b": 30.0}})["q"]) == ["a", "b"]


def test_a_score_does_not_depend_on_the_order_in_which_documents_and_queries_are_listed():
    qrels, run = tied(11)
    dice = random.Random(0)
    names = ["ndcg@10", "map", "mrr", "judged@10"]
    expected = evaluate(qrels, run, names)
    for _ in range(5):
        mixed = {q: dict(dice.sample(list(run[q].items()), len(run[q]))) for q in run}
        mixed = dict(dice.sample(list(mixed.items()), len(mixed)))
        turned = {query: dict(reversed(qrels[query].items())) for query in reversed(qrels)}
        found = evaluate(turned, mixed, names)
        assert (found.mean, found.per_query) == (expected.mean, expected.per_query)


def test_every_query_of_the_qrels_counts_and_what_is_absent_is_told():
    qrels = {"found": {"a": 1}, "absent": {"a": 1}, "silent": {"a": 1}, "hopeless": {"b": 0}}
    run = {"found": {"a": 1.0}, "silent": {}, "hopeless": {"b": 1.0}, "extra": {"a": 1.0}}
    before = deepcopy((qrels, run))
    scores = evaluate(qrels, run, ["nDCG@10", "RR"])
    assert scores.per_query["ndcg@10"] == {"found": 1, "absent": 0, "silent": 0, "hopeless": 0}
    assert scores.mean == {"ndcg@10": 0.25, "mrr": 0.25}
    assert scores.missing == ("absent", "silent")
    assert scores.unjudged == ("extra",)
    assert (qrels, run) == before


@pytest.mark.parametrize("run", [{}, {"q": {}}, {"other": {"a": 1.0}}])
def test_a_run_without_a_document_for_any_query_scores_zero(run):
    names = ["ndcg@10", "ndcg", "map", "mrr", "recall@5", "recall", "precision@5", "judged@5"]
    scores = evaluate({"q": {"a": 2}}, run, names)
    assert scores.mean == dict.fromkeys(names, 0.0)
    assert scores.missing == ("q",)


@pytest.mark.parametrize("grades", [{}, {"a": 0, "b": 0}, {"a": -1}])
def test_judgments_that_find_nothing_relevant_score_zero_and_count(grades):
    scores = evaluate({"q": grades, "r": {"a": 1}}, {"q": {"a": 1.0}, "r": {"a": 1.0}}, ["AP"])
    assert scores.mean == {"map": 0.5}


def test_ndcg_has_linear_gain():
    scores = evaluate({"q": {"a": 3, "b": 1}}, {"q": {"b": 2.0, "a": 1.0}}, ["ndcg"])
    discount = 0.6309297535714575  # 1 / log2(3)
    assert scores.mean["ndcg"] == pytest.approx((1 + 3 * discount) / (3 + discount), abs=1e-12)


def test_judged_at_k_is_the_share_of_the_first_k_places_with_a_judged_document():
    qrels = {"q": {"a": 1, "b": 0, "c": -1}, "short": {"a": 0}, "absent": {"a": 1}}
    run = {"q": {"b": 5.0, "x": 4.0, "a": 3.0, "c": 2.0, "y": 1.0}, "short": {"a": 1.0}}
    scores = evaluate(qrels, run, ["judged@2", "Judged@4"])
    assert scores.per_query == {
        "judged@2": {"q": 0.5, "short": 0.5, "absent": 0},
        "judged@4": {"q": 0.5, "short": 0.25, "absent": 0},  # a negative grade is no judgment
    }


def test_values_are_plain_floats_that_json_can_write():
    scores = evaluate({"q": {"a": 1}}, {"q": {"a": 1.0}}, ["ndcg@10", "judged@10"])
    values = [
        *scores.mean.values(),
        *(v for row in scores.per_query.values() for v in row.values()),
    ]
    assert {type(value) for value in values} == {float}


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_not_finite_is_refused_by_name(score):
    with pytest.raises(InputError, match=f"query q: document b has no finite score: {score}"):
        evaluate({"q": {"a": 1}}, {"q": {"a": 1.0, "b": score}}, ["map"])


def test_a_grade_that_ranx_would_cut_to_a_whole_number_is_refused_by_name():
    with pytest.raises(InputError, match=r"query q: the grade of a is no whole number: 0\.5"):
        evaluate({"q": {"a": 0.5}}, {"q": {"a": 1.0}}, ["map"])


def test_qrels_without_a_query_are_refused():
    with pytest.raises(InputError, match="no relevance judgments"):
        evaluate({}, {"q": {"a": 1.0}}, ["map"])


def test_eight_threads_get_the_same_values():
    qrels, run = tied(5)
    expected = evaluate(qrels, run, ["ndcg@10", "map"])
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: evaluate(qrels, run, ["ndcg@10", "map"]), range(16)))
    assert found == [expected] * 16


@pytest.mark.parametrize(
    ("names", "measure"),
    [
        (["ndcg@10", "nDCG@10", "NDCG@10"], Measure("ndcg", 10)),
        (["map", "AP", "MAP"], Measure("map")),
        (["map-l2", "AP(rel=2)"], Measure("map", None, 2)),
        (["map@100-l2", "AP(rel=2)@100"], Measure("map", 100, 2)),
        (["mrr@10", "RR@10", "RR(rel=1)@10", "mrr@10-l1"], Measure("mrr", 10)),
        (["recall@100-l2", "R(rel=2)@100"], Measure("recall", 100, 2)),
        (["precision@10", "P@10"], Measure("precision", 10)),
        (["judged@10", "Judged@10"], Measure("judged", 10)),
    ],
)
def test_a_measure_is_read_as_ranx_and_as_ir_measures_write_it(names, measure):
    assert [parse(name) for name in names] == [measure] * len(names)
    assert str(measure) == names[0]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ndgc@10", "did you mean ndcg@10"),
        ("ndcg_cut_10", "did you mean ndcg@10"),
        ("P_5", "did you mean precision@5"),
        ("precison", "did you mean precision"),
        ("bpref", "there are ndcg, map, mrr, recall, precision, judged"),
        ("ndcg@0", "did you mean ndcg"),
        ("map@10-l0", "did you mean map@10"),
        ("AP(rel=2)-l2", "did you mean map"),
        ("", "there are"),
        ("ndcg@10-l2", "ndcg has no relevance level"),
        ("judged@10-l2", "judged has no relevance level"),
        ("P", "precision needs a cutoff, as in precision@10"),
        ("judged", "judged needs a cutoff"),
    ],
)
def test_a_measure_that_there_is_not_is_a_usage_error_with_advice(name, advice):
    with pytest.raises(UsageError) as error:
        parse(name)
    assert advice in str(error.value)
    assert "\n" not in str(error.value)


def python(code: str, cache: Path) -> str:
    """Run code in a fresh interpreter, where numba compiles, into `cache`, as for a user."""
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | {"NUMBA_CACHE_DIR": str(cache)},
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_naming_a_measure_imports_neither_numpy_nor_ranx(tmp_path):
    heavy = "sorted({'numpy', 'numba', 'ranx', 'pandas'} & set(sys.modules))"
    code = f"import sys, rerank.evaluate as e; e.parse('P@5'); print({heavy})"
    assert python(code, tmp_path) == "[]\n"


@pytest.mark.slow
def test_scoring_compiles_nothing_and_changes_nothing_that_others_get_from_numba_and_ranx(tmp_path):
    code = """
import sys
from rerank.evaluate import evaluate
value = evaluate({"q": {"a": 1}}, {"q": {"b": 2.0, "a": 1.0}}, ["map"]).mean["map"]
import numba
print(value, numba.config.DISABLE_JIT, "pandas" in sys.modules)
from ranx.metrics import ndcg
print(type(ndcg.__globals__["_ndcg"]).__name__)
print(evaluate({"q": {"a": 1}}, {"q": {"b": 2.0, "a": 1.0}}, ["map"]).mean["map"])
"""
    assert python(code, tmp_path) == "0.5 0 False\nCPUDispatcher\n0.5\n"
    assert list(tmp_path.rglob("*.nbc")) == []  # nothing was compiled


@pytest.mark.slow
def test_a_compiled_ranx_of_the_caller_gives_the_same_values_and_survives_threads(tmp_path):
    code = """
import ranx, sys
from concurrent.futures import ThreadPoolExecutor
from rerank.evaluate import evaluate, measures
qrels = {"q": {"a": 1, "c": 2}, "r": {"a": 1}}
def score(_):
    return evaluate(qrels, {"q": {"b": 2.0, "a": 1.0}}, ["map"]).per_query["map"]
with ThreadPoolExecutor(8) as threads:
    found = list(threads.map(score, range(200)))
print(measures._ranx() is sys.modules["ranx.metrics"], found[0], found == found[:1] * 200)
"""
    assert python(code, tmp_path) == "True {'q': 0.25, 'r': 0.0} True\n"
    assert list(tmp_path.rglob("*.nbc")) != []  # it was compiled indeed


def test_a_missing_ranx_is_one_line_that_says_what_to_install(tmp_path):
    code = """
import sys
from rerank.errors import MissingExtra
from rerank.evaluate import evaluate
sys.path[:] = [place for place in sys.path if "site-packages" not in place]
try:
    evaluate({"q": {"a": 1}}, {}, ["map"])
except MissingExtra as missing:
    print(missing)
"""
    assert "rerank-pipeline[eval]" in python(code, tmp_path)
