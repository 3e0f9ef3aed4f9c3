"""What a list of scores should be like, as a number to lower: objectives over one query's scores.

Law: `scores` is a tensor of one number for each document of one query, `targets` what the teacher
thinks of the same documents, higher is better. A teacher's order is its targets: the place of a
document is an integer, 1 for the best, equal targets standing in the order in which they came, and
equal targets make no pair. Tensors bring their own methods, so nothing is imported. No objective
knows a model, a token or where its targets are from.
"""

from collections.abc import Callable, Mapping
from math import log2
from typing import Any, TypeAlias

Tensor: TypeAlias = Any

DEPTH = 10
"""Where nDCG as a utility is cut."""


def places(targets: Tensor) -> Tensor:
    """The place of each document in the teacher's order, from 1."""
    return targets.argsort(descending=True, stable=True).argsort() + 1


def pairwise(scores: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of every pair: the mean over i above j of w_ij log(1 + exp(s_j - s_i)).

    RankNet: Burges et al. 2005, "Learning to Rank using Gradient Descent" (ICML). `weights` are
    rows and columns of pairs, 1 by default. A list without a pair is worth 0.
    """
    above = targets[:, None] > targets[None, :]
    losses = _softplus(scores[None, :] - scores[:, None])
    if weights is not None:
        losses = losses * weights
    return (losses * above).sum() / above.sum().clamp_min(1)


def ranknet(scores: Tensor, targets: Tensor) -> Tensor:
    """The pairwise cross-entropy, each pair weighted by 1 / (place of i + place of j).

    FIRST: Reddy et al. 2024, arXiv:2406.15657, section 3. Places are the teacher's integers. The
    released code takes the model's own sorted scores for targets; in bfloat16 these tie, and a tied
    pair is lost.
    """
    place = places(targets)
    return pairwise(scores, targets, 1 / (place[:, None] + place[None, :]))


def listnet(scores: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """Cross-entropy between softmax(targets / temperature) and softmax(scores).

    The top-one form of Cao et al. 2007, "Learning to Rank: From Pairwise Approach to Listwise
    Approach" (ICML).
    """
    wanted = (targets / temperature).softmax(-1)
    return -(wanted * scores.log_softmax(-1)).sum()


def lambdarank(scores: Tensor, targets: Tensor, depth: int | None = None) -> Tensor:
    """Pairwise cross-entropy, each pair weighted by what swapping the two changes in nDCG.

    Burges, Ragno and Le 2006, "Learning to Rank with Nonsmooth Cost Functions" (NIPS), as a loss
    summed over the pairs. Gains are 2^target - 1. The weights carry no gradient.
    """
    gains, discounts = _gains(targets), _discounts(scores.detach(), depth)
    swapped = (gains[:, None] - gains[None, :]).abs()
    swapped = swapped * (discounts[:, None] - discounts[None, :]).abs() / _ideal(targets, depth)
    above = targets[:, None] > targets[None, :]
    return (_softplus(scores[None, :] - scores[:, None]) * swapped * above).sum()


def duo(odds: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of "the first is better", asked of every two documents in both orders.

    `odds` are rows of the document shown first, its label's logit above the other's. duoT5: Pradeep
    et al. 2021, arXiv:2101.05667, with the softmax over the two labels that are read. The mean
    over i above j of (log(1 + exp(-odds_ij)) + log(1 + exp(odds_ji))) / 2.
    """
    above = targets[:, None] > targets[None, :]
    losses = _softplus(-odds) + _softplus(odds.T)
    return (losses * above).sum() / (2 * above.sum()).clamp_min(1)


def pointwise(scores: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean binary cross-entropy: a document with a target above 0 is relevant.

    monoBERT: Nogueira and Cho 2019, arXiv:1901.04085.
    """
    signs = (targets > 0) * 2 - 1
    losses = _softplus(-signs * scores)
    return (losses if weights is None else losses * weights).mean()


def margin_mse(scores: Tensor, targets: Tensor) -> Tensor:
    """The mean over pairs of ((s_i - s_j) - (t_i - t_j))^2: margins, not scores, are the teacher's.

    Hofstätter et al. 2020, arXiv:2010.02666, here over every pair that the teacher tells apart.
    """
    above = targets[:, None] > targets[None, :]
    errors = (scores[:, None] - scores[None, :]) - (targets[:, None] - targets[None, :])
    return (errors.square() * above).sum() / above.sum().clamp_min(1)


def policy_gradient(
    scores: Tensor, targets: Tensor, rankings: Tensor, depth: int = DEPTH
) -> Tensor:
    """A loss whose gradient is REINFORCE's: better rankings of those drawn become likelier.

    Neural PG-RANK: Gao et al. 2023, arXiv:2310.04407. `rankings` (draws, documents) are drawn from
    the Plackett-Luce policy of these scores (`drawn`), the utility is nDCG, and each draw's
    baseline is the mean utility of the others.
    """
    utilities = ndcg(targets, rankings, depth)
    draws = len(rankings)
    advantages = (utilities - utilities.mean()) * (draws / max(1, draws - 1))
    return -(advantages * plackett_luce(scores, rankings)).mean()


def plackett_luce(scores: Tensor, rankings: Tensor) -> Tensor:
    """The log-probability of each ranking: one document after the other, out of those left.

    Plackett 1975, "The Analysis of Permutations"; Luce 1959.
    """
    ordered = scores[rankings]
    left = ordered.flip(-1).logcumsumexp(-1).flip(-1)
    return (ordered - left).sum(-1)


def drawn(scores: Tensor, draws: int) -> Tensor:
    """Rankings from the Plackett-Luce policy: sorted by score plus Gumbel noise."""
    noise = scores.new_empty(draws, len(scores)).exponential_().log()
    return (scores.detach() - noise).argsort(-1, descending=True)


def ndcg(targets: Tensor, rankings: Tensor, depth: int = DEPTH) -> Tensor:
    """nDCG of each ranking, gains 2^target - 1; 0 where nothing is relevant."""
    places_left = range(rankings.shape[-1])
    discounts = targets.new_tensor([_discount(place, depth) for place in places_left])
    return (_gains(targets)[rankings] * discounts).sum(-1) / _ideal(targets, depth)


def easiness(first: Tensor, by: str) -> Tensor:
    """How much the first stage's scores speak for each document, in [0, 1].

    `reciprocal`: 1 / its place there; `normalised`: its score between the least and the best. The
    heuristics of MacAvaney et al. 2020, arXiv:2004.14269.
    """
    if by == "reciprocal":
        return 1.0 / places(first)
    spread = first.max() - first.min()
    return (first - first.min()) / spread if spread > 0 else first * 0 + 0.5


def curriculum(easy: Tensor, progress: float) -> Tensor:
    """Weights that start as what is easy and end as 1: easy + progress (1 - easy).

    MacAvaney et al. 2020, arXiv:2004.14269; `progress` is the step over the step at
    which the curriculum ends. Every sample has its own weight: the released code multiplies the
    mean loss of a batch by the mean weight.
    """
    share = min(1.0, max(0.0, progress))
    return easy + share * (1 - easy)


def easy_pairs(easy: Tensor) -> Tensor:
    """For i above j: (easy_i - easy_j + 1) / 2, as rows and columns; the same paper."""
    return (easy[:, None] - easy[None, :] + 1) / 2


def easy_documents(easy: Tensor, targets: Tensor) -> Tensor:
    """A relevant document is as easy as the first stage speaks for it, another as it does not."""
    relevant = targets > 0
    return easy * relevant + (1 - easy) * ~relevant


def _softplus(values: Tensor) -> Tensor:
    """log(1 + exp(x)) that overflows nowhere."""
    return values.logaddexp(values.new_zeros(()))


def _gains(targets: Tensor) -> Tensor:
    return 2**targets - 1


def _discount(place: int, depth: int | None) -> float:
    """Of the place from 0: 1 / log2(place + 2), and nothing from `depth` on."""
    return 1 / log2(place + 2) if depth is None or place < depth else 0.0


def _discounts(scores: Tensor, depth: int | None) -> Tensor:
    """The discount of each document at the place that these scores give it."""
    by_place = scores.new_tensor([_discount(place, depth) for place in range(len(scores))])
    return by_place[places(scores) - 1]


def _ideal(targets: Tensor, depth: int | None) -> Tensor:
    """The best DCG there is; 1 where nothing is relevant, since it divides."""
    best = (_gains(targets) * _discounts(targets, depth)).sum()
    return best + (best <= 0)


SCORED: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "ranknet": ranknet,
    "listnet": listnet,
    "lambdarank": lambdarank,
    "pairwise": pairwise,
    "pointwise": pointwise,
    "margin-mse": margin_mse,
}
"""The objectives that need scores and targets, and nothing else."""
