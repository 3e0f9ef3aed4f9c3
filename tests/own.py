"""Strategies as a user writes them: one that works, and mistakes."""

from rerank.questions import Rate


def by_length(docs):
    """A strategy of a user's own."""
    rated = yield [Rate(doc) for doc in docs]
    return [doc for _, doc in sorted(zip(rated, docs, strict=True), key=lambda p: -p[0])]


def divides(docs):
    yield [Rate(docs[0])]
    return [docs[1 // 0]]


def yields_no_list(docs):
    yield Rate(docs[0])


def returns_at_once(docs):
    return list(docs)
