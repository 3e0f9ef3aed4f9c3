"""Models that learn: the forward passes of the engines, with gradients.

Law: what is trained is what ranks later. A student words its questions with the prompts, spells
them and scores them with the classes that the engines use, so there is no second way to score. It
knows no objective and no step.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rerank.datasets import read_candidates
from rerank.engines.checkpoints import Files
from rerank.engines.decoders import LanguageModel, language_model
from rerank.engines.decoders import Prompt as Read
from rerank.engines.encoders import CrossEncoder
from rerank.engines.matching import HEAD, Matcher
from rerank.engines.spelling import Spelling
from rerank.engines.tokens import Tokens
from rerank.errors import InputError, UsageError
from rerank.prompts import Prompt, question_over
from rerank.questions import Order
from rerank.records import Query
from rerank.train.adapters import merge
from rerank.train.data import Example
from rerank.train.recipes import WRITTEN, TrainRecipe
from rerank.train.wiring import matching_head
from rerank.train.writing import identifier_ranks
from rerank.wants import Likelihood, Pair, Reply, Request


class Output(NamedTuple):
    """What a model says of one example: a score for each document, and of each token to write
    what it says before it (`logits`), which it is (`ids`) and whose identifier (`ranks`).

    `pairs`: how far each row's document is above each column's. With `rewards`, one for each reply
    that was tried, `logits` and `ids` are lists of as many.
    """

    scores: Any = None
    logits: Any = None
    ids: Any = None
    ranks: Any = None
    pairs: Any = None
    rewards: Any = None


class Student:
    """A model with its prompt; `lists` if a question shows several documents."""

    lists = False
    loaded: CrossEncoder | Matcher | LanguageModel

    def __init__(self, recipe: TrainRecipe, prompt: Prompt) -> None:
        self.recipe, self.prompt, self.tokens = recipe, prompt, 0

    def outputs(self, examples: Sequence[Example]) -> list[Output]:
        """One forward pass over some examples; `tokens` counts what was read."""
        raise NotImplementedError

    def order(self, example: Example) -> list[int]:
        """The places of an example's documents, best first, as the model ranks them now."""
        [output] = self.outputs([example])
        return [int(place) for place in output.scores.argsort(descending=True, stable=True)]

    @property
    def limit(self) -> int:
        """How many tokens it reads at most; 0 where nothing says so."""
        raise NotImplementedError

    def save(self, folder: str) -> None:
        """Write what `Reranker` and the other recipes load: config, weights, tokenizer."""
        if self.recipe.lora:
            merge(self.loaded)
        if self.recipe.packed:
            self.loaded.save_packed(folder, self.limit)
        else:
            self.loaded.save(folder, self.limit)

    def _request(self, query: Query, docs: Sequence[Any]) -> Request:
        question = question_over(self.prompt.asks, docs)
        return self.prompt.wording(query, question, self.recipe.data.words).request


class PairStudent(Student):
    """A cross-encoder: a query and a document in, a score out."""

    loaded: CrossEncoder | Matcher

    def __init__(self, recipe: TrainRecipe, prompt: Prompt) -> None:
        files = Files(recipe.model, recipe.revision)
        common = files, recipe.device, "float32", recipe.max_length
        if getattr(files.config, HEAD, False):
            self.loaded = Matcher(*common)
        elif recipe.head == "matching":
            self.loaded = Matcher(*common, matching_head(files.tokenizer(), _passages(recipe)))
        else:
            new = "ForSequenceClassification" not in files.architecture
            self.loaded = CrossEncoder(*common, new)
        super().__init__(recipe, prompt.fitted(Tokens(self.loaded.tokenizer).special, None))

    @property
    def limit(self) -> int:
        return self.loaded.limit

    def outputs(self, examples: Sequence[Example]) -> list[Output]:
        wants = [self._request(e.query, [doc]).want for e in examples for doc in e.docs]
        pairs = self.loaded.read([(w.query, w.doc) for w in wants if isinstance(w, Pair)])
        read = {id(text): text.tokens for pair in pairs for text in pair}
        self.tokens += sum(read.values())
        scores = self.loaded.logits(pairs).split([len(e.docs) for e in examples])
        return [Output(found) for found in scores]


def _passages(recipe: TrainRecipe) -> list[str]:
    """Every passage among the candidates, once."""
    candidates = read_candidates(Path(recipe.data.candidates))
    passages = (doc for docs in candidates.docs.values() for doc in docs)
    return list(dict.fromkeys(f"{doc.title} {doc.text}".strip() for doc in passages))


class WritingStudent(Student):
    """A language model that is asked with a prompt; what it would say next is its score."""

    loaded: LanguageModel

    def __init__(self, recipe: TrainRecipe, prompt: Prompt) -> None:
        model = language_model(recipe.model, recipe.device, "float32", recipe.revision)
        model.shares = False  # a start that is read once has no gradient from every row
        self.loaded = model
        self._spelling = Spelling(model.tokenizer, None, model.two_sided)
        super().__init__(recipe, prompt.fitted(self._spelling.special, self._spelling.cut))

    @property
    def limit(self) -> int:
        return self.recipe.max_length or self.loaded.positions or self.loaded.advised

    def _fitting(self, query: Query, read: Read, more: int) -> Read:
        length = len(read.reads) + more
        if self.limit and length > self.limit:
            raise InputError(
                f"query {query.id!r}: {length:,} tokens where {self.limit:,} fit; lower data.words"
                " or data.docs"
            )
        self.tokens += length
        return read


