"""The least time that a GPU can take: operations over its rate, bytes over its bandwidth.

A dense decoder in bfloat16. To read T tokens after c that are cached takes 2 P T operations in the
weights, 4 L h d (T c + T (T + 1) / 2) in attention, and the head's for the rows that are scored; to
write a token takes at least the weights and its own keys and values from memory. Nothing else is
counted: no norm, no sampling, no host. P: parameters without embeddings; L: layers; h, d: heads
and their size.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

RATE = 790e12  # operations a second, dense bfloat16: an H200's matrix product, 8192 cubed
BANDWIDTH = 4.3e12  # bytes a second, read and written: the best copy seen on an H200
BYTES = 2


class Read(NamedTuple):
    """A request as it was computed: tokens of its prompt, those of them cached, tokens written."""

    prompt: int
    cached: int
    written: int


@dataclass(frozen=True)
class Floor:
    """What a model of this `config`, in the keys of a Hugging Face checkpoint, takes at least."""

    config: dict[str, Any]

    @property
    def body(self) -> int:
        """Parameters of all layers: the projections of attention, and the gated network."""
        of = self.config
        own, shared = (
            of[key] * of["head_dim"] for key in ("num_attention_heads", "num_key_value_heads")
        )
        wide = 2 * own + 2 * shared + 3 * of["intermediate_size"]
        return int(of["num_hidden_layers"] * of["hidden_size"] * wide)

    @property
    def head(self) -> int:
        return int(self.config["vocab_size"] * self.config["hidden_size"])

    def operations(self, read: Read) -> float:
        """To read a prompt and write its first token, with one row of the head."""
        new, of = read.prompt - read.cached, self.config
        pairs = new * read.cached + new * (new + 1) / 2
        width = of["num_attention_heads"] * of["head_dim"]
        attention = 4 * of["num_hidden_layers"] * width * pairs
        return 2 * self.body * new + attention + 2 * self.head

    def kept(self, tokens: float) -> float:
        """Bytes of the keys and values of so many tokens."""
        of = self.config
        width = of["num_key_value_heads"] * of["head_dim"]
        return 2 * BYTES * of["num_hidden_layers"] * width * tokens

    def writing(self, read: Read, together: int) -> float:
        """Seconds to write the tokens after the first, with so many others in each step."""
        share = BYTES * (self.body + self.head) / together
        bytes_each = share + self.kept(read.prompt + read.written / 2)
        each = max(bytes_each / BANDWIDTH, 2 * (self.body + self.head) / RATE)
        return (read.written - 1) * each

    def busy(self, reads: Iterable[Read], together: int) -> float:
        """Seconds for all of these on a card that is never idle."""
        return sum(self.operations(read) / RATE + self.writing(read, together) for read in reads)

    def alone(self, reads: Iterable[Read], rounds: float) -> float:
        """Seconds for these in so many rounds one after the other, and nobody else there.

        Every round reads the weights; requests that write are taken to be one in each round.
        """
        reads = list(reads)
        weights = BYTES * (self.body + self.head) / BANDWIDTH
        work = sum(map(self.operations, reads)) / RATE
        return max(work, rounds * weights) + sum(self.writing(read, 1) for read in reads)
