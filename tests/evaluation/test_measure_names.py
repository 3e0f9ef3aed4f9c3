"""A measure is known by each name that others write for it, and naming one imports little."""

import subprocess
import sys
from pathlib import Path

import pytest

from rerank.errors import UsageError
from rerank.evaluate import Measure, parse
from rerank.evaluate.measures import at_level


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
