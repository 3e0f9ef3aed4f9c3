"""A pair scorer between an encoder and a cross-encoder: three ways in which two texts are alike.

    score = a cosine(mean of the query's tokens, mean of the document's)
          + b sum_i w_i max_j cosine(q_i, d_j) / sum_i w_i               MaxSim, as ColBERT does
          + c sum_i v_i tf_i / (tf_i + k (1 - l + l |d| / 80)) / sqrt(sum_i v_i)      BM25's form

over the content tokens i of the query and j of the document, with the encoder's last states. tf_i
counts the tokens of the document in the same group as i (a word's inflections, where they are one
token). w and v are a number for each token of the vocabulary; a word of several tokens shares its v
among them. All of it learns: the encoder, w, v, a, b, c, k and l.

That sum becomes a log-odds, `scale` being the slope and the offset that config.json has: what a
document is as likely as not to be relevant at is 0. Nothing else changes, and no order.

Law: nothing is known of a collection, so a score depends on the two texts alone. A text is read
once for all its pairs; what is remembered is rounded to 16 bits, in every score alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rerank.engines.models.checkpoints import Files, numbers
from rerank.engines.models.encoders import Encoder, Text
from rerank.errors import EngineError

HEAD = "match"
"""The head's name among the weights of the encoder's file; `config.json` has it as a key."""

SCALE = "match_scale"
"""The key of config.json with slope and offset of a log-odds; without it a sum stays a sum."""

PARTS = ("mix", "saturation", "likeness", "rarity", "group")
"""(a, b, c), (k, l), w, v, and the group of each token."""

USUAL = 80
"""The number of tokens at which a document's length counts for nothing."""


AT_ONCE = 2048
"""How many tokens go through the encoder together, padding included."""


class Known(NamedTuple):
    """What a text's tokens became: its mean, its content tokens' states (both of length 1) and
    ids, and the share that each has of its word."""

    mean: Any
    states: Any
    ids: Any
    share: Any


