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
from rerank.engines.models.checkpoints import Files
from rerank.engines.models.decoders import LanguageModel, language_model
from rerank.engines.models.decoders import Prompt as Read
from rerank.engines.models.encoders import CrossEncoder, Text
from rerank.engines.models.matching import HEAD, Matcher
from rerank.engines.tokenisation.spelling import Spelling, Spelt
from rerank.engines.tokenisation.tokens import Tokens
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
        self._known: dict[Example, Any] = {}

    def read(self, examples: Sequence[Example]) -> Any:
        """What `said` reads of some examples: their texts in tokens, on no device."""
        raise NotImplementedError

    def said(self, examples: Sequence[Example], read: Any) -> list[Output]:
        """One forward pass over some examples; `tokens` counts what was read."""
        raise NotImplementedError

    def outputs(self, examples: Sequence[Example]) -> list[Output]:
        """The same of texts that were not read yet."""
        return self.said(examples, self.read(examples))

    def orders(self, asked: Sequence[Example]) -> list[list[int]]:
        """The places of each example's documents, best first, as the model ranks them now."""
        found = []
        for start in range(0, len(asked), self.recipe.at_once):
            some = asked[start : start + self.recipe.at_once]
            read = [part for example in some for part in self._read_once(example)]
            found += [output.scores for output in self.said(some, read)]
        return [scores.argsort(descending=True, stable=True).tolist() for scores in found]

    def _read_once(self, example: Example) -> Any:
        """What is validated on again and again is read once."""
        if example not in self._known:
            self._known[example] = self.read([example])
        return self._known[example]

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
            self.loaded.model.to(getattr(self.loaded.torch, self.recipe.stored))
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
        matches = getattr(files.config, HEAD, False)
        if matches and recipe.head != "linear":
            self.loaded = Matcher(*common)
        elif recipe.head == "matching":
            self.loaded = Matcher(*common, matching_head(files.tokenizer(), _passages(recipe)))
        else:
            new = "ForSequenceClassification" not in files.architecture
            self.loaded = CrossEncoder(*common, new)
            setattr(self.loaded.model.config, HEAD, False)
        super().__init__(recipe, prompt.fitted(Tokens(self.loaded.tokenizer).special, None))

    @property
    def limit(self) -> int:
        return self.loaded.limit

    def read(self, examples: Sequence[Example]) -> list[Sequence[Text]]:
        wants = [self._request(e.query, [doc]).want for e in examples for doc in e.docs]
        return self.loaded.read([(w.query, w.doc) for w in wants if isinstance(w, Pair)])

    def said(self, examples: Sequence[Example], read: list[Sequence[Text]]) -> list[Output]:
        counted = {id(text): text.tokens for pair in read for text in pair}
        self.tokens += sum(counted.values())
        scores = self.loaded.logits(read).split([len(e.docs) for e in examples])
        return [Output(found) for found in scores]


def _passages(recipe: TrainRecipe) -> list[str]:
    """Every passage among the candidates, once."""
    candidates = read_candidates(Path(recipe.data.candidates))
    passages = (doc for docs in candidates.docs.values() for doc in docs)
    return list(dict.fromkeys(f"{doc.title} {doc.text}".strip() for doc in passages))


