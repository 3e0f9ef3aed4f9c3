"""Of a long document, the sentences that a query is about, within a budget of words.

After QUITE (Zou et al. 2021, arXiv:2105.11108): the sentence whose query terms weigh
most is taken, the terms that it has then weigh less, and so on until the budget is full; taken
sentences stand in the document's order. A term weighs its idf among the query's candidates.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from math import log

from rerank.records import Doc, Query
from rerank.retrieve.analysis import analyse
from rerank.retrieve.sentences import sentences

DECAY = 0.5
"""What a term still weighs once a sentence that has it was taken."""


def extracted(query: Query, docs: Sequence[Doc], words: int) -> list[Doc]:
    """The documents, each with at most `words` words of its text; short ones stay as they are."""
    weights = _weights(set(analyse(query.text)), docs)
    return [doc._replace(text=extract(doc.text, weights, words)) for doc in docs]


def extract(text: str, weights: Mapping[str, float], words: int) -> str:
    """The sentences of a text that have the heaviest terms, in their order."""
    if len(text.split()) <= words:
        return text
    parts = sentences(text)
    has = [weights.keys() & set(analyse(part)) for part in parts]
    taken: list[int] = []
    left, heavy = words, dict(weights)
    waiting = list(range(len(parts)))
    while waiting and left > 0:
        best = max(waiting, key=lambda part: (sum(heavy[t] for t in has[part]), -part))
        waiting.remove(best)
        if (length := len(parts[best].split())) <= left or not taken:
            taken.append(best)
            left -= length
            heavy |= {term: heavy[term] * DECAY for term in has[best]}
    return " ".join(" ".join(parts[part] for part in sorted(taken)).split()[:words])


def _weights(terms: Collection[str], docs: Sequence[Doc]) -> dict[str, float]:
    """How rare each term of the query is among the candidates."""
    holders = Counter(
        term for doc in docs for term in set(analyse(f"{doc.title} {doc.text}")) if term in terms
    )
    return {term: log(1 + (len(docs) + 0.5) / (holders[term] + 0.5)) for term in terms}