class Matcher(Encoder):
    """An encoder with a head of `PARTS`, from its own file or given to begin with."""

    unused = ("pooler",)

    def __init__(
        self,
        files: Files,
        device: str,
        dtype: str,
        limit: int | None,
        head: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(files, device, dtype, limit, "logit")
        self._attach(head or files.part(f"{HEAD}."))
        names = self.tokenizer.convert_ids_to_tokens(range(len(self.tokenizer)))
        self._continues = [name.startswith("##") for name in names]
        self._special = frozenset(self.tokenizer.all_special_ids)
        if head:
            setattr(self.model.config, SCALE, None)  # it was fitted to the head that was there
        scale: Sequence[float] = getattr(self.model.config, SCALE, None) or (1.0, 0.0)
        self._slope, self._offset = scale

    def logits(self, pairs: Sequence[Sequence[Text]]) -> Any:
        """The scores as a tensor, through which gradients flow; nothing is remembered."""
        known: dict[int, Known] = {}
        for side in zip(*pairs, strict=True):
            new = list({id(text): text for text in side if id(text) not in known}.values())
            known |= zip(map(id, new), self._known_of(new), strict=True)
        return self._compared([[known[id(text)] for text in pair] for pair in pairs])

    def _attach(self, head: Mapping[str, Any]) -> None:
        """Make the head a part of the model, so that it is trained, moved and saved with it."""
        if lacking := [part for part in PARTS if part not in head]:
            raise EngineError(f"{self.version} has no weights {HEAD}.{lacking[0]}")
        torch, module = self.torch, self.torch.nn.Module()
        for name in PARTS[:-1]:
            values = torch.as_tensor(head[name], dtype=torch.float32, device=self.device)
            module.register_parameter(name, torch.nn.Parameter(values))
        group = torch.as_tensor(head["group"], dtype=torch.int32, device=self.device)
        module.register_buffer("group", group)
        self.model.add_module(HEAD, module)
        setattr(self.model.config, HEAD, True)
        self._head = module

    def _numbers_kept(self) -> int:
        return self.limit * super()._numbers_kept() // 2

    def _embed(self, texts: Sequence[Text]) -> None:
        for text, known in zip(texts, self._known_of(texts), strict=True):
            text.vector, text.inputs = known._replace(states=known.states.half()), {}

    def _alike(self, left: Sequence[Any], right: Sequence[Any]) -> list[float]:
        found: list[float] = self._compared(list(zip(left, right, strict=True))).tolist()
        return found

    def _known_of(self, texts: Sequence[Text]) -> list[Known]:
        """What the encoder makes of texts, those of like length together."""
        waiting = sorted(range(len(texts)), key=lambda at: -texts[at].tokens)
        found: dict[int, Known] = {}
        while waiting:
            count = max(1, AT_ONCE // texts[waiting[0]].tokens)
            found |= zip(
                waiting[:count], self._read([texts[i] for i in waiting[:count]]), strict=True
            )
            del waiting[:count]
        return [found[at] for at in range(len(texts))]

    def _read(self, texts: Sequence[Text]) -> list[Known]:
        output, mask = self._run(texts)
        states = numbers(output.last_hidden_state)
        means = _unit((states * mask[:, :, None]).sum(1) / mask.sum(1)[:, None])
        return [
            self._one(text, mean, rows)
            for text, mean, rows in zip(texts, means, states, strict=True)
        ]

    def _one(self, text: Text, mean: Any, rows: Any) -> Known:
        ids = text.inputs["input_ids"]
        content = [at for at, token in enumerate(ids) if token not in self._special]
        kept = [ids[at] for at in content]
        return Known(
            mean,
            _unit(rows[content]),
            self.torch.tensor(kept, dtype=self.torch.long, device=self.device),
            self.torch.tensor(self._shares(kept), device=self.device),
        )

    def _shares(self, ids: Sequence[int]) -> list[float]:
        """1 for a token that is a word, 1/n for each of a word's n tokens."""
        words: list[int] = []
        for token in ids:
            if words and self._continues[token]:
                words[-1] += 1
            else:
                words.append(1)
        return [1 / count for count in words for _ in range(count)]

    def _compared(self, pairs: Sequence[Sequence[Known]]) -> Any:
        """The score of each pair."""
        queries, docs = (list(side) for side in zip(*pairs, strict=True))
        cosine = (self._means(queries) * self._means(docs)).sum(-1)
        asked, held = self._ids(queries), self._ids(docs)
        a, b, c = self._head.mix
        likeness = self._likeness(queries, docs, asked, held)
        found = a * cosine + b * likeness + c * self._overlap(queries, asked, held)
        return found * self._slope + self._offset

    def _likeness(self, queries: list[Known], docs: list[Known], asked: Any, held: Any) -> Any:
        near = self._states(docs) @ self._states(queries).transpose(1, 2)
        if not near.shape[1]:
            return near.new_zeros(len(near))
        best = near.masked_fill((held < 0)[:, :, None], -1.0).amax(1)
        weights = self._head.likeness[asked.clamp_min(0)].clamp_min(0) * (asked >= 0)
        found = (best * weights).sum(-1) / weights.sum(-1).clamp_min(1e-6)
        return found * (held >= 0).any(1)

    def _overlap(self, queries: list[Known], asked: Any, held: Any) -> Any:
        head = self._head
        k, share = head.saturation
        groups = head.group[held.clamp_min(0)].masked_fill(held < 0, -1)
        counts = (groups[:, :, None] == head.group[asked.clamp_min(0)][:, None]).sum(1).float()
        lengths = (held >= 0).sum(1, keepdim=True) / USUAL
        shares = self._padded([query.share for query in queries])
        values = head.rarity[asked.clamp_min(0)].clamp_min(0) * shares
        found = counts / (counts + k * (1 - share + share * lengths) + 1e-6)
        return (found * values).sum(-1) / values.sum(-1).clamp_min(1e-6).sqrt()

    def _means(self, side: list[Known]) -> Any:
        return self.torch.stack([known.mean for known in side])

    def _states(self, side: list[Known]) -> Any:
        return self._padded([known.states for known in side]).float()

    def _ids(self, side: list[Known]) -> Any:
        return self._padded([known.ids for known in side], -1)

    def _padded(self, rows: list[Any], fill: float = 0.0) -> Any:
        pad = self.torch.nn.utils.rnn.pad_sequence
        return pad(rows, batch_first=True, padding_value=fill)


def _unit(rows: Any) -> Any:
    return rows / rows.norm(dim=-1, keepdim=True).clamp_min(1e-12)
