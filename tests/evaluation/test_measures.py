import gzip
import random
import subprocess
import sys
from array import array
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

import pytest
from shared import collection

from rerank.errors import InputError, UsageError
from rerank.evaluate import Measure, evaluate, parse
from rerank.evaluate.measures import at_level
from rerank.records import Doc
from rerank.runs import ranked_run

# a score that is 0.3 as a 32-bit float and above it as a 64-bit one; negative and saturated ones
SCORES = [-2.5, -0.5, 0.0, 0.3, 0.3 + 1e-9, 1.0, 1.0 + 1e-9, 1e39, 2e39]
NAMES = ["d{}", "é{}", "z{}", "{}", "文{}", "😀{}", "a-very-much-longer-document-identifier-{}"]


def tied(seed: int, queries: int = 40):
    """Random judgments and a run: ties, unjudged and negative grades, odd and absent queries."""
    dice = random.Random(seed)
    docs = [dice.choice(NAMES).format(number) for number in range(80)]
    qrels, run = {}, {}
    for number in range(queries):
        query, deep = f"q{number}", dice.choice([0, 1, 5, 15, 16, 60])
        grades = [0] if number % 8 == 0 else [-2, -1, 0, 0, 1, 2, 3]
        qrels[query] = {doc: dice.choice(grades) for doc in dice.sample(docs, dice.randint(1, 40))}
        if number % 9:
            run[query] = {doc: dice.choice(SCORES) for doc in dice.sample(docs, deep)}
    return qrels, run | {"extra": {"d1": 1.0}}


def canonical(run):
    """Trec_eval's order, written out: 32-bit scores, the last id first; scores are n - rank + 1."""
    falling = {}
    for query, scores in run.items():
        docs = sorted(zip(array("f", scores.values()), scores, strict=True), reverse=True)
        falling[query] = {doc: float(len(docs) - i) for i, (_, doc) in enumerate(docs)}
    return falling


def trec_eval(qrels, run, measures, level: int = 1):
    """Pytrec_eval's values by measure and query.

    It leaves absent queries out, which trec_eval -c, like us, counts as 0; and it reads past its
    memory (0.5.11: a crash now and then) where all grades of a query are negative or, for bpref,
    the run has no document.
    """
    import pytrec_eval

    sound = {query: grades for query, grades in qrels.items() if max(grades.values()) >= 0}
    asked = pytrec_eval.RelevanceEvaluator(sound, set(measures), relevance_level=level)
    found = asked.evaluate({query: run[query] for query in sound if run.get(query)})
    columns = {measure: measure.replace(".", "_") for measure in measures}
    return {
        measure: {query: found.get(query, {}).get(column, 0.0) for query in qrels}
        for measure, column in columns.items()
    }


def differing(ours, theirs):
    assert ours.keys() == theirs.keys()
    return [query for query in ours if abs(ours[query] - theirs[query]) > 1e-12]


TREC = {
    "ndcg": "ndcg",
    "map": "map",
    "mrr": "recip_rank",
    "recall": "set_recall",
    "r-precision": "Rprec",
    **{f"ndcg@{k}": f"ndcg_cut.{k}" for k in (1, 3, 10, 20, 100)},
    **{f"map@{k}": f"map_cut.{k}" for k in (5, 10, 100)},
    **{f"recall@{k}": f"recall.{k}" for k in (5, 10, 100)},
    **{f"precision@{k}": f"P.{k}" for k in (1, 5, 10, 100)},
    **{f"success@{k}": f"success.{k}" for k in (1, 5, 10)},
}


def agree_with_trec_eval(qrels, run, level, measures):
    suffix = f"-l{level}" if level > 1 else ""
    names = {
        f"{ours}{suffix}": theirs
        for ours, theirs in measures.items()
        if level == 1 or not ours.startswith("ndcg")
    }
    scores = evaluate(qrels, run, list(names))
    theirs = trec_eval(qrels, run, names.values(), level)
    for ours, name in names.items():
        assert differing(scores.per_query[ours], theirs[name]) == [], ours


def with_bpref(qrels, level):
    """The queries that have a document judged not relevant, or none that is."""
    bounds = {q: [grade for grade in docs.values() if grade >= 0] for q, docs in qrels.items()}
    return {q: qrels[q] for q, g in bounds.items() if not g or min(g) < level or max(g) < level}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("level", [1, 2, 3])
