"""The first stages that a recipe names, and the options of each; unknown keys are errors.

Only names and numbers: what they mean is in `retrieve`, in a file for each.
"""

from typing import Literal

import pydantic

from rerank.checking import Table
from rerank.files import Strict

RETRIEVED = ("bm25", "lucene", "dense", "hybrid", "feedback", "cur")
"""First stages that search a corpus; any other name is a file."""


class ModelOptions(Strict):
    """A model that a first stage asks, and the engine that it is in."""

    model: str
    engine: Literal["auto", "vllm", "http", "transformers", "scorer"] = "auto"
    engine_options: Table = pydantic.Field(default_factory=dict)
    base_url: str | None = None

    @pydantic.model_validator(mode="after")
    def _has_a_server(self) -> "ModelOptions":
        if self.engine == "http" and not self.base_url:
            raise ValueError("base_url is missing: engine http needs the server's address")
        return self


class RatingOptions(ModelOptions):
    """A model that rates a document alone, by a method of `rerank methods` that does so."""

    method: str = "scorer"


class BM25Options(Strict):
    """Lucene's BM25; the defaults are those of the BEIR baselines."""

    k1: float = pydantic.Field(0.9, ge=0)
    b: float = pydantic.Field(0.4, ge=0, le=1)


class LuceneOptions(BM25Options):
    """Lucene's own BM25, perhaps with RM3, or the impacts of a SPLADE model.

    `index` is an index that is there: a folder, or one of Anserini's prebuilt ones by its name.
    `impact` is the model that weighs the terms of queries, and of documents where Lucene indexes.
    """

    index: str | None = None
    impact: str | None = None
    rm3: bool = False
    rm3_terms: int = pydantic.Field(10, ge=1)
    rm3_docs: int = pydantic.Field(10, ge=1)
    rm3_weight: float = pydantic.Field(0.5, ge=0, le=1)

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> "LuceneOptions":
        if self.impact and self.rm3:
            raise ValueError("give impact or rm3: RM3 looks for words")
        return self


class MuveraOptions(Strict):
    """The shape of `retrieve.muvera`'s vectors: repeats * 2^bits * projected numbers each."""

    bits: int = pydantic.Field(5, ge=1, le=12)
    projected: int = pydantic.Field(16, ge=1)
    repeats: int = pydantic.Field(20, ge=1)
    seed: int = 0


class DenseOptions(Strict):
    """An encoder, what it reads, and the index that is searched: see `retrieve.indexes`.

    Prompts that are not given are those of the model's files. `dimensions` keeps the first ones
    of a Matryoshka model; `muvera` makes one vector of all tokens' (`retrieve.muvera`). `lucene` is
    a graph of Lucene's that is there, a folder or a prebuilt one by its name: no document is read.
    """

    model: str = "all-MiniLM-L6-v2"
    library: Literal["transformers", "sentence-transformers"] = "transformers"
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    max_length: int | None = pydantic.Field(None, ge=1)
    batch_tokens: int | None = pydantic.Field(None, ge=1)
    similarity: Literal["cosine", "dot"] = "cosine"
    query_prompt: str | None = None
    doc_prompt: str | None = None
    dimensions: int | None = pydantic.Field(None, ge=1)
    index: Literal["flat", "hnsw", "lucene", "ivfpq", "binary"] = "flat"
    m: int = pydantic.Field(32, ge=2)
    ef_construction: int = pydantic.Field(200, ge=1)
    ef_search: int = pydantic.Field(128, ge=1)
    lists: int | None = pydantic.Field(None, ge=1)
    probes: int = pydantic.Field(16, ge=1)
    code_bytes: int | None = pydantic.Field(None, ge=1)
    rescore: int = pydantic.Field(10, ge=1)
    rescore_least: int = pydantic.Field(200, ge=1)
    sample: int = pydantic.Field(200, ge=1)
    seed: int = 0
    muvera: MuveraOptions | None = None
    lucene: str | None = None

    @pydantic.model_validator(mode="after")
    def _one_shape(self) -> "DenseOptions":
        if self.lucene and (self.muvera or self.dimensions):
            raise ValueError("lucene is an index that is there: leave muvera and dimensions")
        if self.muvera and self.dimensions:
            raise ValueError("give muvera or dimensions: only a Matryoshka model's can be cut")
        return self


class FusionOptions(Strict):
    """Which first stages `hybrid` makes one of, and how: see `retrieve.fusion`.

    `of` are first stages by name, or TREC runs. With `train`, a split of the dataset whose queries
    are not the ones that are ranked, the weights are fitted there, by `measure`.
    """

    of: tuple[str, ...] = pydantic.Field(("bm25", "dense"), min_length=2, strict=False)
    method: Literal["rrf", "borda", "combsum", "combmnz"] = "rrf"
    k: float = pydantic.Field(60, gt=0)
    norm: Literal["min-max", "max", "sum", "zmuv", "none"] = "min-max"
    weights: tuple[float, ...] | None = pydantic.Field(None, strict=False)
    train: str | None = None
    measure: str = "ndcg@10"
    depth: int = pydantic.Field(1000, ge=1)


