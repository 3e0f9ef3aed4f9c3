"""For PyTerrier: a transformer of its frames. It needs pyterrier, and no Java."""

from typing import Any

from rerank.errors import needing
from rerank.library.ranking import Ranking
from rerank.library.reranker import Reranker

with needing("pyterrier"):
    import pyterrier as pt


class RerankTransformer(pt.Transformer):
    """Puts the rows of each query in order, all queries in flight together: `bm25 >> this`.

    Frames have qid, query, docno and the text in the column `text_field`; every column is kept,
    `rank` begins at 0. `score` is the model's, or what falls by 1 from the number of documents
    where a method gives an order alone.
    """

    def __init__(
        self, reranker: Reranker, *, text_field: str = "text", top_n: int | None = None
    ) -> None:
        super().__init__()
        self.reranker, self.text_field, self.top_n = reranker, text_field, top_n

    def transform(self, inp: Any) -> Any:
        pt.validate.result_frame(inp, extra_columns=["query", self.text_field])
        inp = inp.reset_index(drop=True)
        groups = [rows for _, rows in inp.groupby("qid", sort=False)]
        batch = [(rows["query"].iloc[0], rows[self.text_field].tolist()) for rows in groups]
        rankings = self.reranker.rerank_many(batch, self.top_n)
        places = [place for rows, found in zip(groups, rankings, strict=True)
                  for place in rows.index[[hit.index for hit in found]]]  # fmt: skip
        return (
            inp.loc[places]
            .assign(
                score=[score for found in rankings for score in _scores(found)],
                rank=[hit.rank - 1 for found in rankings for hit in found],
            )
            .reset_index(drop=True)
        )


def _scores(ranking: Ranking) -> list[float]:
    """Numbers that sort as the ranking does, as PyTerrier's measures need them."""
    scores = [hit.score for hit in ranking]
    falling = [score for score in scores if score is not None]
    whole = len(falling) == len(scores) and falling == sorted(falling, reverse=True)
    return falling if whole else [float(len(scores) - place) for place in range(len(scores))]
