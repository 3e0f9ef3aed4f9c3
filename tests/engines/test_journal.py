"""A journal remembers what was asked, keeps it through kill -9, and refuses what is not its own."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rerank.engines import NOBODY
from rerank.engines.journal import Journal
from rerank.errors import EngineError, InputError
from rerank.records import Usage
from rerank.wants import Labels, Likelihood, Message, Pair, Reply, Request, Text


class Fake:
    """Replies with what it was asked, last asked first, and counts."""

    def __init__(self, name="fake", reply=None, at_once=100):
        self.name, self.wants, self.special_tokens = name, (Text, Labels), ("<end>",)
        self.cut = None
        self.out, self.seen, self.closed = [], [], False
        self.reply, self.at_once = reply or echo, at_once

    def check(self, request):
        raise EngineError("checked")

    def submit(self, ticket, request):
        self.seen.append(request)
        self.out.append((ticket, request))

    def poll(self):
        finished, self.out = self.out[-self.at_once :], self.out[: -self.at_once]
        return [(ticket, self.reply(request)) for ticket, request in reversed(finished)]

    def close(self):
        self.closed = True


def echo(request):
    return Reply(text=f"said {request.messages[0].content}", usage=Usage(11, 7, 3))


FIVE = Text(5)


def asking(text, want=FIVE, **rest):
    return Request((Message("user", text),), want, **rest)


def all_of(engine, requests):
    """Ask everything; replies by ticket."""
    for ticket, request in enumerate(requests):
        engine.submit(ticket, request)
    replies = {}
    while len(replies) < len(requests):
        replies.update(engine.poll())
    return replies


def test_a_second_run_asks_nothing_and_hears_the_same(tmp_path):
    requests = [asking(f"document {i}") for i in range(250)]
    first = Journal(Fake(), tmp_path / "journal.db")
    heard = all_of(first, requests)
    assert (first.asked, first.replayed) == (250, 0)
    first.close()

    engine = Fake()
    second = Journal(engine, tmp_path / "journal.db")
    assert all_of(second, requests) == heard
    assert (second.asked, second.replayed, engine.seen) == (0, 250, [])
    assert heard[3] == Reply(text="said document 3", usage=Usage(11, 7, 3))
    second.close()


def test_what_nobody_asks_for_any_more_is_cancelled_and_what_somebody_does_is_not(tmp_path):
    engine = Fake()
    engine.cancelled = []
    engine.cancel = engine.cancelled.extend
    journal = Journal(engine, tmp_path / "journal.db")
    for ticket, text in enumerate(("shared", "shared", "alone")):
        journal.submit(ticket, asking(text))
    journal.cancel({0, 2})
    assert len(engine.cancelled) == 1
    found = {}
    while 1 not in found:
        found.update(journal.poll())
    assert found.pop(1) == echo(asking("shared")) and {*found} <= {NOBODY}
    journal.submit(3, asking("shared"))
    journal.cancel([3])
    assert journal.poll() == [] and journal.replayed == 2
    journal.close()


def test_every_field_of_a_reply_comes_back_as_it_was(tmp_path):
    odd = Reply(
        "é \ud800 \0 \N{GRINNING FACE}", (-1.25e-17, 0.1, -9.0), Usage(1, 2, 3), False, 0, 4
    )
    for _ in range(2):
        journal = Journal(Fake(reply=lambda _: odd), tmp_path / "journal.db")
        assert all_of(journal, [asking("\udfff")]) == {0: odd}
        journal.close()


def test_whatever_can_change_a_reply_is_a_request_of_its_own(tmp_path):
    requests = [
        asking("a"),
        asking("a", chat=False),
        asking("a", prefill="["),
        asking("a", Text(6)),
        asking("a", Text(5, stop=("\n",))),
        asking("a", Text(5, temperature=0.5)),
        asking("a", Text(5, temperature=0.5, seed=1)),
        asking("a", Labels(("A", "B"))),
        asking("a", Labels(("B", "A"))),
        asking("a", Labels(("A,B",))),
        asking("a", Likelihood("x")),
        asking("a", Pair("x", "y")),
        Request((Message("system", "a"),), Text(5)),
        Request((Message("user", "a"), Message("user", "")), Text(5)),
    ]
    journal = Journal(Fake(), tmp_path / "journal.db")
    all_of(journal, requests)
    assert journal.asked == len(requests)
    journal.close()


def test_another_engine_shares_the_file_but_no_replies(tmp_path):
    for name in ("one", "two"):
        journal = Journal(Fake(name), tmp_path / "journal.db")
        all_of(journal, [asking("a")])
        assert journal.asked == 1
        journal.close()


def test_a_request_that_is_already_out_is_asked_once(tmp_path):
    engine = Fake()
    journal = Journal(engine, tmp_path / "journal.db")
    heard = all_of(journal, [asking("same"), asking("other"), asking("same"), asking("same")])
    assert [reply.text for _, reply in sorted(heard.items())] == [
        "said same",
        "said other",
        "said same",
        "said same",
    ]
    assert (len(engine.seen), journal.asked, journal.replayed) == (2, 2, 2)
    journal.close()


@pytest.mark.parametrize("bad", [Reply(error="HTTP 500"), Reply(overflow=12)])
def test_an_error_or_an_overflow_is_asked_again(tmp_path, bad):
    journal = Journal(Fake(reply=lambda _: bad), tmp_path / "journal.db")
    assert all_of(journal, [asking("a")]) == {0: bad}
    assert all_of(journal, [asking("a")]) == {0: bad}
    assert (journal.asked, journal.replayed) == (2, 0)
    journal.close()


def test_it_passes_for_its_engine(tmp_path):
    engine = Fake()
    journal = Journal(engine, tmp_path / "journal.db")
    assert (journal.name, journal.wants, journal.special_tokens) == (
        "fake",
        (Text, Labels),
        ("<end>",),
    )
    with pytest.raises(EngineError, match="checked"):
        journal.check(asking("a"))
    assert list(journal.poll()) == []
    journal.close()
    assert engine.closed


def test_what_is_remembered_comes_without_waiting_for_the_engine(tmp_path):
    journal = Journal(Fake(), tmp_path / "journal.db")
    all_of(journal, [asking("known")])
    journal.submit("new", asking("new"))
    journal.submit("known", asking("known"))
    assert list(journal.poll()) == [("known", echo(asking("known")))]
    assert list(journal.poll()) == [("new", echo(asking("new")))]
    journal.close()


def test_the_file_reads_in_an_sqlite_shell(tmp_path):
    journal = Journal(Fake(), tmp_path / "journal.db")
    all_of(journal, [asking("a")])
    journal.close()
    rows = sqlite3.connect(tmp_path / "journal.db")
    [[engine, role, most, text]] = rows.execute(
        "SELECT engine, request ->> '$.messages[0][0]', request ->> '$.want.Text.max_tokens',"
        " reply ->> '$.text' FROM reply"
    )
    rows.close()
    assert (engine, role, most, text) == ("fake", "user", 5, "said a")
    assert [path.name for path in tmp_path.iterdir()] == ["journal.db"]


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "journal.db"
    path.write_text("q1 Q0 d1 1 3.5 bm25\n" * 100)
    with pytest.raises(InputError, match=r"journal\.db: not a journal of rerank's.*move it away"):
        Journal(Fake(), path)
    assert path.read_text() == "q1 Q0 d1 1 3.5 bm25\n" * 100


def test_another_applications_tables_are_refused_and_left_alone(tmp_path):
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE reply (mine)")
    theirs.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="another application's tables"):
        Journal(Fake(), path)
    assert path.read_bytes() == before


def test_damage_inside_the_file_is_one_line_and_not_a_reply(tmp_path):
    path = tmp_path / "journal.db"
    requests = [asking(f"{i} " + "word " * 200) for i in range(200)]
    journal = Journal(Fake(), path)
    all_of(journal, requests)
    journal.close()
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"journal\.db: .*move it away"):
        all_of(Journal(Fake(), path), requests)


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(
        InputError, match=r"journal\.db: the journal cannot be used: unable to open"
    ):
        Journal(Fake(), tmp_path / "nowhere" / "journal.db")


def test_a_second_run_on_one_journal_is_refused_at_once(tmp_path):
    path = tmp_path / "journal.db"
    first = Journal(Fake(), path)
    all_of(first, [asking("a")])
    started = time.monotonic()
    script = f"from test_journal import *\nJournal(Fake(), Path({str(path)!r}))"
    second = python(script, stderr=subprocess.PIPE, text=True)
    _, errors = second.communicate(timeout=60)
    assert "another run has this journal open" in errors.splitlines()[-1]
    with pytest.raises(InputError, match="another run has this journal open"):
        Journal(Fake(), path)
    assert time.monotonic() - started < 30
    all_of(first, [asking("b")])
    first.close()
    Journal(Fake(), path).close()


def python(script, **options):
    folders = Path(__file__).resolve().parents[:3]  # its own, the tests' and the project's
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, **options)


class Logged(Fake):
    """Writes down what it is asked, and finishes a few at a time, in an order of its own."""

    def __init__(self, log):
        super().__init__()
        self.log, self.chance = (
            os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY),
            random.Random(),
        )

    def submit(self, ticket, request):
        os.write(self.log, f"{request.messages[0].content}\n".encode())
        super().submit(ticket, request)

    def poll(self):
        self.chance.shuffle(self.out)
        self.at_once = self.chance.randint(1, 5)
        time.sleep(0.001)
        return super().poll()


def ask_four_hundred(folder):
    """A run: at most 20 out at once, each delivery written down after it has come back."""
    delivered = os.open(folder / "delivered", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    journal = Journal(Logged(folder / "asked"), folder / "journal.db")
    waiting, out = [str(i) for i in range(400)], set()
    while waiting or out:
        while waiting and len(out) < 20:
            out.add(waiting[-1])
            journal.submit(waiting[-1], asking(waiting.pop()))
        for ticket, reply in journal.poll():
            assert reply == echo(asking(ticket))
            out.remove(ticket)
            os.write(delivered, f"{ticket}\n".encode())
    os.write(delivered, json.dumps({"asked": journal.asked}).encode() + b"\n")
    journal.close()


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.slow
def test_nothing_that_was_delivered_is_asked_again_after_kill_9(tmp_path):
    script = f"from test_journal import *\nask_four_hundred(Path({str(tmp_path)!r}))"
    asked, kills = [], 6
    for _ in range(kills):
        delivered = set(lines(tmp_path / "delivered"))
        run = python(script)
        enough = len(asked) + random.randint(21, 60)
        while len(lines(tmp_path / "asked")) < enough and run.poll() is None:
            time.sleep(0.0005)
        time.sleep(random.uniform(0, 0.004))
        run.kill()
        assert run.wait() == -9
        again = lines(tmp_path / "asked")[len(asked) :]
        assert len(again) >= 21
        assert not delivered & set(again)
        asked += again
    delivered = set(lines(tmp_path / "delivered"))
    assert len(delivered) > 50
    assert python(script).wait() == 0
    rest = lines(tmp_path / "asked")[len(asked) :]
    assert not delivered & set(rest)
    assert set(asked + rest) == {str(i) for i in range(400)}
    assert len(asked + rest) <= 400 + 20 * kills
    assert json.loads(lines(tmp_path / "delivered")[-1]) == {"asked": len(rest)}
