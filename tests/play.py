"""Play the other side of a strategy: four judges, and a loop that answers it to the end."""

import random

from rerank.questions import Compare, Order, Pick, Rate


def play(strategy, answer):
    """Answer a strategy to the end: what it returned, and every batch that it asked."""
    batches = []
    try:
        batch = next(strategy)
        while True:
            batches.append(batch)
            batch = strategy.send([answer(question) for question in batch])
    except StopIteration as done:
        return done.value, batches


def by_value(value):
    """A judge that knows what each document is worth; equals stay undecided."""

    def answer(question):
        match question:
            case Rate(doc):
                return value(doc)
            case Compare(a, b):
                return 0.5 + 0.5 * (value(a) > value(b)) - 0.5 * (value(a) < value(b))
            case Pick(docs):
                return [value(doc) for doc in docs]
            case Order(docs):
                return sorted(docs, key=value, reverse=True)

    return answer


def noisy(value, seed=0, scale=1.0):
    """A judge that is wrong at random, and differently each time it is asked."""
    chance = random.Random(seed)
    return by_value(lambda doc: value(doc) + chance.gauss(0, scale))


def always_first(question):
    """A judge with nothing but position bias."""
    match question:
        case Rate():
            return 0.0
        case Compare():
            return 1.0
        case Pick(docs):
            return [1.0, *[0.0] * (len(docs) - 1)]
        case Order(docs):
            return list(docs)


def identity(place):
    """A judge that believes the first stage: `place` is where it put a document."""
    return by_value(lambda doc: -place(doc))
