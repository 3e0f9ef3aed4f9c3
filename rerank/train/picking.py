"""A model that writes which document is best, and learns from what its replies earned."""

from collections.abc import Sequence

from rerank.engines.models.decoders import Prompt as Read
from rerank.questions import Pick
from rerank.records import Status
from rerank.train.data import Example
from rerank.train.students import ListStudent, Output
from rerank.train.writing import setwise_reward
from rerank.wants import Reply, Request

Asked = tuple[Read, Request]


class PickingStudent(ListStudent):
    """Some replies of chance to each question, each with its reward."""

    def read(self, examples: Sequence[Example]) -> list[Asked]:
        return [self._asked(example) for example in examples]

    def said(self, examples: Sequence[Example], read: list[Asked]) -> list[Output]:
        return [self._tried(*pair) for pair in zip(examples, read, strict=True)]

    def orders(self, asked: Sequence[Example]) -> list[list[int]]:
        return [self._order(example) for example in asked]

    def _order(self, example: Example) -> list[int]:
        """What it picks without chance, then the others as they came."""
        read, request = self._asked(example)
        weights = self._weights(example, self._written(read, request))
        return sorted(range(len(weights)), key=lambda place: -weights[place])

    def reward(self, example: Example, text: str) -> float:
        """1 for the best document's label, in the form that the recipe asks for; else 0."""
        best = max(range(len(example.docs)), key=lambda place: example.targets[place])
        if self.recipe.reward == "thought":
            label = self.prompt.labels(len(example.docs))[best]
            return setwise_reward(self.prompt.file.prefill + text, label)
        return float(self._weights(example, text)[best] == 1)

    def _weights(self, example: Example, text: str) -> list[float]:
        reading = self.prompt.read(Reply(text), Pick(example.docs))
        said = reading.status is Status.OK
        return list(reading.value) if said else [0.0] * len(example.docs)

    def _asked(self, example: Example) -> Asked:
        request = self._request(example.query, example.docs)
        read, _ = self._spelling.spell(request)
        return self._fitting(example.query, read, getattr(request.want, "max_tokens", 0)), request

    def _tried(self, example: Example, asked: Asked) -> Output:
        torch, tokenizer = self.loaded.torch, self.loaded.tokenizer
        read, request = asked
        self.tokens += len(read.reads) + getattr(request.want, "max_tokens", 0)
        with torch.no_grad():
            drawn = self._drawn(read, getattr(request.want, "max_tokens", 0))
        texts = [tokenizer.decode(self._unended(ids), skip_special_tokens=True) for ids in drawn]
        rewards = [self.reward(example, text) for text in texts]
        logits = [*self.loaded.continued([read] * len(drawn), drawn)]
        device = self.loaded.device
        ids = [torch.tensor(reply, device=device) for reply in drawn]
        return Output(logits=logits, ids=ids, rewards=torch.tensor(rewards, device=device))

    def _drawn(self, read: Read, limit: int) -> list[list[int]]:
        """Replies at temperature 1, each up to the token that ends it or to the limit."""
        replies: list[list[int]] = [[] for _ in range(self.recipe.draws)]
        going, steps = replies, self.loaded.follow([read] * len(replies))
        scores = next(steps)
        while True:
            tokens = scores.softmax(-1).multinomial(1)[:, 0].tolist()
            for reply, token in zip(going, tokens, strict=True):
                reply.append(token)
            over = [reply[-1] in self.loaded.ends or len(reply) >= limit for reply in going]
            chosen = [None if end else token for end, token in zip(over, tokens, strict=True)]
            if not (going := [r for r, end in zip(going, over, strict=True) if not end]):
                return replies
            scores = steps.send(chosen)

    def _unended(self, ids: list[int]) -> list[int]:
        return ids[:-1] if ids[-1] in self.loaded.ends else ids
