"""The routes of the server, and the only file that knows Starlette.

It reads, asks and answers; what a dialect is, how much is too much and what a number means stand
elsewhere. No query and no document is ever logged.
"""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from time import monotonic, time
from typing import Any, Protocol, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from rerank.errors import EngineError, RerankError
from rerank.library.ranking import Ranking
from rerank.records import Usage
from rerank.server import answers, openapi
from rerank.server.dialects import Asked, ask_scores, asked_in, dialect_of, refuse, say_scores
from rerank.server.limits import Gate, Limits, Refused, admit, read_body, read_object
from rerank.server.metrics import Metrics
from rerank.server.requests import ScoreRequest, read
from rerank.server.scale import SCALES, kind_of, ranked, relevance_of

LOG = logging.getLogger(__name__)
GONE = 499  # nobody reads this answer
RERANK = ("/rerank", "/v1/rerank", "/v2/rerank", "/v1/ranking")
SCORE = ("/score", "/v1/score")

T = TypeVar("T")


class Ranker(Protocol):
    """What is served; a Reranker is one. Cancelling a call stops what it costs."""

    @property
    def score_kind(self) -> str: ...
    @property
    def instructs(self) -> bool: ...
    @property
    def counts_tokens(self) -> bool: ...

    def arerank(
        self,
        query: str,
        documents: Sequence[Any],
        top_n: int | None = None,
        *,
        instruction: str | None = None,
        max_tokens_per_doc: int | None = None,
    ) -> Coroutine[Any, Any, Ranking]: ...


@dataclass
class Service:
    """A ranker and what is allowed of it. With `key` every route but /health asks for it."""

    ranker: Ranker
    model: str
    limits: Limits = field(default_factory=Limits)
    key: str | None = None

    def __post_init__(self) -> None:
        self.gate, self.metrics, self.failure = Gate(self.limits.at_once), Metrics(), ""
        self.since = int(time())
        self.document = openapi.document(RERANK, SCORE)

    async def rerank(self, request: Request) -> Response:
        """Every dialect's rerank."""
        with self.gate.entered():
            body = await self._body(request)
            dialect = dialect_of(body)
            try:
                wanted, unknown = asked_in(dialect, body)
                asked, refused = self._possible(wanted)
                found = await self._ranked(request, [asked])
            except Refused as no:
                return _json(dialect.refuse(no.status, no.why), no.status, no.hint)
        answer = ranked(found[0], len(asked.texts), self.model, (*unknown, *refused))
        hints = {"x-score-kind": answer.kind, "x-rerank-status": answer.status}
        return _json(dialect.say(asked, answer), 200, hints)

    async def score(self, request: Request) -> Response:
        """vLLM's scores, in the order of the pairs."""
        if self.ranker.score_kind not in SCALES:
            raise Refused(422, "the method of this server gives an order, and no scores to use")
        with self.gate.entered():
            given, _ = read(ScoreRequest, await self._body(request))
            asked, belongs = ask_scores(given)
            self.limits.check("", [document for one in asked for document in one.texts])
            found = await self._ranked(request, [self._possible(one)[0] for one in asked])
        scores, usage = [0.0] * sum(map(len, belongs)), Usage()
        for ranking, places in zip(found, belongs, strict=True):
            if ranking.error:
                raise Refused(503, "the model gave no answer")
            usage += ranking.usage
            for hit in ranking:
                scores[places[hit.index]] = relevance_of(hit, kind_of(ranking))
        return _json(say_scores(self.model, scores, usage))

    async def models(self, request: Request) -> Response:
        one: answers.Model = {
            "id": self.model, "object": "model", "created": self.since, "owned_by": "rerank",
        }  # fmt: skip
        return _json({"object": "list", "data": [one]})

    async def health(self, request: Request) -> Response:
        """503 from a failure of the engine on, until something is answered again."""
        return _json({"status": self.failure or "ok"}, 503 if self.failure else 200)

    async def counted(self, request: Request) -> Response:
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return PlainTextResponse(self.metrics.text(self.gate.inside), media_type=kind)

    async def described(self, request: Request) -> Response:
        return _json(self.document)

    async def _body(self, request: Request) -> dict[str, Any]:
        """What was sent, if it comes in time."""
        declared, kind = (request.headers.get(f"content-{name}") for name in ("length", "type"))
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Refused(415, "send the body as it is, without a content-encoding")
        try:
            async with asyncio.timeout(self.limits.seconds):
                body = await read_body(request.stream(), declared, self.limits.body)
        except TimeoutError:
            raise Refused(408, "the body did not come in time") from None
        return read_object(body, kind)

    def _possible(self, asked: Asked) -> tuple[Asked, list[str]]:
        """What the model can do of what is asked, and what it cannot, each with the reason."""
        ignored = []
        if asked.instruction and not self.ranker.instructs:
            ignored.append("instruction (this model's prompt has no place for one)")
            asked = replace(asked, instruction=None)
        if asked.max_tokens_per_doc and not self.ranker.counts_tokens:
            ignored.append("max_tokens_per_doc (this model's tokenizer is not here)")
            asked = replace(asked, max_tokens_per_doc=None)
        return asked, ignored

    def _work(self, asked: Asked) -> Coroutine[Any, Any, Ranking]:
        return self.ranker.arerank(
            asked.query,
            asked.texts,
            asked.top_n,
            instruction=asked.instruction,
            max_tokens_per_doc=asked.max_tokens_per_doc,
        )

    async def _ranked(self, request: Request, asked: Sequence[Asked]) -> list[Ranking]:
        """Rank what is asked, unless it takes too long or the client hangs up."""
        for one in asked:
            self.limits.check(one.query, one.texts, one.instruction or "")
        try:
            async with asyncio.timeout(self.limits.seconds):
                found = await _unless_gone(request, map(self._work, asked))
        except TimeoutError:
            why = f"this took longer than the {self.limits.seconds:g} s that a request may take"
            raise Refused(504, why) from None
        except EngineError as failure:
            self.failure = "the engine failed the last request that it was given"
            LOG.error("a request was failed by the engine: %s", type(failure).__name__)
            raise Refused(503, "the model gave no answer") from None
        except RerankError as mistake:  # more documents than the method has labels for, say
            raise Refused(422, str(mistake)) from None
        self.failure = ""
        for one, ranking in zip(asked, found, strict=True):
            self.metrics.ranked(len(one.texts), ranking.calls, ranking.usage, ranking.answers)
            if one.whole and any(issue.kind == "truncated" for issue in ranking.issues):
                raise Refused(422, "a text is longer than the model takes, and may not be cut")
        return found


