"""A journal keeps its file through kill -9, and refuses what is not its own."""

import json
import os
import random
import sqlite3
import subprocess
import time

import pytest
from journals import Fake, python
from scripted import all_of, asking

from rerank.engines.journal import Journal
from rerank.errors import InputError


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
    script = f"from journals import *\nJournal(Fake(), Path({str(path)!r}))"
    second = python(script, stderr=subprocess.PIPE, text=True)
    _, errors = second.communicate(timeout=60)
    assert "another run has this journal open" in errors.splitlines()[-1]
    with pytest.raises(InputError, match="another run has this journal open"):
        Journal(Fake(), path)
    assert time.monotonic() - started < 30
    all_of(first, [asking("b")])
    first.close()
    Journal(Fake(), path).close()


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.slow
def test_nothing_that_was_delivered_is_asked_again_after_kill_9(tmp_path):
    script = f"from journals import *\nask_four_hundred(Path({str(tmp_path)!r}))"
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
