"""A decoder that ranks and was never trained: each of its weights is worked out here.

Law: three layers of attention, each with one thing to find out. In the first a token learns whose
it is: that of the last marker before it. In the second a word of the query votes for the passages
that hold it or words like it, a share for each; what none of them earns is nobody's. In the third
the answer counts the query's votes, rare words for more, and a label that is said is struck off.
Nothing is claimed for its quality: it is a language model whose answers can be judged.

It reads `<|begin|>[A] text [B] text <|query|> text <|answer|>` and knows no file. A matrix has
a row for each output, as in checkpoints of Qwen3. What flows through has length √`EACH` before the
first layer, so that every number below is what a token has of each of its features.
"""

from collections.abc import Mapping
from math import log, pi, sqrt
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy import cos, sin, tan

Matrix: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

WIDTH, HEAD, HEADS, LAYERS, INNER = 256, 128, 2, 3, 256
CONTEXT = 8192
THETA = 1e24
"""So large that positions turn the first 14 pairs of a head's numbers and leave the others."""

NEAR, STILL = 9, [*range(14, 64), *range(78, 128)]
"""The pair that tells how far a marker is, 4.2e-4 a token, and the numbers that never turn."""

LABELS, NOBODY, QUERY, OWNERS = 26, 26, 27, 28
"""Who may own a token: a passage, by its letter, nobody, the query."""

MEANING, SPELLING = slice(0, 48), slice(48, 96)
WORD, RARE, REST, SILENT, MARK, BEGIN, ANSWER, FILLED = range(96, 104)
OWNER, SEGMENT, VOTE, LISTED = (slice(start, start + OWNERS) for start in range(104, 216, OWNERS))
ANSWERING, END, YES, NO = range(216, 220)
"""The features of a token: what it is, what layers find out, what the labels are read from."""

EACH = 3
SPELLED = 0.5
"""How much of the likeness of two words is that they are the same word."""
NEARNESS = 6000.0
STRICT, DOUBT = 20.0, 0.55
"""An equal word gets e^20 times the vote of an unlike one, and nobody that of one alike by 0.55."""
RARITY = 8.0
"""The rarest word counts e^8 times what the commonest does."""
LISTS, STOPS, STRIKES = 78.0, 1.25, 216.0
"""A label listed is worth 1.5 to 2.9 besides its votes, the end 1.25, a label said less than 0."""
LOUD = 4.0
FAINT = 1e-5
"""What a layer that waits to be taught adds to the meaning of a word, at first."""


class Vocabulary(NamedTuple):
    """What is known of each token: `meaning`, a row of length 1, or 0 where it has none of its own;
    `rarity` in [0, 1]; `words`, whether it may vote. Then the tokens with a part to play."""

    meaning: Matrix
    rarity: Matrix
    words: "np.ndarray[Any, np.dtype[np.bool_]]"
    begin: int
    query: int
    answer: int
    end: int
    yes: int
    no: int
    labels: tuple[int, ...]


class Head(NamedTuple):
    """What one head of attention asks, offers and passes on, and where that goes."""

    query: Matrix
    key: Matrix
    value: Matrix
    out: Matrix


def decoder(vocabulary: Vocabulary, layers: int = LAYERS, inner: int = INNER) -> dict[str, Matrix]:
    """Every weight of the model, by its name in a checkpoint of Qwen3; the head is the embedding's.

    Feed-forward layers say nothing, but could be taught to. `layers` beyond three are between the
    first and the second and next to silent: there a word can learn from those before it what it
    means, and a `sparse` training lets them change nothing else.
    """
    wired = [
        (_attention(owners(), answering()), NEARNESS),
        (_attention(votes(), listing()), STRICT * sqrt(2 + DOUBT**2)),
        (_attention(counting(), striking()), RARITY * sqrt(2)),
    ]
    found = {"model.embed_tokens.weight": embedding(vocabulary), "model.norm.weight": _read()}
    chance = np.random.default_rng(0)
    places = [0, layers - 2, layers - 1]
    for number in range(layers):
        known = number in places
        attention, sharpness = wired[places.index(number)] if known else (_idle(chance), 1.0)
        parts = {**attention, **_norms(sharpness), **_silent(chance, inner)}
        if not known:
            parts["mlp.down_proj"][MEANING] = chance.normal(0, FAINT, (48, inner))
        found |= {f"model.layers.{number}.{name}.weight": part for name, part in parts.items()}
    return found


