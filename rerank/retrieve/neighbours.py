"""The documents near a document: what BM25 finds when the document's own words are the query.

A graph that is worked out where it is walked, each document once. It knows no ranking and no
relevance. MacAvaney et al. 2022, arXiv:2208.08942, build the whole graph ahead.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from rerank.records import Doc, Query
from rerank.retrieve.bm25 import BM25


class Neighbours:
    """The `k` nearest documents of each document of a corpus, nearest first, never itself.

    `allowed` leaves out of some ids those that are no candidates of a query, whoever finds them.
    """

    def __init__(
        self,
        index: BM25,
        corpus: Mapping[str, Doc],
        k: int,
        allowed: Callable[[str, Iterable[str]], list[str]] = lambda query, ids: list(ids),
    ) -> None:
        self._index, self._corpus, self._k, self._allowed = index, corpus, k, allowed
        self._found: dict[str, list[str]] = {}

    def beside(self, query: Query, candidates: Sequence[Doc]) -> Callable[[Doc], list[Doc]]:
        """The neighbours of any document, for one query.

        One of them that is a candidate is the candidate itself, even if its text is another there.
        """
        known = {doc.id: doc for doc in candidates}

        def near(doc: Doc) -> list[Doc]:
            names = self._allowed(query.id, self._ids(doc))
            return [known.get(name) or self._corpus[name] for name in names]

        return near

    def _ids(self, doc: Doc) -> list[str]:
        if doc.id not in self._found:
            words = self._corpus.get(doc.id, doc)
            query = Query(doc.id, f"{words.title} {words.text}")
            near = self._index.search([query], self._k + 1)[doc.id]
            self._found[doc.id] = [other for other in near if other != doc.id][: self._k]
        return self._found[doc.id]
