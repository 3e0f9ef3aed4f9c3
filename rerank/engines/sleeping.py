"""An engine that is opened when something must really be asked, and not before.

What it said of itself when it was open is kept, so that a finished run is read again, under another
measure say, without its model. Law: an engine that wakes up as another one than it was is refused.
"""

import hashlib
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from rerank import wants
from rerank.engines import Engine
from rerank.errors import EngineError
from rerank.passages import Cut
from rerank.wants import Reply, Request, Want


@dataclass(frozen=True)
class Face:
    """What an engine shows before it is asked anything, and the forms of request it has passed."""

    name: str
    wants: tuple[str, ...]
    special_tokens: tuple[str, ...]
    cuts: bool
    score_kind: str
    passed: tuple[str, ...] = ()


class Faces(Protocol):
    """Where the face of one engine is kept."""

    def read(self) -> Face | None: ...
    def write(self, face: Face) -> None: ...


class Sleeping:
    """Opens the engine with `open_engine`: now if its face is not known, else when it must."""

    def __init__(self, open_engine: Callable[[], Engine], faces: Faces) -> None:
        self._open, self._faces = open_engine, faces
        self._engine: Engine | None = None
        self._checked: set[str] = set()  # forms that this engine has passed
        self._assumed: dict[str, Request] = {}  # forms that passed before, and not yet this engine
        self._face = face = faces.read() or self._seen(self._awake())
        self.name, self.special_tokens = face.name, face.special_tokens
        self.wants: tuple[type[Want], ...] = tuple(getattr(wants, name) for name in face.wants)
        self.cut: Cut | None = self._cut if face.cuts else None
        self.score_kind = face.score_kind

    @property
    def expect(self) -> Callable[[Request], None] | None:
        """None while it sleeps: nobody wakes it for what may not be asked."""
        return getattr(self._engine, "expect", None)

    def check(self, request: Request) -> None:
        """What was checked once is not checked again, unless something must be asked."""
        form = hashlib.sha256(repr(request).encode("utf-8", "replace")).hexdigest()
        if form in self._checked:
            return
        if form in self._face.passed:
            self._assumed[form] = request
        else:
            self._awake().check(request)
            self._checked.add(form)
            self._face = replace(self._face, passed=(*self._face.passed, form))
            self._faces.write(self._face)

    def submit(self, ticket: Hashable, request: Request) -> None:
        """Ask; first what an engine learns of itself from a check, such as how a server scores."""
        engine = self._awake()
        for form, assumed in [*self._assumed.items()]:
            engine.check(assumed)
            self._checked.add(form)
            del self._assumed[form]
        engine.submit(ticket, request)

    def poll(self) -> Iterable[tuple[Hashable, Reply]]:
        return self._engine.poll() if self._engine else ()

    def wake(self) -> None:
        if self._engine:
            self._engine.wake()

    def cancel(self, tickets: Collection[Hashable]) -> None:
        if self._engine:
            self._engine.cancel(tickets)

    def close(self) -> None:
        if self._engine:
            self._engine.close()

    def _cut(self, text: str, limit: int) -> tuple[str, int, int]:
        cut = self._awake().cut
        assert cut
        return cut(text, limit)

    def _awake(self) -> Engine:
        if self._engine is None:
            self._engine = self._open()
            self._refuse_another(self._engine)
        return self._engine

    def _refuse_another(self, engine: Engine) -> None:
        known = self._faces.read()
        if known and known.name != engine.name:
            raise EngineError(
                f"the journal's replies are of {known.name}, and the model is now {engine.name}:"
                " begin a new journal, or name the revision"
            )

    def _seen(self, engine: Engine) -> Face:
        face = Face(
            engine.name,
            tuple(want.__name__ for want in engine.wants),
            tuple(engine.special_tokens),
            engine.cut is not None,
            getattr(engine, "score_kind", "logit"),
        )
        self._faces.write(face)
        return face
