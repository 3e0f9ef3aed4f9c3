"""The library face: give it a query and documents, get them back in order, with what it cost.

Documents come back as the objects that they were, and scores are a model's own or None. All calls
of one instance, from any thread, task or notebook, are driven together.
"""

import asyncio
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, TypeAlias

from rerank import cost
from rerank.calibration import Calibration, Keep, as_calibration, calibration_for, refuse_keep
from rerank.cost import Cost, asking, expect, widest
from rerank.engines import Engine
from rerank.engines.journal import remembering
from rerank.engines.opening import key_of, open_engine
from rerank.errors import EngineError, UsageError
from rerank.judges import LLMJudge
from rerank.library.dispatch import Dispatch, Driven
from rerank.library.documents import Texts, asked_of, docs_of, listed, query_of
from rerank.library.plan import Served, Wanted, planned
from rerank.library.ranking import Cut, Given, Hit, Issue, Ranking, ranking_of, score_kind_of
from rerank.library.shortening import refuse_limit, shortened
from rerank.library.tracing import watch
from rerank.methods import Method
from rerank.recipes.options import limits
from rerank.records import Doc, Query
from rerank.scheduler import Budget, Job
from rerank.strategies import options_of

Asked: TypeAlias = tuple[str, Sequence[Any]]
"""A query and its documents."""

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many queries are done, and of how many."""

__all__ = ["Hit", "Issue", "Ranking", "Reranker"]


class Reranker:
    """A method and a model, ready for many queries.

    `method` is a row of METHODS, or "auto" for the one that fits the model: then `method` and `why`
    say which and why. `strategy`, `prompt`, `instruction` and `options` change parts of it, and
    `sampling` how text is generated, as in a recipe: temperature, seed, max_tokens, thinks. A
    strategy of your own, `module:function`, needs no method, but a prompt. With `base_url` the
    model is asked over HTTP; else it is loaded here, by the engine named. `journal` is a file that
    remembers every reply. `budget` is what one query may cost: calls, tokens or seconds. `text`
    reads documents that are neither texts nor have one. With `parts` long documents are rated in
    windows of sentences, as in a recipe: sentences, stride, score, k. `calibration`, or a file with
    one, gives hits their `probability`, and `keep` its meaning. With `on_error="keep"` a query that
    fails comes back in its old order with the reason, instead of raising.
    """

    def __init__(
        self,
        model: str,
        *,
        method: str = "auto",
        strategy: str | None = None,
        prompt: str | None = None,
        instruction: str | None = None,
        options: Mapping[str, Any] | None = None,
        sampling: Mapping[str, Any] | None = None,
        engine: str = "auto",
        base_url: str | None = None,
        api_key: str | None = None,
        engine_options: Mapping[str, Any] | None = None,
        journal: Path | str | None = None,
        budget: Mapping[str, float] | None = None,
        text: Texts | None = None,
        parts: Mapping[str, Any] | None = None,
        calibration: Calibration | Path | str | None = None,
        on_error: Literal["raise", "keep"] = "raise",
    ) -> None:
        if on_error not in ("raise", "keep"):
            raise UsageError(f"on_error is 'raise' or 'keep', not {on_error!r}")
        if parts is not None and calibration:
            raise UsageError("a calibration is of whole documents' scores: give it, or parts")
        given = as_calibration(calibration)
        wanted = Wanted(model, method, strategy, prompt, instruction, options, sampling, parts)
        plan = planned(wanted, Served(engine, base_url, api_key, engine_options or {}))
        self.model, self.method, self.why = model, plan.method, plan.why
        self._row, self._strategy = plan.row, plan.strategy
        self._budget = Budget(**limits(budget or {}))
        opening = partial(open_engine, plan.engine, model, plan.settings)
        key = key_of(plan.engine, model, plan.settings)
        self._engine: Engine = remembering(Path(journal), key, opening) if journal else opening()
        self._judge = LLMJudge(plan.prompt, self._engine)
        self.score_kind = score_kind_of(plan.prompt, self._engine)
        self._calibration = calibration_for(given, model, self.method, self.score_kind)
        self._dispatch = Dispatch(self._judge)
        self._on_error, self._text, self._checked = on_error, text, 0
        self._let_go = weakref.finalize(self, _let_go, self._dispatch, self._engine)

    @property
    def instructs(self) -> bool:
        """Whether its prompt has a place for an instruction."""
        return self._judge.prompt.instructs

    @property
    def counts_tokens(self) -> bool:
        """Whether the model's tokenizer is here, to cut documents with."""
        return self._engine.cut is not None

    def rerank(
        self,
        query: str,
        documents: Sequence[Any],
        top_n: int | None = None,
        *,
        keep: Keep | None = None,
        instruction: str | None = None,
        max_tokens_per_doc: int | None = None,
    ) -> Ranking:
        """Your documents, best first; the best `top_n` of them, if given.

        A method that sorts only as many places as it is told to is told `top_n`, unless
        `options` say otherwise. `keep` cuts where relevance ends: `{"score": s}`, or with a
        calibration `{"probability": p}` or `{"precision": p}`, as many as p of which are
        expected to be relevant. A query that failed is not cut so. `instruction` stands for
        the prompt's own in this call; `max_tokens_per_doc` is how many of the model's tokens it
        may read of a document, and `issues` says how many were cut.
        """
        given = self._given(query, documents, instruction, max_tokens_per_doc)
        cut = self._cut(top_n, keep)
        future = self._submitted(given, self._sorting([given], top_n), top_n)
        try:
            return self._ranking(future.result(), given, cut)
        finally:
            future.cancel()  # nobody waits any more, whatever ended the wait

    async def arerank(
        self,
        query: str,
        documents: Sequence[Any],
        top_n: int | None = None,
        *,
        keep: Keep | None = None,
        instruction: str | None = None,
        max_tokens_per_doc: int | None = None,
    ) -> Ranking:
        """The same in an event loop. A task that is cancelled costs nothing more."""
        given = self._given(query, documents, instruction, max_tokens_per_doc)
        cut = self._cut(top_n, keep)
        future = self._submitted(given, self._sorting([given], top_n), top_n)
        job = await asyncio.wrap_future(future)
        if self._calibration:  # it may load an encoder
            return await asyncio.to_thread(self._ranking, job, given, cut)
        return self._ranking(job, given, cut)

    def rerank_many(
        self,
        batch: Iterable[Asked],
        top_n: int | None = None,
        *,
        keep: Keep | None = None,
        instruction: str | None = None,
        max_tokens_per_doc: int | None = None,
        on_progress: Progress | None = None,
    ) -> list[Ranking]:
        """Rerank many queries at once, all in flight together; rankings in the order given."""
        cut = self._cut(top_n, keep)
        asked = [self._given(*one, instruction, max_tokens_per_doc) for one in asked_of(batch)]
        row = self._sorting(asked, top_n)
        futures = {self._submitted(given, row, top_n): i for i, given in enumerate(asked)}
        found: dict[int, Ranking] = {}
        try:
            for future in as_completed(futures):
                i = futures[future]
                found[i] = self._ranking(future.result(), asked[i], cut)
                if on_progress:
                    on_progress(len(found), len(asked))
        finally:
            _cancel(futures)
        return [found[i] for i in range(len(asked))]

    async def astream(
        self,
        batch: Iterable[Asked],
        top_n: int | None = None,
        *,
        keep: Keep | None = None,
        instruction: str | None = None,
        max_tokens_per_doc: int | None = None,
    ) -> AsyncIterator[tuple[int, Ranking]]:
        """Rankings as they finish, each with its query's place in the batch."""
        cut = self._cut(top_n, keep)
        asked = [self._given(*one, instruction, max_tokens_per_doc) for one in asked_of(batch)]
        row = self._sorting(asked, top_n)
        futures = {self._submitted(given, row, top_n): i for i, given in enumerate(asked)}
        done: asyncio.Queue[Future[Driven]] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        for future in futures:
            future.add_done_callback(lambda one: loop.call_soon_threadsafe(done.put_nowait, one))
        try:
            for _ in asked:
                future = await done.get()
                i = futures[future]
                yield i, self._ranking(future.result(), asked[i], cut)
        finally:
            _cancel(futures)

    def estimate(self, batch: Iterable[Asked], top_n: int | None = None) -> Cost:
        """What reranking would cost, in calls and about how many tokens; asks nothing."""
        asked = [self._given(*one) for one in asked_of(batch)]
        row = self._sorting(asked, top_n)
        docs = {Query(str(i), given.query): given.docs for i, given in enumerate(asked)}
        return expect(row, docs, budget=self._budget)

    def close(self) -> None:
        """Give up what is unfinished, and let go of the model, as when nobody has this any more."""
        self._let_go()

    def __enter__(self) -> "Reranker":
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()

    async def __aenter__(self) -> "Reranker":
        return self

    async def __aexit__(self, *ended: object) -> None:
        await asyncio.to_thread(self.close)

    def __repr__(self) -> str:
        return f"Reranker({self.model!r}, method={self.method!r})"

    def _given(
        self,
        query: str,
        documents: Sequence[Any],
        instruction: str | None = None,
        limit: int | None = None,
    ) -> Given:
        whole, text = listed(documents), query_of(query)
        if instruction and not self.instructs:
            raise UsageError(f"prompt {self._judge.prompt.name} takes no instruction")
        if limit is not None:
            refuse_limit(limit, self._engine.cut)
        return Given(text, whole, docs_of(whole, self._text), instruction or "", limit)

    def _sorting(self, asked: Sequence[Given], top_n: int | None) -> Method:
        """The method, told how many places are wanted; warns where it may not sort so many."""
        takes_k = top_n is not None and "k" in options_of(self._strategy)
        wanted = {"k": top_n} if takes_k else {}
        row = replace(self._row, options={**wanted, **self._row.options})
        for warning in cost.warnings(row, max((len(given.docs) for given in asked), default=0)):
            warnings.warn(f"method {self.method}: {warning}", stacklevel=3)
        return row

    def _submitted(self, given: Given, row: Method, top_n: int | None = None) -> "Future[Driven]":
        strategy, shown = asking(row, given.docs), given.docs
        if given.limit and self._engine.cut:
            strategy, shown = shortened(given, row, given.limit, self._engine.cut), []
        job = Job(Query("", given.query, given.instruction), strategy, self._budget)
        ready = partial(self._ready, widest(row, [len(given.docs)]), job.query, shown)
        ended = watch(given, self.model, self.method, top_n)
        return self._dispatch.submit(job, ready, ended)

    def _ready(self, widest: int, query: Query, docs: Sequence[Doc]) -> None:
        """Before a query's first question: whether it can be asked, and what will be shown."""
        self._check(widest)
        self._judge.expect(query, docs)

    def _check(self, shown: int) -> None:
        """Check the model's labels, once for each width of question."""
        if shown > self._checked:
            self._judge.check(shown)
            self._checked = shown

    def _cut(self, top_n: int | None, keep: Keep | None) -> Cut:
        if top_n is not None and not (isinstance(top_n, Integral) and top_n >= 1):
            raise UsageError(f"top_n is {top_n!r}; it must be 1 or more")
        if keep is not None:
            refuse_keep(keep, self.method, self.score_kind, self._calibration is not None)
        return Cut(top_n, keep, self._calibration)

    def _ranking(self, job: Driven, given: Given, cut: Cut) -> Ranking:
        if job.error and self._on_error == "raise":
            raise EngineError(f"query {given.query!r}: {job.error}")
        return cut.made(ranking_of(job, given, self.method, self.score_kind, self._row.parts))


def _let_go(dispatch: Dispatch, engine: Engine) -> None:
    dispatch.close()
    engine.close()


def _cancel(futures: Iterable["Future[Driven]"]) -> None:
    for future in futures:
        future.cancel()
