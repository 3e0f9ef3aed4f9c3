"""With the oracle every method reaches, or comes near, what its candidates allow."""

import pytest
from running import ORACLE, ranked, run
from shared import collection

from rerank import datasets
from rerank.evaluate import evaluate
from rerank.methods import METHODS
from rerank.records import Doc
from rerank.runs import ranked_run

pytestmark = pytest.mark.usefixtures("here")

RERANKED = [name for name in METHODS if name != "first-stage"]
ROUGH = {"top-down", "tournament", "joint-blocks", "uncertain", "active"}
APPROXIMATE = {name for name, row in METHODS.items() if row.strategy in ROUGH}
EXACT = [name for name in RERANKED if name not in APPROXIMATE]


@pytest.mark.parametrize("method", RERANKED)
def test_a_ranking_is_a_permutation_of_its_candidates(small, method):
    run('dataset = "small"\nmethod = "first-stage"\ndepth = 11\n', "before")
    result = run(f"{ORACLE.replace('setwise-heapsort', method)}depth = 11\noracle.noise = 2\n")
    before, after = ranked("before"), ranked("run")
    assert {q: sorted(docs) for q, docs in after.items()} == {
        q: sorted(docs) for q, docs in before.items()
    }
    assert all(len(docs) == 11 for docs in after.values())
    assert sum(result["cost"]["answers"].values()) == result["cost"]["calls"]


def best_allowed(candidates, qrels, measures=("ndcg@10",)):
    """What an ideal order of the same candidates is worth."""
    ideal = {
        query: sorted(docs, key=lambda doc, q=query: -qrels[q].get(doc, 0))
        for query, docs in candidates.items()
    }
    run = ranked_run({q: [Doc(doc, "") for doc in docs] for q, docs in ideal.items()})
    return {name: round(mean, 6) for name, mean in evaluate(qrels, run, measures).mean.items()}


@pytest.mark.parametrize("method", RERANKED)
def test_with_the_oracle_every_exact_method_reaches_what_its_demo_candidates_allow(method):
    """The approximate ones come near it."""
    depth = 25 if "allpairs" in METHODS[method].strategy else 40
    plain = f'suite = "demo"\nmeasures = ["ndcg@10"]\ndepth = {depth}\nlimit = 20\n'
    run(f'{plain}method = "first-stage"\n', "before")
    candidates = ranked("before")
    qrels = {q: g for q, g in datasets.load("demo").qrels.items() if q in candidates}
    result = run(f'{plain}method = "{method}"\njudge = "oracle"\n')
    best = best_allowed(candidates, qrels)
    if method in APPROXIMATE:
        before, after = result["first_stage"]["ndcg@10"], result["mean"]["ndcg@10"]
        assert before + 0.7 * (best["ndcg@10"] - before) < after <= best["ndcg@10"]
    else:
        assert result["mean"] == best != result["first_stage"]


@pytest.mark.slow
@pytest.mark.parametrize("method", EXACT)
def test_with_the_oracle_every_method_reaches_what_its_scifact_candidates_allow(method, cache):
    folder = collection("scifact")
    depth = 20 if "allpairs" in METHODS[method].strategy else 100
    first = cache / f"scifact-{depth}"
    plain = f'dataset = "{folder}"\nmeasures = ["ndcg@10"]\ndepth = {depth}\n'
    if not first.exists():
        run(f'{plain}method = "first-stage"\n', str(first))
    given = f'{plain}first = "{first}/run.trec.gz"\n'
    result = run(f'{given}method = "{method}"\njudge = "oracle"\n')
    assert result["mean"] == best_allowed(ranked(first), datasets.load(str(folder)).qrels)
    assert result["mean"]["ndcg@10"] > result["first_stage"]["ndcg@10"] + 0.1
    if depth == 100:
        assert result["first_stage"]["ndcg@10"] == pytest.approx(0.6789, abs=0.001)
