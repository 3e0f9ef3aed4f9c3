"""Training data without labels: pseudo-queries of corpora, candidates, and a teacher's scores.

A passage is what is left of a document once its query was cut out. BM25 and an encoder each search
the corpus' own passages; the teacher is both, fused. A query of which the teacher does not find the
passage near the top is dropped, and so is a candidate that the teacher puts above it: most likely
another answer. Keywords are all in their own passage, which teaches nothing, so it is no candidate.

Law: only documents become queries. Judgments are never read, and queries of a collection that is
`held_out` only so as to leave out what is the same. One seed, one file.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Annotated, Any, NamedTuple

import pydantic

from rerank import files
from rerank.datasets import Candidates, load, write_candidates
from rerank.errors import InputError, extra
from rerank.files import Strict
from rerank.recipes import read_changed
from rerank.recipes.stages import DenseOptions, FusionOptions
from rerank.records import Doc, Query, Run
from rerank.retrieve import BM25
from rerank.retrieve.dense import Dense
from rerank.retrieve.fusion import fused
from rerank.train.clusters import diverse
from rerank.train.cuts import Cut, Kind, cut, keywords, rarity
from rerank.train.data import words

LOG = logging.getLogger(__name__)


class PseudoRecipe(Strict):
    """Which corpora, how many queries of each, which candidates, and who teaches.

    Of each corpus at most `passages` documents are taken, each as at most `words` words, and
    `queries` of them, evenly from `clusters`, become queries; `kinds` says how often each kind is
    tried. BM25 and `dense` find `depth` passages each; `candidates` of these are kept: the half
    that the teacher likes best, the others evenly from the rest of its order. The teacher is the
    encoder's cosine and `bm25` times BM25, both as z-scores. A title or a sentence whose passage is
    not among the teacher's first `found` is dropped, and so is one that is a query of a collection
    `held_out`.
    """

    corpora: tuple[str, ...] = pydantic.Field(min_length=1, strict=False)
    passages: int = pydantic.Field(3000, ge=2)
    words: int = pydantic.Field(56, ge=8)
    queries: int = pydantic.Field(1500, ge=1)
    clusters: int = pydantic.Field(100, ge=1)
    kinds: dict[Kind, Annotated[float, pydantic.Field(ge=0)]] = pydantic.Field(
        {"title": 1.0, "sentence": 1.0, "keywords": 1.0}
    )
    dense: DenseOptions = pydantic.Field(default_factory=DenseOptions)
    bm25: float = pydantic.Field(0.5, ge=0)
    depth: int = pydantic.Field(50, ge=2)
    candidates: int = pydantic.Field(16, ge=2)
    found: int = pydantic.Field(10, ge=1)
    held_out: tuple[str, ...] = pydantic.Field((), strict=False)
    seed: int = 0

    @pydantic.field_validator("kinds")
    @classmethod
    def _some(cls, kinds: dict[Kind, float]) -> dict[Kind, float]:
        if not sum(kinds.values()):
            raise ValueError("give one of its numbers more than 0; nothing would be tried")
        return kinds


class Judged(NamedTuple):
    """A query's candidates with the teacher's scores, best first."""

    query: Query
    docs: list[Doc]
    scores: dict[str, float]


def read_pseudo(path: Path, changes: Sequence[str] = ()) -> PseudoRecipe:
    """Read a recipe with `key=value` changes; a mistake is named by file or change, and key."""
    return read_changed(path, changes, partial(files.checked, PseudoRecipe))


def pseudo(recipe: PseudoRecipe, path: Path) -> dict[str, int]:
    """Write candidates that `rerank train` reads, the teacher's scores in them; return counts."""
    found = Candidates({}, {}, {})
    for source in recipe.corpora:
        for query, docs, scores in _corpus(recipe, source):
            found.queries[query.id], found.docs[query.id] = query, docs
            found.scores[query.id] = scores
    if not found.queries:
        raise InputError("no pseudo-query was kept: raise 'queries', 'found' or 'passages'")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_candidates(path, found)
    pairs = sum(map(len, found.docs.values()))
    return {"queries": len(found.queries), "pairs": pairs}


