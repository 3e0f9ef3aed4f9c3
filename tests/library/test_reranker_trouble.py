"""The library where the caller, the server or the clock is the trouble."""

import pytest
from fakes import ScriptedEngine
from scripted import listing, saying

from rerank import EngineError, InputError, Reranker, UsageError
from rerank.wants import Reply

DOCS = ["a", "blue sky"]


@pytest.fixture
def reranker(monkeypatch):
    engine = ScriptedEngine(lambda request: Reply(scores=(float(len(request.want.doc)),)))
    monkeypatch.setattr("rerank.library.reranker.open_engine", lambda *_: engine)
    with Reranker("any", method="scorer") as opened:
        yield opened


def asking_at(url, **options):
    once = {"attempts": 1, "timeout": 5}
    return Reranker("m", method="listwise", base_url=url, engine_options=once, **options)


def test_with_keep_a_server_in_trouble_from_the_first_query_on_leaves_the_order(serve):
    """It raised until one query had succeeded."""
    troubled = serve(lambda *_: (500, {"error": {"message": "oops"}}))
    for url in (troubled.url, "http://127.0.0.1:1/v1"):
        with asking_at(url, on_error="keep") as opened:
            for _ in range(2):
                ranking = opened.rerank("why?", DOCS)
                assert ranking.status == "fallback" and [hit.index for hit in ranking] == [0, 1]
        with asking_at(url) as opened, pytest.raises(EngineError, match=r"HTTP 500|no answer from"):
            opened.rerank("why?", DOCS)


def test_with_keep_a_server_that_recovers_is_asked_again(serve):
    answers = iter([(503, {})])
    server = serve(lambda *_: next(answers, (200, saying("[2] > [1]"))))
    with asking_at(server.url, on_error="keep") as opened:
        assert opened.rerank("why?", DOCS).status == "fallback"
        ranking = opened.rerank("why?", DOCS)
        assert (ranking.status, [hit.index for hit in ranking]) == ("ok", [1, 0])


def test_with_keep_and_a_journal_a_server_in_trouble_leaves_the_order_too(serve, tmp_path):
    answers = iter([(200, listing("m")), *[(200, saying("[2] > [1]"))] * 2])
    server = serve(lambda *_: next(answers, (503, {})))
    for query, status in (("why?", "ok"), ("why?", "ok"), ("how?", "fallback")):
        with asking_at(server.url, on_error="keep", journal=tmp_path / "journal.db") as opened:
            assert opened.rerank(query, DOCS).status == status


def test_what_can_never_work_is_raised_though_failures_are_kept(serve):
    server = serve(lambda *_: (404, {"detail": "no such model"}))
    with asking_at(server.url, on_error="keep") as opened, pytest.raises(EngineError, match="404"):
        opened.rerank("why?", DOCS)


@pytest.mark.parametrize("query", ["", " \n"])
def test_an_empty_query_is_refused(reranker, query):
    with pytest.raises(InputError, match=r"^the query is empty$"):
        reranker.rerank(query, DOCS)


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        ([("why?", DOCS), "why?"], "place 1 of the batch is a str; give"),
        ([{"query": "why?", "documents": DOCS}], "place 0 of the batch is a dict; give"),
        ([("why?", DOCS, 3)], "place 0 of the batch is a tuple; give"),
        ([5], "place 0 of the batch is a int; give"),
    ],
)
def test_what_is_no_query_with_its_documents_is_named_by_its_place(reranker, batch, says):
    with pytest.raises(InputError, match=says):
        reranker.rerank_many(batch)


@pytest.mark.parametrize("top_n", [0, -1, "2", 1.5])
def test_a_top_n_that_is_no_number_of_documents_is_refused(reranker, top_n):
    with pytest.raises(UsageError, match=r"^top_n is .*; it must be 1 or more$"):
        reranker.rerank("why?", DOCS, top_n)


@pytest.mark.slow
def test_the_seconds_of_a_query_end_a_method_of_one_round_too():
    """600 passages took 22 seconds of a budget of half a one."""
    docs = [f"document {number} {'some words of it ' * 40}" for number in range(600)]
    with Reranker("boxed", budget={"seconds": 0.5}) as opened:
        ranking = opened.rerank("why is the sky blue?", docs)
    [unasked] = [issue for issue in ranking.issues if issue.kind == "unasked"]
    assert ranking.status == "partial" and 0 < unasked.count < 600 and len(ranking) == 600
