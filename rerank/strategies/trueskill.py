"""What a ranking teaches about Gaussian skills (TrueSkill: Herbrich et al. 2006, NeurIPS 19).

A document performs with its skill plus noise of standard deviation `beta`, and a ranking says
that each performance beat the next. No draws, and no drift: documents do not change.
"""

from collections.abc import Sequence
from math import erfc, sqrt
from statistics import NormalDist
from typing import TypeAlias

Message: TypeAlias = tuple[float, float]
"""A Gaussian that may say nothing: its precision, and its precision times its mean."""

NOTHING: Message = (0.0, 0.0)
STANDARD = NormalDist()


def learn(skills: Sequence[NormalDist], beta: float, sweeps: int = 4) -> list[NormalDist]:
    """The skills after a ranking that put them in this order, best first.

    Expectation propagation along the chain: each pair of neighbours tells both what its outcome
    says of them, down the chain and up again. Four sweeps settle 20 documents to nine digits.
    """
    performed = [_message(skill.mean, skill.variance + beta**2) for skill in skills]
    above = [NOTHING] * len(skills)  # what the pair with the document above says
    below = [NOTHING] * len(skills)
    pairs = range(len(skills) - 1)
    for _ in range(sweeps):
        for i in (*pairs, *reversed(pairs)):
            winner, loser = _both(performed[i], above[i]), _both(performed[i + 1], below[i + 1])
            below[i], above[i + 1] = _duel(winner, loser)
    return [
        _heard(skill, _both(up, down), beta)
        for skill, up, down in zip(skills, above, below, strict=True)
    ]


def _duel(winner: Message, loser: Message) -> tuple[Message, Message]:
    """What a win says of the two performances: a truncated Gaussian's mean and variance."""
    spread = sqrt(1 / winner[0] + 1 / loser[0])
    t = (winner[1] / winner[0] - loser[1] / loser[0]) / spread
    chance = erfc(-t / sqrt(2)) / 2
    v = STANDARD.pdf(t) / chance if chance else -t
    w = min(v * (v + t), 1 - 1e-9) if chance else 1 - 1e-9
    shift, shrink = v / spread, w / spread**2
    return _moved(winner, shift, shrink), _moved(loser, -shift, shrink)


def _moved(known: Message, shift: float, shrink: float) -> Message:
    """The message that adds variance * shift to a mean, and takes variance**2 * shrink off."""
    variance = 1 / known[0]
    new = _message(variance * (known[1] + shift), variance * (1 - variance * shrink))
    return new[0] - known[0], new[1] - known[1]


def _heard(skill: NormalDist, message: Message, beta: float) -> NormalDist:
    """A skill, after a message about its performance."""
    precision, scaled = message
    if not precision:
        return skill
    blurred = _message(scaled / precision, 1 / precision + beta**2)
    precision, scaled = _both(_message(skill.mean, skill.variance), blurred)
    return NormalDist(scaled / precision, sqrt(1 / precision))


def _message(mean: float, variance: float) -> Message:
    return 1 / variance, mean / variance


def _both(a: Message, b: Message) -> Message:
    return a[0] + b[0], a[1] + b[1]