def test_no_query_differs_from_trec_eval_however_many_ties_there_are(seed, level):
    qrels, run = tied(seed)
    agree_with_trec_eval(qrels, run, level, TREC)
    agree_with_trec_eval(with_bpref(qrels, level), run, level, {"bpref": "bpref"})


@pytest.mark.slow
@pytest.mark.parametrize("level", [1, 2])
def test_none_of_ten_thousand_queries_differs_from_trec_eval(level):
    qrels, run = tied(123, queries=10_000)
    agree_with_trec_eval(qrels, run, level, TREC)
    agree_with_trec_eval(with_bpref(qrels, level), run, level, {"bpref": "bpref"})


@pytest.mark.parametrize("k", [1, 3, 10])
def test_reciprocal_rank_with_a_cutoff_is_that_of_the_first_k_documents(k):
    qrels, run = tied(7)
    cut = {query: dict(list(docs.items())[:k]) for query, docs in canonical(run).items()}
    scores = evaluate(qrels, run, [f"mrr@{k}"]).per_query[f"mrr@{k}"]
    assert differing(scores, trec_eval(qrels, cut, ["recip_rank"])["recip_rank"]) == []
    assert scores != evaluate(qrels, run, ["mrr"]).per_query["mrr"]


@pytest.mark.slow
def test_no_query_differs_from_ranx_on_the_canonical_run():
    import ranx

    qrels, run = tied(3)
    qrels = {query: {d: g for d, g in docs.items() if g >= 0} for query, docs in qrels.items()}
    binary = {query: {d: min(g, 1) for d, g in docs.items()} for query, docs in qrels.items()}
    for judged, names in (
        (qrels, ["ndcg@10", "ndcg", "ndcg_burges@10", "map", "map@10-l2", "mrr@5", "recall@10-l3"]),
        (qrels, ["precision@5", "r-precision-l2", "hit_rate@3"]),
        (binary, ["rbp.8", "rbp.95"]),  # with more grades its gains are not 0 or 1
    ):
        theirs = ranx.Run(canonical(run))
        ranx.evaluate(ranx.Qrels(judged), theirs, names, make_comparable=True)
        ours = evaluate(judged, run, names)
        for name, ours_name in zip(names, ours.mean, strict=True):
            assert differing(ours.per_query[ours_name], theirs.scores[name]) == []
            assert ours.mean[ours_name] == pytest.approx(theirs.mean_scores[name], abs=1e-12)


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
        agree_with_trec_eval(qrels, run, 1, {"ndcg@10": "ndcg_cut.10", "bpref": "bpref"})
        agree_with_trec_eval(qrels, run, 2, {"map": "map", "r-precision": "Rprec"})
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


@pytest.mark.parametrize(
    ("scores", "ranking"),
    [
        ({"10": 1.0, "9": 1.0, "z": 1.0, "é": 1.0, "A": 2.0, "a": -1.0}, "A é z 9 10 a"),
        ({"a": 30.0 + 1e-7, "b": 30.0}, "b a"),  # equal as 32-bit floats
        ({"a": 30.0 + 1e-5, "b": 30.0}, "a b"),
        ({"a": 1e39, "b": 2e39, "c": 1e38}, "b a c"),
    ],
)
def test_ties_go_to_the_last_document_id_in_byte_order(scores, ranking):
    for rank, doc in enumerate(ranking.split(), 1):
        assert evaluate({"q": {doc: 1}}, {"q": scores}, ["mrr"]).mean["mrr"] == 1 / rank


def test_a_score_does_not_depend_on_the_order_in_which_documents_and_queries_are_listed():
    qrels, run = tied(11)
    dice = random.Random(0)
    names = ["ndcg@10", "map", "mrr", "judged@10", "err@20", "rbp.8", "r-precision", "wss@95"]
    expected = evaluate(qrels, run, names)
    tied_still = evaluate(qrels, run, names, "expected")
    for _ in range(5):
        mixed = {q: dict(dice.sample(list(run[q].items()), len(run[q]))) for q in run}
        mixed = dict(dice.sample(list(mixed.items()), len(mixed)))
        turned = {query: dict(reversed(qrels[query].items())) for query in reversed(qrels)}
        found = evaluate(turned, mixed, names)
        assert (found.mean, found.per_query) == (expected.mean, expected.per_query)
        found = evaluate(turned, mixed, names, "expected")
        assert (found.mean, found.per_query) == (tied_still.mean, tied_still.per_query)


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
    names += ["success@5", "r-precision", "bpref", "rbp.8", "err", "wss@95", "recall@10%"]
    scores = evaluate({"q": {"a": 2, "b": 0}}, run, names)
    assert scores.mean == dict.fromkeys(names, 0.0)
    assert scores.missing == ("q",)


