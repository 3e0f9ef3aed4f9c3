"""What a written ranking should be like: objectives over tokens, and the reward of an answer.

Law: `logits` is (tokens, vocabulary), row t being what the model says before token t, and `ids`
are the tokens that the teacher writes. Tensors bring their own methods; no tokenizer is known here.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from rerank.train.objectives import Tensor, lambdarank, listnet, ranknet

ANSWER = re.compile(r"<think>.*?</think>\s*<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)

BESIDE = {"ranknet": (ranknet, 10.0), "lambdarank": (lambdarank, 1.0), "listnet": (listnet, 0.1)}
"""What goes beside language modelling in FIRST's joint loss, and its weight there."""


def surprises(logits: Tensor, ids: Tensor) -> Tensor:
    """The negative log-probability of each token."""
    chosen = logits.gather(-1, ids[:, None])[:, 0]
    return logits.logsumexp(-1) - chosen


def language(logits: Tensor, ids: Tensor) -> Tensor:
    """Language modelling of the permutation: the mean over its tokens and the one that ends it.

    RankVicuna and RankZephyr: Pradeep et al. 2023, arXiv:2309.15088 and arXiv:2312.02724.
    """
    return surprises(logits, ids).mean()


def importance_aware(logits: Tensor, ids: Tensor, ranks: Tensor) -> Tensor:
    """Language modelling in which the tokens of early ranks weigh more.

    The mean over tokens of w NLL, with w = 1 + 1 / log2(rank + 1) for a token of the identifier at
    that rank and 1 for one of rank 0, which separates two or ends the list. Divided by the number
    of tokens, not by the sum of weights. Full ranking: Liu et al. 2024, arXiv:2412.14574. Ranks
    come from `identifier_ranks`, for any tokenizer; the released code knows Mistral's token 1644
    for ">" and weighs all tokens alike with any other.
    """
    weights = 1 + (ranks > 0) / (ranks + 1).clamp_min(2).log2()
    return (weights * surprises(logits, ids)).mean()


def first(
    logits: Tensor,
    ids: Tensor,
    scores: Tensor,
    targets: Tensor,
    beside: str = "ranknet",
    weight: float | None = None,
) -> Tensor:
    """FIRST's joint loss: language modelling + weight x a ranking loss on first-token label scores.

    Reddy et al. 2024, arXiv:2406.15657, section 3: weighted RankNet with weight 10. The released
    script leaves out the two options that say so, and trains LambdaRank with weight 1.
    """
    loss, usual = BESIDE[beside]
    return language(logits, ids) + (usual if weight is None else weight) * loss(scores, targets)


def identifier_ranks(begun: Sequence[str]) -> list[int]:
    """The rank of each token's identifier, from 1; 0 for a token that only separates two.

    `begun[t]` is the text of the first t tokens of a list such as "[2] > [1]", so there is one text
    more than tokens. Letters and digits make an identifier, brackets and spaces go with the one
    that they stand at; a token with ">" and no identifier in it separates.
    """
    ranks = []
    for before, after in pairwise(begun):
        named = [at for at, sign in enumerate(after) if sign.isalnum()]
        if len(named) > sum(sign.isalnum() for sign in before):
            ranks.append(1 + after[: named[-1]].count(">"))
        elif after.count(">") > before.count(">"):
            ranks.append(0)
        else:
            ranks.append(1 + after.count(">"))
    return ranks


def setwise_reward(reply: str, label: str) -> float:
    """1 if a reply thinks, then answers with this label in square brackets and no more; else 0.

    Rank-R1: Zhuang et al. 2025, arXiv:2503.06034. A reply in another form earns
    nothing, and there is no reward for form alone.
    """
    found = ANSWER.search(reply)
    return float(found is not None and found[1].strip().casefold() == f"[{label}]".casefold())


def group_advantage(rewards: Tensor, smallest: float = 1e-4) -> Tensor:
    """How much better each reply is than the others to its prompt: (r - mean) / (deviation + e).

    GRPO: Shao et al. 2024, arXiv:2402.03300. `rewards` is (prompts, replies); the
    deviation is a sample's. Replies that all earn the same teach nothing.
    """
    centred = rewards - rewards.mean(-1, keepdim=True)
    return centred / (rewards.std(-1, keepdim=True) + smallest)


def grpo(logits: Sequence[Tensor], ids: Sequence[Tensor], rewards: Tensor) -> Tensor:
    """The mean over replies of GRPO's objective, negated: replies above their group grow likelier.

    Rank-R1: Zhuang et al. 2025, arXiv:2503.06034, with GRPO as in `group_advantage`. Replies are
    drawn from the weights that learn from them, once.
    """
    advantages = group_advantage(rewards)
    losses = [
        clipped(-surprises(row, reply), -surprises(row, reply).detach(), advantage)
        for row, reply, advantage in zip(logits, ids, advantages, strict=True)
    ]
    return sum(losses[1:], losses[0]) / len(losses)


def clipped(now: Tensor, before: Tensor, advantage: Tensor, width: float = 0.2) -> Tensor:
    """The mean over a reply's tokens of -min(r A, clip(r, 1 - width, 1 + width) A).

    `now` and `before` are log-probabilities of its tokens, r is the ratio of the probabilities.
    Schulman et al. 2017, arXiv:1707.06347, with one advantage for a whole reply.
    """
    ratio = (now - before).exp()
    bounded = ratio.clamp(1 - width, 1 + width)
    return -(ratio * advantage).minimum(bounded * advantage).mean()
