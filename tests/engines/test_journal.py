"""A journal remembers what was asked, and passes for its engine."""

import sqlite3

import pytest
from journals import Fake, echo
from scripted import all_of, asking

from rerank.engines import NOBODY
from rerank.engines.journal import Journal
from rerank.errors import EngineError
from rerank.records import Usage
from rerank.wants import Labels, Likelihood, Message, Pair, Reply, Request, Text


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


def test_a_late_reply_to_what_was_cancelled_is_none_to_who_asks_for_it_again(tmp_path):
    """It was, or two replies to one request in one poll ended everybody's."""
    engine = Fake()
    engine.cancel = lambda tickets: engine.out.extend((ticket, None) for ticket in tickets)
    engine.reply = lambda request: echo(request) if request else Reply(error="cancelled")
    journal = Journal(engine, tmp_path / "journal.db")
    for ticket in (1, 2, 3):
        journal.submit(ticket, asking("again"))
        if ticket < 3:
            journal.cancel({ticket})
    assert dict(journal.poll()) == {3: echo(asking("again"))}
    journal.close()
