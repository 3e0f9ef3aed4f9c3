"""Random judgments and runs with all that makes a measure hard: ties, gaps, odd names."""

import random

# a score that is 0.3 as a 32-bit float and above it as a 64-bit one; negative and saturated ones
SCORES = [-2.5, -0.5, 0.0, 0.3, 0.3 + 1e-9, 1.0, 1.0 + 1e-9, 1e39, 2e39]
NAMES = ["d{}", "é{}", "z{}", "{}", "文{}", "😀{}", "a-very-much-longer-document-identifier-{}"]


def tied(seed: int, queries: int = 40):
    """Random judgments and a run: ties, unjudged and negative grades, odd and absent queries."""
    dice = random.Random(seed)
    docs = [dice.choice(NAMES).format(number) for number in range(80)]
    qrels, run = {}, {}
    for number in range(queries):
        query, deep = f"q{number}", dice.choice([0, 1, 5, 15, 16, 60])
        grades = [0] if number % 8 == 0 else [-2, -1, 0, 0, 1, 2, 3]
        qrels[query] = {doc: dice.choice(grades) for doc in dice.sample(docs, dice.randint(1, 40))}
        if number % 9:
            run[query] = {doc: dice.choice(SCORES) for doc in dice.sample(docs, deep)}
    return qrels, run | {"extra": {"d1": 1.0}}
