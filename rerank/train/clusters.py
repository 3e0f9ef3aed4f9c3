"""Diverse samples: documents drawn evenly from clusters of their vectors, as DUQGen does.

Chandradevan et al. 2024, "DUQGen: Effective Unsupervised Domain Adaptation of Neural Rankers by
Diversifying Synthetic Query Generation", arXiv:2404.02489. Law: the same rows and seed give the
same sample.
"""

from typing import Any

from rerank.errors import extra

ROUNDS = 10


def clusters(rows: Any, count: int, seed: int) -> Any:
    """The cluster of each row of length 1: spherical k-means from rows drawn by chance."""
    np = extra("numpy", "eval")
    draw = np.random.default_rng(seed)
    count = min(count, len(rows))
    centres = rows[draw.choice(len(rows), count, replace=False)]
    for _ in range(ROUNDS):
        nearest = (rows @ centres.T).argmax(1)
        for cluster in np.unique(nearest):
            total = rows[nearest == cluster].sum(0)
            centres[cluster] = total / max(float(np.linalg.norm(total)), 1e-12)
    return (rows @ centres.T).argmax(1)


def diverse(rows: Any, count: int, groups: int, seed: int) -> list[int]:
    """The places of `count` rows, one from each cluster in turn until there are enough."""
    np = extra("numpy", "eval")
    draw = np.random.default_rng(seed)
    of = clusters(rows, groups, seed)
    turns: list[tuple[int, float, int]] = []
    for cluster in np.unique(of):
        members = draw.permutation(np.flatnonzero(of == cluster))
        turns += [(turn, float(draw.random()), int(at)) for turn, at in enumerate(members)]
    return sorted(at for _, _, at in sorted(turns)[:count])