class AskedStudent(WritingStudent):
    """Questions with fixed labels: the logit of the one, or of the first above the second."""

    def _odds(self, asked: Sequence[tuple[Query, Sequence[Any]]]) -> Any:
        """For each query with its documents, in one forward pass."""
        spelt = [self._spelling.spell(self._request(query, docs)) for query, docs in asked]
        pairs = zip(asked, spelt, strict=True)
        reads = [self._fitting(query, read, 1) for (query, _), (read, _) in pairs]
        logits = next(self.loaded.follow(reads))
        rows = zip(logits, spelt, strict=True)
        return self.loaded.torch.stack([_above(row, ids) for row, (_, ids) in rows])


class RatingStudent(AskedStudent):
    """One document at a time: the logit of a label, or of Yes above that of No."""

    def outputs(self, examples: Sequence[Example]) -> list[Output]:
        odds = self._odds([(e.query, [doc]) for e in examples for doc in e.docs])
        return [Output(found) for found in odds.split([len(e.docs) for e in examples])]


class ListStudent(WritingStudent):
    """All documents at once: the logit of each one's label, or the whole ranking written."""

    lists = True

    def __init__(self, recipe: TrainRecipe, prompt: Prompt) -> None:
        super().__init__(recipe, prompt)
        if self.loaded.two_sided:
            raise UsageError(f"{recipe.model} has an encoder; a model that writes lists has none")

    @property
    def _labelled(self) -> bool:
        return self.prompt.file.reads != "permutation"

    @property
    def _writes(self) -> bool:
        return self.recipe.objective in WRITTEN

    def outputs(self, examples: Sequence[Example]) -> list[Output]:
        requests = [self._request(example.query, example.docs) for example in examples]
        spelt = [self._spelling.spell(request) for request in requests]
        if not self._writes:
            reads = [
                self._fitting(e.query, p, 1) for e, (p, _) in zip(examples, spelt, strict=True)
            ]
            logits = next(self.loaded.follow(reads))
            return [Output(row[list(ids)]) for row, (_, ids) in zip(logits, spelt, strict=True)]
        targets = [self._target(e, r) for e, r in zip(examples, requests, strict=True)]
        reads = [
            self._fitting(example.query, prompt, len(ids))
            for example, (prompt, _), ids in zip(examples, spelt, targets, strict=True)
        ]
        rows = self.loaded.continued(reads, targets)
        return [
            self._output(row, ids, labels)
            for row, ids, (_, labels) in zip(rows, targets, spelt, strict=True)
        ]

    def order(self, example: Example) -> list[int]:
        """By first-token scores where the prompt reads them, else as written, token by token."""
        request = self._request(example.query, example.docs)
        read, labels = self._spelling.spell(request)
        read = self._fitting(example.query, read, 1)
        if self._labelled:
            scores = next(self.loaded.follow([read]))[0][list(labels)]
            return [int(place) for place in scores.argsort(descending=True, stable=True)]
        reading = self.prompt.read(Reply(self._written(read, request)), Order(example.docs))
        return [example.docs.index(doc) for doc in reading.value]

    def ranking(self, example: Example) -> str:
        """The teacher's order as the model is to write it after the prompt."""
        labels = self.prompt.labels(len(example.docs))
        every = range(len(labels))
        order = sorted(every, key=lambda place: -example.targets[place])
        file = self.prompt.file
        if self._labelled and not file.prefill.endswith("["):
            return file.before_label + " > ".join(labels[place] for place in order)
        text = " > ".join(f"[{labels[place]}]" for place in order)
        return text.removeprefix("[") if file.prefill.endswith("[") else text

    def _target(self, example: Example, request: Request) -> tuple[int, ...]:
        asked = replace(request, want=Likelihood(self.ranking(example)))
        _, ids = self._spelling.spell(asked)
        end = self.loaded.tokenizer.eos_token_id
        return ids if end is None else (*ids, end)

    def _output(self, logits: Any, ids: tuple[int, ...], labels: tuple[int, ...]) -> Output:
        tokenizer, torch = self.loaded.tokenizer, self.loaded.torch
        ended = bool(ids) and ids[-1] == tokenizer.eos_token_id
        named = ids[: len(ids) - ended]
        begun = [tokenizer.decode(list(named[:count])) for count in range(len(named) + 1)]
        ranks = [*identifier_ranks(begun), *[0] * ended]
        scores = logits[0][list(labels)] if self._labelled else None
        whole = torch.tensor([ids, ranks], device=logits.device)
        return Output(scores, logits, whole[0], whole[1])

    def _written(self, read: Read, request: Request) -> str:
        """The likeliest token, again and again, until the model ends or has had its say."""
        steps = self.loaded.follow([read])
        scores, ids = next(steps), list[int]()
        while len(ids) < getattr(request.want, "max_tokens", 0):
            token = int(scores[0].argmax())
            if token in self.loaded.ends:
                break
            ids.append(token)
            scores = steps.send([token])
        return str(self.loaded.tokenizer.decode(ids, skip_special_tokens=True))


def _above(row: Any, labels: Sequence[int]) -> Any:
    """The first label's logit, above the second's if there are two."""
    return row[labels[0]] if len(labels) == 1 else row[labels[0]] - row[labels[1]]