def embedding(vocabulary: Vocabulary) -> Matrix:
    """A row of features for each token; all rows are equally long, but for yes and no."""
    found = np.zeros((len(vocabulary.rarity), WIDTH))
    spelling = np.random.default_rng(1).choice([-1.0, 1.0], (len(found), 48)) / sqrt(48)
    known = (np.abs(vocabulary.meaning).sum(1) > 0) * vocabulary.words
    found[:, MEANING] = vocabulary.meaning * (sqrt(1 - SPELLED) * known)[:, None]
    found[:, SPELLING] = spelling * np.sqrt(vocabulary.words * (1 - (1 - SPELLED) * known))[:, None]
    found[:, WORD] = 1
    found[:, RARE] = vocabulary.rarity * vocabulary.words
    found[:, REST] = np.sqrt(1 - found[:, RARE] ** 2)
    found[:, SILENT] = 1 - vocabulary.words
    owners = {vocabulary.begin: NOBODY, vocabulary.query: QUERY}
    owners |= {token: label for label, token in enumerate(vocabulary.labels)}
    for token in (*owners, vocabulary.answer, vocabulary.end):
        found[token] = 0
        found[token, [MARK, FILLED]] = 1
    for token, owner in owners.items():
        found[token, OWNER.start + owner] = 1
    for token, feature in ((vocabulary.answer, ANSWER), (vocabulary.end, END)):
        found[token, feature] = 1
    found[vocabulary.begin, [BEGIN, FILLED]] = 1, 0
    found[vocabulary.yes, YES] = found[vocabulary.no, NO] = 1
    return found


def owners() -> Head:
    """Whose each token is: it looks at the last marker, itself included."""
    head = _blank()
    turned = pi / 4  # where nearness falls steadily from the first token on
    for feature in (WORD, MARK):
        head.query[[NEAR, NEAR + 64, STILL[0]], feature] = cos(turned), sin(turned), -1
    head.key[NEAR, MARK] = head.key[STILL[0], WORD] = 1
    head.key[STILL[1], BEGIN] = 1  # the beginning is no rival of the marker that follows it
    return _passing(head, OWNER, [(SEGMENT, 1.0)], EACH)


def answering() -> Head:
    """Whether the answer has begun."""
    head = _blank()
    head.query[STILL[0], [WORD, MARK]] = 1
    head.key[STILL[0], ANSWER] = 2
    head.key[STILL[0], [WORD, MARK]] = -1
    head.value[0, ANSWER], head.out[ANSWERING, 0] = 1, sqrt(EACH / WIDTH)
    return head


def votes() -> Head:
    """Whose words are like this one; not the query's own, and no marker's."""
    head = _blank()
    for at in (MEANING, SPELLING):
        for side in (head.query, head.key):
            side[STILL[at], at] = np.eye(48)
    doubt, barred = STILL[96:98]
    head.query[[doubt, barred], WORD] = DOUBT, 1
    head.key[doubt, BEGIN] = 1
    head.key[barred, [SEGMENT.start + QUERY, SILENT, MARK]] = -10
    head.key[barred, BEGIN] = 10
    return _passing(head, SEGMENT, [(VOTE, 0.5)], EACH + 1)


def listing() -> Head:
    """Which labels there are: a look at all of them, and 26 times as much at the beginning."""
    head = _blank()
    sharpness = STRICT * sqrt(2 + DOUBT**2)
    aside = tan(np.arccos(1 - log(LABELS) / sharpness))
    head.query[STILL[0], [WORD, MARK]] = 1
    head.key[STILL[0], [MARK, WORD, ANSWERING]] = 1, -1, -2
    head.key[STILL[1], [MARK, BEGIN]] = aside, -aside
    return _passing(head, OWNER, [(LISTED, 1.0)], EACH + 1)


