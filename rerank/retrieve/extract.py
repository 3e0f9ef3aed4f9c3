"""Of a long document, the sentences that a query is about, within a budget of words or tokens.

After QUITE (Zou et al. 2021, arXiv:2105.11108): the sentence whose query terms weigh
most is taken, the terms that it has then weigh less, and so on until the budget is full; taken
sentences stand in the document's order. A term weighs its idf among the query's candidates.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from math import log

from rerank.passages import Cut
from rerank.records import Doc, Query
from rerank.retrieve.analysis import analyse
from rerank.retrieve.sentences import sentences

DECAY = 0.5
"""What a term still weighs once a sentence that has it was taken."""


def by_words(text: str, limit: int) -> tuple[str, int, int]:
    """The first words between spaces, how many they are, and how many are left out."""
    words = text.split()
    kept = words[:limit]
    return " ".join(kept), len(kept), len(words) - len(kept)


def extracted(query: Query, docs: Sequence[Doc], limit: int, cut: Cut = by_words) -> list[Doc]:
    """The documents, each with at most `limit` of what `cut` counts; short ones stay as they are.

    Titles are shown besides.
    """
    weights = _weights(set(analyse(query.text)), docs)
    return [doc._replace(text=extract(doc.text, weights, limit, cut)) for doc in docs]


def extract(text: str, weights: Mapping[str, float], limit: int, cut: Cut = by_words) -> str:
    """The sentences of a text that have the heaviest terms, in their order."""
    if not cut(text, limit)[2]:
        return text
    parts = sentences(text)
    has = [weights.keys() & set(analyse(part)) for part in parts]
    taken: list[int] = []
    left, heavy = limit, dict(weights)
    waiting = list(range(len(parts)))
    while waiting and left > 0:
        best = max(waiting, key=lambda part: (sum(heavy[t] for t in has[part]), -part))
        waiting.remove(best)
        _, size, more = cut(parts[best], left)
        if not more or not taken:
            taken.append(best)
            left -= size
            heavy |= {term: heavy[term] * DECAY for term in has[best]}
    return cut(" ".join(parts[part] for part in sorted(taken)), limit)[0]


def _weights(terms: Collection[str], docs: Sequence[Doc]) -> dict[str, float]:
    """How rare each term of the query is among the candidates."""
    holders = Counter(
        term for doc in docs for term in set(analyse(f"{doc.title} {doc.text}")) if term in terms
    )
    return {term: log(1 + (len(docs) + 0.5) / (holders[term] + 0.5)) for term in terms}