@pytest.mark.parametrize("grades", [{}, {"a": 0, "b": 0}, {"a": -1}])
def test_judgments_that_find_nothing_relevant_score_zero_and_count(grades):
    scores = evaluate({"q": grades, "r": {"a": 1}}, {"q": {"a": 1.0}, "r": {"a": 1.0}}, ["AP"])
    assert scores.mean == {"map": 0.5}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("map", "map-l2"),
        ("R@100", "recall@100-l2"),
        ("AP(rel=3)", "map-l3"),
        ("ndcg@10", "ndcg@10"),
        ("judged@10", "judged@10"),
        ("err@20", "err@20"),
        ("rbp.95", "rbp.95-l2"),
    ],
)
def test_a_level_is_for_measures_without_grades_that_name_none(name, found):
    assert str(at_level(name, 2)) == found
    assert at_level(name, 1) == parse(name)


def test_ndcg_has_linear_gain():
    scores = evaluate({"q": {"a": 3, "b": 1}}, {"q": {"b": 2.0, "a": 1.0}}, ["ndcg"])
    discount = 0.6309297535714575  # 1 / log2(3)
    assert scores.mean["ndcg"] == pytest.approx((1 + 3 * discount) / (3 + discount), abs=1e-12)


def test_ndcg_burges_has_exponential_gain():
    scores = evaluate({"q": {"a": 3, "b": 1}}, {"q": {"b": 2.0, "a": 1.0}}, ["ndcg_burges"])
    discount = 0.6309297535714575  # 1 / log2(3)
    assert scores.mean["ndcg_burges"] == pytest.approx((1 + 7 * discount) / (7 + discount))


def test_err_is_gdevals():
    """gdeval.pl 1.2a: the chance to stop is (2^grade - 1) / 16, whatever the highest grade is."""
    qrels = {"q": {"a": 3, "b": 0, "c": 1, "d": 4, "e": 2}, "none": {"a": 0}}
    run = {"q": {"b": 9.0, "x": 8.0, "c": 7.0, "a": 6.0, "d": 5.0}, "none": {"a": 1.0}}
    scores = evaluate(qrels, run, ["err", "err@4", "ERR@2"])
    upto4 = 1 / 16 / 3 + 15 / 16 * 7 / 16 / 4
    whole = upto4 + 15 / 16 * 9 / 16 * 15 / 16 / 5
    found = [scores.per_query[name]["q"] for name in ("err", "err@4", "err@2")]
    assert found == pytest.approx([whole, upto4, 0.0])
    assert scores.per_query["err"]["none"] == 0
    with pytest.raises(InputError, match="query r: err knows no grade above 4"):
        evaluate({"q": {"a": 4}, "r": {"a": 5}}, run, ["err"])


def test_rbp_adds_up_what_a_patient_reader_finds_and_never_exceeds_one():
    qrels = {"q": {"a": 3, "b": 1, "c": 0}}
    run = {"q": {"a": 3.0, "c": 2.0, "b": 1.0}}
    mean = evaluate(qrels, run, ["rbp.8", "rbp.8@2", "rbp.8-l2", "rbp.5"]).mean
    assert list(mean.values()) == pytest.approx([0.2 * (1 + 0.64), 0.2, 0.2, 0.625])


def test_a_condensed_list_is_the_list_of_judged_documents_alone():
    qrels, run = tied(21)
    judged = {
        query: {doc: score for doc, score in docs.items() if qrels.get(query, {}).get(doc, -1) >= 0}
        for query, docs in run.items()
    }
    names = ["ndcg@5", "map", "map@10-l2", "mrr", "precision@5", "recall@5", "rbp.8", "err@3"]
    found = evaluate(qrels, run, [f"{name}-condensed" for name in names])
    assert list(found.per_query.values()) == list(evaluate(qrels, judged, names).per_query.values())
    assert found.mean["ndcg@5-condensed"] != evaluate(qrels, run, ["ndcg@5"]).mean["ndcg@5"]