class WritingStudent(Student):
    """A language model that is asked with a prompt; what it would say next is its score."""

    loaded: LanguageModel

    def __init__(
        self, recipe: TrainRecipe, prompt: Prompt, loaded: LanguageModel | None = None
    ) -> None:
        model = loaded or language_model(recipe.model, recipe.device, "float32", recipe.revision)
        model.shares = False  # a start that is read once has no gradient from every row
        self.loaded = model
        self._spelling = Spelling(model.tokenizer, None, model.two_sided)
        super().__init__(recipe, prompt.fitted(self._spelling.special, self._spelling.cut))

    @property
    def limit(self) -> int:
        return self.recipe.max_length or self.loaded.positions or self.loaded.advised

    def _fitting(self, query: Query, read: Read, more: int) -> Read:
        """A prompt that the model is long enough for, and `more` tokens after it."""
        length = len(read.reads) + more
        if self.limit and length > self.limit:
            raise InputError(
                f"query {query.id!r}: {length:,} tokens where {self.limit:,} fit; lower data.words"
                " or data.docs"
            )
        return read

    def _spelt(self, query: Query, docs: Sequence[Any]) -> Spelt:
        """A question that is answered with one label."""
        read, ids = self._spelling.spell(self._request(query, docs))
        return self._fitting(query, read, 1), ids

    def _labelled_logits(self, spelt: Sequence[Spelt]) -> list[Any]:
        """For each question the logits of its labels, all in one forward pass."""
        self.tokens += sum(len(read.reads) + 1 for read, _ in spelt)
        logits = next(self.loaded.follow([read for read, _ in spelt]))
        found = logits.gather(1, self.loaded.padded([ids for _, ids in spelt], 0))
        rows: list[Any] = [*found]
        return [row[: len(ids)] for row, (_, ids) in zip(rows, spelt, strict=True)]


class AskedStudent(WritingStudent):
    """Questions with fixed labels: the logit of the one, or of the first above the second."""

    def _odds(self, spelt: Sequence[Spelt]) -> Any:
        """For each question, in one forward pass."""
        found = self.loaded.torch.stack(self._labelled_logits(spelt))
        return found[:, 0] if found.shape[1] == 1 else found[:, 0] - found[:, 1]


class RatingStudent(AskedStudent):
    """One document at a time: the logit of a label, or of Yes above that of No."""

    def read(self, examples: Sequence[Example]) -> list[Spelt]:
        return [self._spelt(e.query, [doc]) for e in examples for doc in e.docs]

    def said(self, examples: Sequence[Example], read: list[Spelt]) -> list[Output]:
        odds = self._odds(read)
        return [Output(found) for found in odds.split([len(e.docs) for e in examples])]


class ListStudent(WritingStudent):
    """All documents at once: the logit of each one's label, or the whole ranking written."""

    lists = True

    def __init__(
        self, recipe: TrainRecipe, prompt: Prompt, loaded: LanguageModel | None = None
    ) -> None:
        super().__init__(recipe, prompt, loaded)
        if self.loaded.two_sided:
            raise UsageError(f"{recipe.model} has an encoder; a model that writes lists has none")

    @property
    def _labelled(self) -> bool:
        return self.prompt.file.reads != "permutation"

    @property
    def _writes(self) -> bool:
        return self.recipe.objective in WRITTEN

    def read(self, examples: Sequence[Example]) -> Any:
        if not self._writes:
            return [self._spelt(e.query, e.docs) for e in examples]
        return [self._lesson(example) for example in examples]

    def said(self, examples: Sequence[Example], read: Any) -> list[Output]:
        if not self._writes:
            return [Output(scores) for scores in self._labelled_logits(read)]
        reads, labels, targets = zip(*read, strict=True)
        self.tokens += sum(map(len, targets)) + sum(len(prompt.reads) for prompt in reads)
        rows = self.loaded.continued(reads, targets)
        return [self._output(*row) for row in zip(rows, targets, labels, strict=True)]

    def orders(self, asked: Sequence[Example]) -> list[list[int]]:
        """By first-token scores where the prompt reads them, else as written, token by token."""
        if self._labelled and not self._writes:
            return super().orders(asked)
        return [self._order(example) for example in asked]

    def _order(self, example: Example) -> list[int]:
        if self._labelled:
            [scores] = self._labelled_logits([self._spelt(example.query, example.docs)])
            return [int(place) for place in scores.argsort(descending=True, stable=True)]
        request = self._request(example.query, example.docs)
        read = self._fitting(example.query, self._spelling.spell(request)[0], 1)
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

    def _lesson(self, example: Example) -> tuple[Read, tuple[int, ...], tuple[int, ...]]:
        """The prompt, its labels, and what is to be written after it."""
        request = self._request(example.query, example.docs)
        (read, labels), ids = self._spelling.spell(request), self._target(example, request)
        return self._fitting(example.query, read, len(ids)), labels, ids

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
