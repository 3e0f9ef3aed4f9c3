"""Remember every reply on disk, so that a run that dies resumes and a new reader costs nothing.

It stands in front of any engine and knows requests and replies only. A reply is on disk before
it is handed over; errors and overflows are asked again. It opens with any SQLite shell.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rerank.engines import NOBODY, Engine
from rerank.errors import InputError
from rerank.records import Usage
from rerank.stopwatch import stage
from rerank.wants import Reply, Request

OURS = 0x72726E6B  # "rrnk": SQLite's application_id of a journal
TABLE = "CREATE TABLE reply (key TEXT PRIMARY KEY, engine TEXT, request TEXT, reply TEXT)"


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
        self._out: dict[str, tuple[str, list[Hashable]]] = {}
        self._rows = rows or _opened(path)

    def check(self, request: Request) -> None:
        self.engine.check(request)

    def submit(self, ticket: Hashable, request: Request) -> None:
        """Take a request; `InputError` where the journal itself cannot be read."""
        with stage("journal"):
            spelled = _spelled(request)
            key = hashlib.sha256(f"{_json(self.name)} {spelled}".encode()).hexdigest()
            reply = None if key in self._out else self._remembered(key)
        if key in self._out:
            self._out[key][1].append(ticket)
            self.replayed += 1
        elif reply is not None:
            self._known.append((ticket, reply))
            self.replayed += 1
        else:
            self._out[key] = spelled, [ticket]
            self.asked += 1
            self.engine.submit(key, request)

    def poll(self) -> Iterable[tuple[Hashable, Reply]]:
        """What is remembered at once; else what the engine finishes, once it is on disk."""
        if self._known:
            known, self._known = self._known, []
            return known
        replies = [(str(key), reply) for key, reply in self.engine.poll()]
        finished = [(key, reply) for key, reply in replies if key in self._out]
        if replies and not finished:
            return [(NOBODY, Reply())]
        asked = {key: self._out.pop(key) for key, _ in finished}
        with stage("journal"):
            self._remember([(key, asked[key][0], reply) for key, reply in finished])
        return [(ticket, reply) for key, reply in finished for ticket in asked[key][1]]

    def wake(self) -> None:
        self.engine.wake()

    def cancel(self, tickets: Collection[Hashable]) -> None:
        """Forget who asked; what nobody asks for any more is cancelled."""
        self._known = [known for known in self._known if known[0] not in tickets]
        for key, (_, askers) in [*self._out.items()]:
            askers[:] = [ticket for ticket in askers if ticket not in tickets]
            if not askers:
                del self._out[key]
                self.engine.cancel({key})

    def close(self) -> None:
        self.engine.close()
        self._rows.close()

    def _remembered(self, key: str) -> Reply | None:
        with _explained(self.path):
            row = self._rows.execute("SELECT reply FROM reply WHERE key = ?", [key]).fetchone()
            return _read(row[0]) if row else None

    def _remember(self, finished: Iterable[tuple[str, str, Reply]]) -> None:
        kept = [
            (key, self.name, request, _json(asdict(reply)))
            for key, request, reply in finished
            if not reply.error and not reply.overflow
        ]
        with _explained(self.path), self._rows:  # the one commit of this poll
            self._rows.executemany("INSERT INTO reply VALUES (?, ?, ?, ?)", kept)


def remembering(path: Path, open_engine: Callable[[], Engine]) -> Journal:
    """A journal before an engine that is opened after it: a locked file costs no model's load."""
    rows = _opened(path)
    try:
        return Journal(open_engine(), path, rows)
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


def _spelled(request: Request) -> str:
    want = {type(request.want).__name__: asdict(request.want)}
    rest = {"messages": request.messages, "prefill": request.prefill, "chat": request.chat}
    return _json({**rest, "want": want})


def _json(value: Any) -> str:
    """Canonical, and ASCII: a lone surrogate in a document survives it."""
    return json.dumps(value, sort_keys=True)


def _read(text: str) -> Reply:
    reply = json.loads(text)
    usage, scores = Usage(**reply.pop("usage")), tuple(reply.pop("scores"))
    return Reply(**reply, usage=usage, scores=scores)