def test_bpref_is_refused_where_no_judgment_says_not_relevant():
    """Most BEIR sets: trec_eval would give 1 to whatever is found, ranx no number."""
    qrels = {"q": {"a": 1, "b": 0}, "r": {"a": 1, "b": -1}, "s": {"a": 1}, "t": {"a": 0}}
    run = {query: {"a": 1.0} for query in qrels}
    with pytest.raises(InputError, match=r"query r: bpref is not defined .* in 2 of 4 queries$"):
        evaluate(qrels, run, ["bpref"])
    defined = {query: qrels[query] for query in ("q", "t")}
    assert evaluate(defined, run, ["bpref"]).per_query["bpref"] == {"q": 1.0, "t": 0.0}


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


def test_a_grade_that_is_no_whole_number_is_refused_by_name():
    with pytest.raises(InputError, match=r"query q: the grade of a is no whole number: 0\.5"):
        evaluate({"q": {"a": 0.5}}, {"q": {"a": 1.0}}, ["map"])


def test_qrels_without_a_query_are_refused():
    with pytest.raises(InputError, match="no relevance judgments"):
        evaluate({}, {"q": {"a": 1.0}}, ["map"])


def test_eight_threads_get_the_same_values():
    qrels, run = tied(5)
    expected = evaluate(qrels, run, ["ndcg@10", "map"])
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: evaluate(qrels, run, ["ndcg@10", "map"]), range(32)))
    assert found == [expected] * 32


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
        (["ndcg_burges@10", "nDCG(dcg='exp-log2')@10"], Measure("ndcg_burges", 10)),
        (["r-precision", "Rprec", "Rprec(rel=1)"], Measure("r-precision")),
        (["bpref-l2", "Bpref(rel=2)"], Measure("bpref", None, 2)),
        (["success@5", "hit_rate@5", "Success@5"], Measure("success", 5)),
        (["rbp.95", "RBP(rel=1,p=0.95)", "RBP(p=.95, rel=1)"], Measure("rbp", persistence=0.95)),
        (["rbp.8-l2", "RBP(rel=2,p=0.8)"], Measure("rbp", None, 2, 0.8)),
        (["err@20", "ERR@20"], Measure("err", 20)),
        (["wss@95", "WSS@95"], Measure("wss", 95)),
        (["recall@10%-l2", "R(rel=2)@10%"], Measure("recall%", 10, 2)),
        (["ndcg@10-condensed", "nDCG(judged_only=True)@10"], Measure("ndcg", 10, condensed=True)),
        (
            ["map@9-l2-condensed", "AP(rel=2,judged_only=True)@9"],
            Measure("map", 9, 2, condensed=True),
        ),
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
        ("arp", "there are ndcg, ndcg_burges, map, mrr, recall, precision, r-precision, bpref"),
        ("ndcg@0", "did you mean ndcg"),
        ("map@10-l0", "did you mean map@10"),
        ("AP(rel=2)-l2", "did you mean map"),
        ("", "there are"),
        ("ndcg@10-l2", "ndcg has no relevance level"),
        ("judged@10-l2", "judged has no relevance level"),
        ("P", "precision needs a cutoff, as in precision@10"),
        ("judged", "judged needs a cutoff"),
        ("success", "success needs a cutoff"),
        ("bpref@10", "bpref has no cutoff"),
        ("rbp", "rbp needs a persistence, as in rbp.95"),
        ("map.95", "map has no persistence"),
        ("RBP(p=0.8)", "write RBP(rel=1,p=...)"),
        ("ERR(rel=2)@20", "err has no relevance level"),
        ("judged@10-condensed", "judged has no condensed form"),
        ("ndcg@10%", "did you mean ndcg@10"),
        ("AP(rel=2,rel=3)", "did you mean map"),
        ("AP(cutoff=2)", "did you mean map"),
        ("AP(dcg='exp-log2')", "did you mean map"),
    ],
)
def test_a_measure_that_there_is_not_is_a_usage_error_with_advice(name, advice):
    with pytest.raises(UsageError) as error:
        parse(name)
    assert advice in str(error.value)
    assert "\n" not in str(error.value)


def python(code: str) -> str:
    """Run code in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_naming_a_measure_imports_no_numpy_and_scoring_no_numba():
    heavy = "sorted({'numpy', 'numba', 'ranx', 'pandas', 'scipy'} & set(sys.modules))"
    score = "e.evaluate({'q': {'a': 1}}, {'q': {'a': 1.0}}, ['P@5', 'ndcg@10', 'err'])"
    code = (
        f"import sys, rerank.evaluate as e; e.parse('P@5'); print({heavy}); {score}; print({heavy})"
    )
    assert python(code) == "[]\n['numpy']\n"


def test_a_missing_numpy_is_one_line_that_says_what_to_install():
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
    assert "[eval]'" in python(code)
