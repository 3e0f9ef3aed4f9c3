"""Remember every reply on disk, so that a run that dies resumes and a new reader costs nothing.

It stands in front of any engine and knows requests and replies only. A reply is on disk before
it is handed over; errors and overflows are asked again. It opens with any SQLite shell.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from rerank.engines import NOBODY, Engine
from rerank.engines.sleeping import Face, Sleeping
from rerank.errors import InputError
from rerank.passages import Cut
from rerank.records import Usage
from rerank.stopwatch import stage
from rerank.wants import Labels, Likelihood, Logits, Pair, Reply, Request, Text, Want

OURS = 0x72726E6B  # "rrnk": SQLite's application_id of a journal
TABLE = "CREATE TABLE reply (key TEXT PRIMARY KEY, engine TEXT, request TEXT, reply TEXT)"
FACES = "CREATE TABLE IF NOT EXISTS face (key TEXT PRIMARY KEY, face TEXT)"


class _Asked(NamedTuple):
    """A request that is out: its number, how it is spelled on disk, and who waits for it."""

    number: int
    spelled: str
    askers: list[Hashable]


class Journal:
    """An engine that asks `engine` for what it does not remember.

    `asked` and `replayed` count requests that cost a call and those that did not; one that is
    submitted again while it is out is asked once. What is drawn at a temperature is remembered
    too: give each draw a seed of its own. One run at a time has the file, until `close` or its
    death; a run from two threads takes turns.
    """

    def __init__(self, engine: Engine, path: Path, rows: sqlite3.Connection | None = None) -> None:
        self.engine, self.path = engine, path
        self.name, self.wants = engine.name, engine.wants
        self.special_tokens, self.cut = engine.special_tokens, engine.cut
        self.score_kind = getattr(engine, "score_kind", "logit")
        self.asked = self.replayed = 0
        self._known: list[tuple[Hashable, Reply]] = []
        self._out: dict[str, _Asked] = {}
        self._keys: dict[Hashable, str] = {}  # of what is out, by the number that the engine has
        self._numbers = count()
        self._rows = rows or _opened(path)

    @property
    def expect(self) -> Callable[[Request], None] | None:
        return getattr(self.engine, "expect", None)

    def check(self, request: Request) -> None:
        self.engine.check(request)

    def submit(self, ticket: Hashable, request: Request) -> None:
        """Take a request; `InputError` where the journal itself cannot be read."""
        with stage("journal"):
            spelled = _spelled(request)
            key = _key(self.name, spelled)
            reply = None if key in self._out else self._remembered(key)
        if key in self._out:
            self._out[key].askers.append(ticket)
            self.replayed += 1
        elif reply is not None:
            self._known.append((ticket, reply))
            self.replayed += 1
        else:
            self.engine.submit(number := next(self._numbers), request)
            self._out[key], self._keys[number] = _Asked(number, spelled, [ticket]), key
            self.asked += 1

    def poll(self) -> Iterable[tuple[Hashable, Reply]]:
        """What is remembered at once; else what the engine finishes, once it is on disk."""
        if self._known:
            known, self._known = self._known, []
            return known
        replies = list(self.engine.poll())
        finished = [(self._keys.pop(n), reply) for n, reply in replies if n in self._keys]
        if replies and not finished:
            return [(NOBODY, Reply())]
        asked = {key: self._out.pop(key) for key, _ in finished}
        with stage("journal"):
            self._remember([(key, asked[key].spelled, reply) for key, reply in finished])
        return [(ticket, reply) for key, reply in finished for ticket in asked[key].askers]

    def wake(self) -> None:
        self.engine.wake()

    def cancel(self, tickets: Collection[Hashable]) -> None:
        """Forget who asked; what nobody asks for any more is cancelled.

        A reply to that may come all the same, and is not one to who asks for it again.
        """
        self._known = [known for known in self._known if known[0] not in tickets]
        for key, asked in [*self._out.items()]:
            asked.askers[:] = [ticket for ticket in asked.askers if ticket not in tickets]
            if not asked.askers:
                del self._out[key], self._keys[asked.number]
                self.engine.cancel({asked.number})

    def close(self) -> None:
        self.engine.close()
        self._rows.close()

    def _remembered(self, key: str) -> Reply | None:
        with _explained(self.path):
            return _found(self._rows, key)

    def _remember(self, finished: Iterable[tuple[str, str, Reply]]) -> None:
        kept = [
            (key, self.name, request, _json(asdict(reply)))
            for key, request, reply in finished
            if not reply.error and not reply.overflow
        ]
        with _explained(self.path), self._rows:  # the one commit of this poll
            self._rows.executemany("INSERT INTO reply VALUES (?, ?, ?, ?)", kept)


@dataclass(frozen=True)
class _Faces:
    """The face of the engine of this key, in the journal's own file."""

    rows: sqlite3.Connection
    path: Path
    key: str

    def read(self) -> Face | None:
        with _explained(self.path):
            find = "SELECT face FROM face WHERE key = ?"
            row = self.rows.execute(find, [self.key]).fetchone()
            known = json.loads(row[0]) if row else None
            return Face(**{k: _tuple(v) for k, v in known.items()}) if known else None

    def write(self, face: Face) -> None:
        with _explained(self.path), self.rows:
            row = [self.key, _json(asdict(face))]
            self.rows.execute("INSERT OR REPLACE INTO face VALUES (?, ?)", row)


