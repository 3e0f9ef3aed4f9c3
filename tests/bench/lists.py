"""What benches rerank, BM25's best of the shared collections, and how."""

from functools import cache

from shared import collection

from rerank import datasets
from rerank.cost import strategy_of
from rerank.judges import LLMJudge
from rerank.methods import METHODS
from rerank.records import Doc, Query
from rerank.retrieve.bm25 import BM25
from rerank.scheduler import drive


@cache
def candidates(name: str, queries: int, depth: int = 100) -> dict[Query, list[Doc]]:
    """The first judged queries of a collection with their candidates."""
    folder = collection(name)
    dataset = datasets.load(str(folder))
    wanted = [dataset.queries[query] for query in dataset.qrels]
    run = folder / "runs" / "bm25.trec.gz"
    if run.exists():
        found = datasets.read_run(run)
    else:
        found = BM25.of(dataset.corpus.values()).search(wanted[:queries], depth)
    docs = datasets.from_run(found, dataset, depth)
    return {query: docs[query.id] for query in wanted[:queries]}


def texts(*names: str) -> tuple[str, ...]:
    """What collections say, for a tokenizer to learn its pieces from."""
    corpora = (datasets.load(str(collection(name))).corpus for name in names)
    return tuple(f"{doc.title} {doc.text}" for corpus in corpora for doc in corpus.values())


def reranked(engine, method, lists, max_tokens=None, changed=(), **options):
    """Every job of a method over these lists, with an engine's model as the judge.

    `changed` are options of its strategy, `options` those of `drive`.
    """
    strategy, prompt = strategy_of(METHODS[method])
    judge = LLMJudge(prompt.with_sampling(max_tokens=max_tokens), engine)
    judge.check(20)
    given = METHODS[method].options | dict(changed)
    asking = (
        judge.expect(query, docs) or (query, strategy(docs, **given))
        for query, docs in lists.items()
    )
    return list(drive(asking, judge, **options))
