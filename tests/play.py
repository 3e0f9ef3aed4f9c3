"""Play the other side of a strategy: lists, six judges, and a loop that answers it to the end."""

import math
import random
from dataclasses import dataclass

from rerank.questions import Compare, Order, Pick, Rate

EVERY_COUNT = range(151)


def documents(count, correlation=0.5, seed=0):
    """(place, worth) pairs in first-stage order, correlated with the truth; no two alike."""
    chance = random.Random(f"{count}/{seed}")
    worth = [chance.gauss(0, 1) for _ in range(count)]
    mixed = math.sqrt(1 - correlation**2)
    order = sorted(worth, key=lambda w: -(correlation * w + mixed * chance.gauss(0, 1)))
    return list(enumerate(order))


def place(doc):
    return doc[0]


def worth(doc):
    return doc[1]


def best(docs, k=10):
    """What a perfect judge puts on top."""
    return sorted(docs, key=worth, reverse=True)[:k]


def questions(batches):
    return sum(map(len, batches))


def slots(batches):
    return sum(len(question.documents) for batch in batches for question in batch)


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


def always_last(question):
    """A judge with nothing but the other position bias."""
    match question:
        case Rate():
            return 0.0
        case Compare():
            return 0.0
        case Pick(docs):
            return [*[0.0] * (len(docs) - 1), 1.0]
        case Order(docs):
            return list(reversed(docs))


def at_random(seed=0):
    """A judge that throws dice."""
    chance = random.Random(seed)
    return by_value(lambda doc: chance.random())


def identity(place):
    """A judge that believes the first stage: `place` is where it put a document."""
    return by_value(lambda doc: -place(doc))


JUDGES = {
    "perfect": lambda seed: by_value(worth),
    "noisy": lambda seed: noisy(worth, seed),
    "always first": lambda seed: always_first,
    "always last": lambda seed: always_last,
    "at random": at_random,
    "identity": lambda seed: identity(place),
}


@dataclass(frozen=True)
class Played:
    """Means over lists: how many of the best ten were found, and what it cost."""

    recall: float
    exact: float
    calls: float
    slots: float
    rounds: float


def rehearse(strategy, correlation=0.5, lists=200, count=100, error=0):
    """Play a strategy over many lists of documents against a judge with so much of an error."""
    sums = [0.0] * 5
    for seed in range(lists):
        docs = documents(count, correlation, seed)
        judge = noisy(worth, seed, error) if error else by_value(worth)
        ranking, batches = play(strategy(docs), judge)
        found = len({*ranking[:10]} & {*best(docs)}) / min(10, count)
        cost = questions(batches), slots(batches), sum(map(bool, batches))
        sums = [
            a + b for a, b in zip(sums, (found, ranking[:10] == best(docs), *cost), strict=True)
        ]
    return Played(*(total / lists for total in sums))
