"""An engine is opened when it must be asked, and is then the one that it was."""

import pytest
from fakes import ScriptedEngine

from rerank.engines.journal import remembering
from rerank.errors import EngineError
from rerank.wants import Labels, Message, Pair, Reply, Request


def reply(request):
    return Reply(scores=(float(len(request.want.doc)),))


def asking(text):
    return Request((), Pair("q", text))


class Opening:
    """Counts what it opens: engines of the name that it has at the time."""

    def __init__(self, name="one", **options):
        self.name, self.options, self.opened = name, options, []

    def __call__(self):
        engine = ScriptedEngine(reply, **self.options)
        engine.name = self.name
        self.opened.append(engine)
        return engine


def heard(journal, *texts):
    for text in texts:
        journal.submit(text, asking(text))
    found = {}
    while len(found) < len(texts):
        found.update(journal.poll())
    journal.close()
    return {text: reply.scores for text, reply in found.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def test_a_journal_that_knows_everything_opens_nothing(path):
    opening = Opening()
    first = heard(remembering(path, "k", opening), "a", "bb")
    assert heard(remembering(path, "k", opening), "bb", "a") == first
    assert len(opening.opened) == 1


def test_what_is_new_opens_the_engine_once_and_only_that_is_asked(path):
    opening = Opening()
    heard(remembering(path, "k", opening), "a")
    assert heard(remembering(path, "k", opening), "a", "bb", "ccc")["ccc"] == (3.0,)
    assert [request.want.doc for request in opening.opened[1].requests] == ["bb", "ccc"]


def test_it_shows_the_face_that_it_had_when_it_was_open(path):
    opening = Opening(special_tokens=("<a>", "<b>"), wants=(Labels, Pair))
    opened = remembering(path, "k", opening)
    opened.close()
    asleep = remembering(path, "k", opening)
    for field in ("name", "wants", "special_tokens", "score_kind"):
        assert getattr(asleep, field) == getattr(opened, field)
    assert asleep.cut is None and asleep.poll() == [] and len(opening.opened) == 1
    asleep.wake()
    asleep.cancel({1})
    asleep.close()


def resumed(path, opening):
    """A form that passed, and the journal of a later process that has checked it again."""
    form = Request((Message("user", "a"),), Labels(("A", "B")))
    journal = remembering(path, "k", opening)
    journal.check(form)
    journal.close()
    journal = remembering(path, "k", opening)
    journal.check(form)
    assert len(opening.opened) == 1
    return form, journal


def test_a_form_that_passed_is_not_checked_again_and_another_is(path):
    opening = Opening()
    _, journal = resumed(path, opening)
    journal.check(asking("another"))
    assert opening.opened[1].checked == [asking("another")]
    journal.close()


def test_a_cut_needs_the_tokenizer_and_so_the_engine(path):
    opening = Opening()
    opening.options = {}

    def open_engine():
        engine = opening()
        engine.cut = lambda text, limit: (text[:limit], len(text), max(0, len(text) - limit))
        return engine

    remembering(path, "k", open_engine).close()
    asleep = remembering(path, "k", open_engine)
    assert asleep.cut("abc", 2) == ("ab", 3, 1) and len(opening.opened) == 2
    asleep.close()


def test_other_options_are_another_engine(path):
    opening = Opening()
    heard(remembering(path, "k", opening), "a")
    opening.name = "two"
    heard(remembering(path, "other", opening), "a")
    assert [engine.name for engine in opening.opened] == ["one", "two"]
    assert len(opening.opened[1].requests) == 1


def test_a_model_that_is_another_now_is_refused_before_anything_is_asked(path):
    opening = Opening()
    heard(remembering(path, "k", opening), "a")
    opening.name = "two"
    journal = remembering(path, "k", opening)
    with pytest.raises(EngineError, match="replies are of one, and the model is now two: begin"):
        journal.submit(0, asking("new"))
    assert opening.opened[1].requests == []
    journal.close()


def test_an_engine_gets_ready_for_what_may_come_once_it_is_awake_and_is_not_woken_for_it(tmp_path):
    told = []

    def open_engine():
        engine = ScriptedEngine(reply)
        engine.name, engine.expect = "one", told.append
        return engine

    journal = remembering(tmp_path / "journal.sqlite", "key", open_engine)
    journal.expect(asking("a"))
    assert told == [asking("a")]
    heard(journal, "a")
    journal = remembering(tmp_path / "journal.sqlite", "key", open_engine)
    assert journal.expect is None
    journal.submit("b", asking("b"))
    journal.expect(asking("c"))
    assert told == [asking("a"), asking("c")]
    journal.close()


def test_what_an_engine_learns_from_a_check_it_learns_before_it_is_asked(path):
    opening = Opening()
    form, journal = resumed(path, opening)
    for ticket in ("bb", "ccc"):
        journal.submit(ticket, asking(ticket))
        assert opening.opened[1].checked == [form]
    journal.check(form)
    assert opening.opened[1].checked == [form]
    journal.close()