def _corpus(recipe: PseudoRecipe, source: str) -> list[Judged]:
    """The queries of one corpus."""
    cuts = _cuts(recipe, source)
    corpus = {made.passage.id: made.passage for made in cuts}
    dense = Dense(corpus.values(), recipe.dense)
    asking = _asking(recipe, cuts, dense.vectors.read())
    queries = [query for _, query in asking]
    runs = _retrieved(recipe, queries, corpus.values(), dense)
    options = FusionOptions(method="combsum", norm="zmuv", weights=(1.0, recipe.bm25))
    taught = fused(runs, options)
    judged = [_judged(recipe, made, query, corpus, taught[query.id]) for made, query in asking]
    kept = [one for one in judged if one is not None]
    LOG.info("%s: %d passages, %d of %d queries kept", source, len(cuts), len(kept), len(asking))
    return kept


def _cuts(recipe: PseudoRecipe, source: str) -> list[Cut]:
    """What is left of each document, and of which kind its query is."""
    docs = list(load(source).corpus.values())
    draw = Random(f"{recipe.seed} {source}")
    kept = sorted(draw.sample(range(len(docs)), min(recipe.passages, len(docs))))
    kinds = draw.choices(list(recipe.kinds), list(recipe.kinds.values()), k=len(kept))
    made = [
        cut(docs[at], kind, recipe.words, str(recipe.seed))
        for at, kind in zip(kept, kinds, strict=True)
    ]
    return [one for one in made if one.kind]


def _asking(recipe: PseudoRecipe, cuts: Sequence[Cut], rows: Any) -> list[tuple[Cut, Query]]:
    """Some of the passages, from all clusters, with the words that ask for each."""
    idf = rarity(made.passage for made in cuts)
    barred = {words(query) for name in recipe.held_out for query in load(name).queries.values()}
    found = []
    for at in diverse(rows, recipe.queries, recipe.clusters, recipe.seed):
        made = cuts[at]
        if text := made.query or keywords(made.passage, idf, str(recipe.seed)):
            found.append((made, Query(f"{made.kind}-{made.passage.id}", text)))
    kept = [(made, query) for made, query in found if words(query) not in barred]
    if len(kept) < len(found):
        LOG.info("%d queries left out: they are held out", len(found) - len(kept))
    return kept


def _retrieved(
    recipe: PseudoRecipe, queries: Sequence[Query], docs: Any, dense: Dense
) -> tuple[Run, Run]:
    """All that either finds, scored by both."""
    bm25 = BM25.of(docs)
    runs = bm25.search(queries, recipe.depth), dense.search(queries, recipe.depth)
    pools = {
        query.id: list(dict.fromkeys(doc for run in runs for doc in run[query.id]))
        for query in queries
    }
    return dense.rank(queries, pools), bm25.rank(queries, pools)


def _judged(
    recipe: PseudoRecipe, made: Cut, query: Query, corpus: Mapping[str, Doc], taught: Any
) -> Judged | None:
    """What is kept of the teacher's order; nothing where it does not find the passage itself."""
    own = made.passage.id
    order = sorted(taught, key=lambda doc: -taught[doc])
    if made.kind == "keywords":
        order = [doc for doc in order if doc != own]
    elif own not in order[: recipe.found]:
        return None
    else:
        order = order[order.index(own) :]
    order = _spread(order, recipe.candidates)
    if len(order) < 2:
        return None
    return Judged(query, [corpus[doc] for doc in order], {doc: taught[doc] for doc in order})


def _spread(order: Sequence[str], count: int) -> list[str]:
    """The first half of what is wanted, and the others evenly from what comes after."""
    np = extra("numpy", "eval")
    best = (count + 1) // 2
    rest = order[best:]
    places = np.linspace(0, len(rest) - 1, min(count - best, len(rest))).astype(int) if rest else []
    return [*order[:best], *(rest[at] for at in places)]