def counting() -> Head:
    """The query's votes, rare words for more; what is said while answering."""
    head = _blank()
    head.query[STILL[:2], ANSWERING] = 1
    head.key[STILL[0], [WORD, SEGMENT.start + QUERY, MARK]] = -4, 4, -8
    head.key[STILL[1], RARE] = head.key[STILL[2], REST] = 1
    _passing(head, VOTE, [(OWNER, 2.0)], EACH + 1)
    head.out[OWNER.start + LABELS : OWNER.stop] = 0
    head.out[YES] = head.out[OWNER.start]
    head.out[NO, NOBODY] = head.out[OWNER.start, 0]
    return head


def striking() -> Head:
    """What was said already is struck off; what is listed goes before the end."""
    head = _blank()
    head.query[STILL[0], ANSWERING] = 1
    head.key[STILL[0], [WORD, MARK, ANSWERING]] = -1, -1, 2
    _passing(head, OWNER, [(OWNER, -STRIKES)], EACH + 1)
    head.value[OWNERS : 2 * OWNERS, LISTED] = np.eye(OWNERS)
    head.value[2 * OWNERS, ANSWERING] = 1
    scale = sqrt((EACH + 1) / WIDTH)
    head.out[OWNER, OWNERS : 2 * OWNERS] = np.eye(OWNERS) * LISTS * scale
    head.out[OWNER.start + LABELS : OWNER.stop] = 0
    head.out[END, 2 * OWNERS] = STOPS * scale
    return head


def _blank() -> Head:
    query, key, value = np.zeros((3, HEAD, WIDTH))
    return Head(query, key, value, np.zeros((WIDTH, HEAD)))


def _passing(head: Head, taken: slice, given: list[tuple[slice, float]], length: float) -> Head:
    """Pass features of what is looked at on to others; `length` is what it has, squared."""
    head.value[:OWNERS, taken] = np.eye(OWNERS)
    for feature, times in given:
        head.out[feature, :OWNERS] = np.eye(OWNERS) * times * sqrt(length / WIDTH)
    return head


def _attention(*heads: Head) -> dict[str, Matrix]:
    names = ("q_proj", "k_proj", "v_proj", "o_proj")
    return {
        f"self_attn.{name}": np.concatenate(sides, axis=int(name == "o_proj"))
        for name, sides in zip(names, zip(*heads, strict=True), strict=True)
    }


def _norms(sharpness: float) -> dict[str, Matrix]:
    """A look of full agreement is worth `sharpness`."""
    sides = {f"self_attn.{side}_norm": np.ones(HEAD) for side in "qk"}
    for side in sides.values():
        side *= sqrt(sharpness / sqrt(HEAD))
    around = ("input_layernorm", "post_attention_layernorm")
    return {**sides, **{name: np.ones(WIDTH) for name in around}}


def _idle(chance: np.random.Generator) -> dict[str, Matrix]:
    """Heads that look about by chance and pass next to nothing on, to the meaning alone."""
    made = []
    for _ in range(HEADS):
        query, key, value = chance.normal(0, 0.05, (3, HEAD, WIDTH))
        out = np.zeros((WIDTH, HEAD))
        out[MEANING] = chance.normal(0, FAINT, (48, HEAD))
        made.append(Head(query, key, value, out))
    return _attention(*made)


def _silent(chance: np.random.Generator, inner: int) -> Mapping[str, Matrix]:
    """A feed-forward layer whose output is 0; gradients still reach it."""
    into = {f"mlp.{name}_proj": chance.normal(0, 0.02, (inner, WIDTH)) for name in ("gate", "up")}
    return {**into, "mlp.down_proj": np.zeros((WIDTH, inner))}


def _read() -> Matrix:
    """The last norm: nothing counts for the next token but what it is read from."""
    loud = np.zeros(WIDTH)
    loud[OWNER] = loud[[END, YES, NO]] = LOUD
    return loud