def application(service: Service, close: Callable[[], None] = lambda: None) -> Starlette:
    """The service as an ASGI application; `close` runs when the server stops."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(close)

    posts = {**dict.fromkeys(RERANK, service.rerank), **dict.fromkeys(SCORE, service.score)}
    gets = {
        "/v1/models": service.models,
        "/health": service.health,
        "/metrics": service.counted,
        "/openapi.json": service.described,
    }
    routes = [
        *(_route(service, path, endpoint, "POST") for path, endpoint in posts.items()),
        *(_route(service, path, endpoint, "GET") for path, endpoint in gets.items()),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _unknown})


def _route(
    service: Service, path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str
) -> Route:
    """An endpoint whose every end is an answer, and is counted."""

    async def answered(request: Request) -> Response:
        begun = monotonic()
        try:
            if path != "/health":
                admit(service.key, request.headers.get("authorization"))
            response = await endpoint(request)
        except Refused as no:
            response = _json(refuse(no.status, no.why), no.status, no.hint)
        except ClientDisconnect:
            response = Response(status_code=GONE)
        except Exception as defect:  # its text may repeat a document's: only its place is logged
            where = "".join(traceback.format_tb(defect.__traceback__))
            LOG.error("%s in %s\n%s", type(defect).__name__, path, where)
            response = _json(refuse(500, "this is a defect of the server; its log says where"), 500)
        service.metrics.answered(path, response.status_code, monotonic() - begun)
        return response

    return Route(path, answered, methods=[method])


async def _unless_gone(request: Request, work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What comes of all the work, which is cancelled when its client hangs up, its time is over or
    one part of it fails.

    After the body nothing is received but that the client has gone.
    """
    parts = [asyncio.ensure_future(part) for part in work]
    leaving, whole = asyncio.ensure_future(request.receive()), asyncio.gather(*parts)
    try:
        both: list[asyncio.Future[Any]] = [whole, leaving]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not whole.done():
            raise ClientDisconnect
        return whole.result()
    finally:
        for each in (leaving, *parts):
            each.cancel()
        await asyncio.gather(leaving, whole, *parts, return_exceptions=True)


def _json(said: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(said, status, headers)


async def _unknown(request: Request, wrong: Exception) -> Response:
    """No such route, or not in this way."""
    assert isinstance(wrong, HTTPException)
    why = f"{wrong.detail}; GET /openapi.json says what there is"
    return _json(refuse(wrong.status_code, why), wrong.status_code, dict(wrong.headers or {}))