class Recall:
    """An engine that replies what a journal holds under its name; all else is an error.

    It asks nobody and writes nothing. `replies` are those that it gave, by ticket: two where a
    thought came before scores.
    """

    wants: tuple[type[Want], ...] = (Text, Labels, Logits, Likelihood, Pair)
    cut: Cut | None = None

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.replies: dict[Hashable, list[Reply]] = {}
        self._out: list[tuple[Hashable, Reply]] = []
        with _explained(path):
            self._rows = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", timeout=0, uri=True)
            self.special_tokens = _special_tokens(self._rows, name)

    def check(self, request: Request) -> None:
        """Anything may have been asked."""

    def submit(self, ticket: Hashable, request: Request) -> None:
        with _explained(self.path):
            found = _found(self._rows, _key(self.name, _spelled(request)))
        reply = found or Reply(error="not in the journal")
        self._out.append((ticket, reply))
        self.replies.setdefault(ticket, []).append(reply)

    def poll(self) -> Iterable[tuple[Hashable, Reply]]:
        out, self._out = self._out, []
        return out

    def wake(self) -> None:
        """No poll of it waits."""

    def cancel(self, tickets: Collection[Hashable]) -> None:
        """Nothing of it costs anything."""

    def close(self) -> None:
        self._rows.close()


def remembering(path: Path, key: str, open_engine: Callable[[], Engine]) -> Journal:
    """A journal before an engine that is opened when it must be: a finished run loads no model.

    `key` is all that decides what `open_engine` opens. A locked file costs no model's load, either.
    """
    rows = _opened(path)
    try:
        return Journal(Sleeping(open_engine, _Faces(rows, path, key)), path, rows)
    except BaseException:
        rows.close()
        raise


def _opened(path: Path) -> sqlite3.Connection:
    """The file, new or ours, held by this run alone; a run that was killed lets go of it."""
    with _explained(path):
        rows = sqlite3.connect(path, timeout=0, check_same_thread=False)
        try:
            rows.execute("PRAGMA locking_mode = EXCLUSIVE")
            rows.execute("BEGIN EXCLUSIVE")
            [[application]] = rows.execute("PRAGMA application_id")
            [[tables]] = rows.execute("SELECT count(*) FROM sqlite_schema")
            if application != OURS and tables:
                raise sqlite3.DatabaseError("another application's tables")
            if not tables:
                rows.execute(f"PRAGMA application_id = {OURS}")
                rows.execute(TABLE)
            rows.execute(FACES)
            rows.execute("COMMIT")
            rows.execute("PRAGMA journal_mode = WAL")
            rows.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error:
            rows.close()
            raise
    return rows


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say in one line what SQLite found wrong with the file."""
    try:
        yield
    except sqlite3.OperationalError as failure:
        if "locked" in str(failure):
            mend = "another run has this journal open; wait for it, or give this run its own"
            raise InputError.at(path, None, mend) from None
        raise InputError.at(path, None, f"the journal cannot be used: {failure}") from None
    except (sqlite3.DatabaseError, ValueError, TypeError) as damage:
        what = f"not a journal of rerank's, or a damaged one ({damage}); move it away"
        raise InputError.at(path, None, what) from None


def _special_tokens(rows: sqlite3.Connection, engine: str) -> tuple[str, ...]:
    """Those of the engine of this name; none where the journal has not seen its face."""
    if not rows.execute("SELECT 1 FROM sqlite_schema WHERE name = 'face'").fetchone():
        return ()
    faces = [json.loads(face) for (face,) in rows.execute("SELECT face FROM face")]
    return next((tuple(f["special_tokens"]) for f in faces if f["name"] == engine), ())


def _found(rows: sqlite3.Connection, key: str) -> Reply | None:
    row = rows.execute("SELECT reply FROM reply WHERE key = ?", [key]).fetchone()
    return _read(row[0]) if row else None


def _key(engine: str, spelled: str) -> str:
    return hashlib.sha256(f"{_json(engine)} {spelled}".encode()).hexdigest()


def _spelled(request: Request) -> str:
    want = {type(request.want).__name__: asdict(request.want)}
    rest = {"messages": request.messages, "prefill": request.prefill, "chat": request.chat}
    return _json({**rest, "want": want})


def _json(value: Any) -> str:
    """Canonical, and ASCII: a lone surrogate in a document survives it."""
    return json.dumps(value, sort_keys=True)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _read(text: str) -> Reply:
    reply = json.loads(text)
    usage, scores = Usage(**reply.pop("usage")), tuple(reply.pop("scores"))
    return Reply(**reply, usage=usage, scores=scores)