class PartOptions(Strict):
    """Documents in windows of sentences, each rated alone: see `retrieve.sentences`.

    A document's rating is that of its first window, the best one, the sum of all or of the `k`
    best; sums want ratings that are not below 0.
    """

    sentences: int = pydantic.Field(6, ge=1)
    stride: int = pydantic.Field(3, ge=1)
    score: Literal["first", "max", "sum", "top"] = "max"
    k: int = pydantic.Field(3, ge=1)

    @pydantic.model_validator(mode="after")
    def _no_gaps(self) -> "PartOptions":
        if self.stride > self.sentences:
            raise ValueError("stride is above sentences: what is between would never be read")
        return self


class PassageOptions(PartOptions):
    """Documents searched as windows of sentences: see `retrieve.sentences`.

    `deep` times as many passages as documents are looked for.
    """

    deep: int = pydantic.Field(4, ge=1)


class ExtractOptions(Strict):
    """How much of each candidate a reranker sees, chosen by the query: `retrieve.extract`.

    In words, or in the tokens of the recipe's model.
    """

    words: int | None = pydantic.Field(None, ge=1)
    tokens: int | None = pydantic.Field(None, ge=1)

    @pydantic.model_validator(mode="after")
    def _one_budget(self) -> "ExtractOptions":
        if (self.words is None) == (self.tokens is None):
            raise ValueError("give words or tokens, one of them")
        return self


class FeedbackOptions(Strict):
    """Who teaches the dense retriever, and how fast it learns: see `retrieve.feedback`.

    `order` is a reranker's run, of which ranks count, `scores` a scorer's, of which scores count;
    in place of that run `scorer` names a model, which rates what the retriever finds. `top` of the
    best documents are learned from.
    """

    order: str | None = None
    scores: str | None = None
    scorer: RatingOptions | None = None
    top: int = pydantic.Field(100, ge=2)
    scores_rate: float = pydantic.Field(0.001, gt=0)
    scores_steps: int = pydantic.Field(100, ge=1)
    order_rate: float = pydantic.Field(0.001, gt=0)
    order_steps: int = pydantic.Field(20, ge=1)

    @pydantic.model_validator(mode="after")
    def _has_a_teacher(self) -> "FeedbackOptions":
        if not (self.order or self.scores or self.scorer):
            raise ValueError("give a run as 'order' or 'scores', or a scorer; somebody must teach")
        if self.scores and self.scorer:
            raise ValueError("give a run of scores or a scorer, not both")
        return self


class CurOptions(RatingOptions):
    """A model that searches the corpus, at `budget` ratings for each query: see `retrieve.cur`.

    Once, `anchor_queries` are rated with every document: queries of the split `queries`, else
    phrases drawn from documents. `anchors` (half of the budget) are rated in `rounds`, beginning
    with what the first stages of `start` find (with chance where there are none), the rest where
    the best are predicted; the scores of those first stages take part in the prediction.
    """

    budget: int = pydantic.Field(100, ge=2)
    anchors: int | None = pydantic.Field(None, ge=1)
    rounds: int = pydantic.Field(5, ge=1)
    start: tuple[Literal["bm25", "dense"], ...] = pydantic.Field(("bm25",), strict=False)
    queries: str | None = None
    anchor_queries: int = pydantic.Field(200, ge=2)
    seed: int = 0

    @pydantic.model_validator(mode="after")
    def _fits(self) -> "CurOptions":
        if not self.rounds <= self.first_ratings <= self.budget:
            raise ValueError(
                f"rounds {self.rounds} of {self.first_ratings} anchors in a budget of"
                f" {self.budget}: each must hold the one before"
            )
        return self

    @property
    def first_ratings(self) -> int:
        """How many documents are rated before the rest is spent on the best that are predicted."""
        return self.anchors or self.budget // 2


class ExpansionOptions(ModelOptions):
    """What a model writes for each query before the first stage searches: `retrieve.expansion`.

    `wording` stands in for the method's own and has `{query}` in it.
    """

    method: Literal["hyde", "query2doc", "think"] = "query2doc"
    wording: str | None = None
    max_tokens: int = pydantic.Field(256, ge=1)
    temperature: float = pydantic.Field(0.0, ge=0)
    seed: int = 0

    @pydantic.model_validator(mode="after")
    def _has_a_query(self) -> "ExpansionOptions":
        if self.wording is not None and "{query}" not in self.wording:
            raise ValueError("wording has no {query} in it")
        return self


class NeighbourOptions(Strict):
    """Where the documents near a document come from: what `from` finds with its text as query."""

    source: Literal["bm25"] = pydantic.Field("bm25", alias="from")
    k: int = pydantic.Field(16, ge=1)
