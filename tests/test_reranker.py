"""The library face: what goes in comes back in order, as the object that it was."""

import asyncio
import gc
import sqlite3
import threading
import warnings
from types import SimpleNamespace

import pytest
from fakes import ScriptedEngine

from rerank import EngineError, InputError, Reranker, UsageError
from rerank.methods import METHODS
from rerank.passages import first_words
from rerank.questions import Rate
from rerank.wants import Labels, Likelihood, Logits, Pair, Reply, Text

DOCS = ["fish swim", "the sky is blue", "sky", "sky sky sky"]


def counted(request):
    """Scores a document by how often it says sky."""
    return Reply(scores=(float(request.want.doc.count("sky")),))


def labelled(request):
    """The first label is the most likely one, and so on."""
    return Reply(scores=tuple(-float(place) for place in range(len(request.want.labels))))


def anything(request):
    """Something for every kind of request."""
    return labelled(request) if hasattr(request.want, "labels") else Reply("[2] A", (0.5,))


def reversed_list(request):
    """Writes the list from the last document to the first."""
    count = request.messages[-1].content.count("\n[")
    return Reply(text=" > ".join(f"[{place}]" for place in range(count, 0, -1)))


@pytest.fixture
def opened(monkeypatch):
    """A function that has the next rerankers answered by `reply`; gives what they opened."""

    def scripted(reply, **options):
        opened = []

        def open_engine(name, model, given):
            opened.append((name, model, given, ScriptedEngine(reply, **options)))
            return opened[-1][-1]

        monkeypatch.setattr("rerank.library.reranker.open_engine", open_engine)
        return opened

    return scripted


def order(ranking):
    return [hit.index for hit in ranking]


def test_texts_come_back_best_first_with_the_models_scores(opened):
    opened(counted)
    with Reranker("any", method="scorer") as reranker:
        ranking = reranker.rerank("sky", DOCS)
    assert [(h.rank, h.index, h.score, h.document) for h in ranking] == [
        (1, 3, 3.0, "sky sky sky"),
        (2, 1, 1.0, "the sky is blue"),
        (3, 2, 1.0, "sky"),
        (4, 0, 0.0, "fish swim"),
    ]
    assert (ranking.calls, ranking.rounds, ranking.error) == (4, 1, "")
    assert ranking.answers == {"ok": 4, "repaired": 0, "unreadable": 0, "failed": 0}
    assert len(ranking) == 4 and ranking[0].index == 3


def test_mappings_come_back_as_the_objects_that_they_were(opened):
    opened(counted)
    docs = [{"text": "sea", "id": 7}, {"text": "so blue", "title": "sky", "url": "x"}, "sky sky"]
    ranking = Reranker("any", method="scorer").rerank("sky", docs)
    assert order(ranking) == [2, 1, 0]
    assert all(hit.document is docs[hit.index] for hit in ranking)


def test_a_title_is_read_and_an_id_is_not(opened):
    engines = opened(counted)
    docs = [{"id": "sky", "text": "a", "title": None}, {"text": "b", "title": "sky"}]
    ranking = Reranker("any", method="scorer").rerank("q", docs)
    assert order(ranking) == [1, 0]
    assert [request.want.doc for request in engines[0][-1].requests] == ["a", "sky b"]


def test_equal_texts_are_two_documents_and_equal_scores_keep_their_order(opened):
    opened(lambda request: Reply(scores=(1.0,)))
    ranking = Reranker("any", method="scorer").rerank("q", ["same", "other", "same", "same"])
    assert order(ranking) == [0, 1, 2, 3]
    assert [hit.document for hit in ranking] == ["same", "other", "same", "same"]


@pytest.mark.parametrize("method", [name for name in METHODS if name != "first-stage"])
def test_every_method_gives_a_permutation_of_any_number_of_documents(opened, method):
    kinds = (Text, Labels, Logits, Likelihood, Pair)
    opened(anything, wants=kinds)
    with Reranker("any", method=method) as reranker:
        for count in (0, 1, 2, 3, 11, 25):
            ranking = reranker.rerank("q", [f"text {i % 3}" for i in range(count)])
            assert sorted(order(ranking)) == list(range(count))
            assert [hit.rank for hit in ranking] == list(range(1, count + 1))


def test_no_documents_ask_nothing_and_come_back_empty(opened):
    engines = opened(counted)
    with Reranker("any", method="scorer") as reranker:
        ranking = reranker.rerank("sky", [])
    [(_, _, _, engine)] = engines
    assert len(ranking) == 0 and ranking.calls == 0
    assert engine.requests == engine.checked == []


def test_top_n_gives_the_best_and_no_more_than_there_are(opened):
    opened(counted)
    reranker = Reranker("any", method="scorer")
    assert order(reranker.rerank("sky", DOCS, top_n=2)) == [3, 1]
    assert order(reranker.rerank("sky", DOCS, top_n=99)) == [3, 1, 2, 0]
    assert len(reranker.rerank("sky", [], top_n=5)) == 0
    for wrong in (0, -1):
        with pytest.raises(UsageError, match="top_n is"):
            reranker.rerank("sky", DOCS, top_n=wrong)


def last_is_best(request):
    """Prefers what was last in the first stage; documents are called by their places."""
    shown = [int(w) for w in request.messages[-1].content.replace('"', " ").split() if w.isdigit()]
    return Reply(scores=tuple(float(place) for place in shown))


def test_top_n_is_how_many_places_are_sorted(opened):
    """Of the 14 that were wanted, 4 were the first stage's: heapsort sorted its default 10."""
    opened(last_is_best, wants=(Labels,))
    docs = [str(place) for place in range(30)]
    reranker = Reranker("any", method="setwise-heapsort-labels")
    assert order(reranker.rerank("q", docs, top_n=14)) == list(range(29, 15, -1))
    assert order(reranker.rerank("q", docs))[:11] == [*range(29, 19, -1), 0]
    few = reranker.rerank("q", docs, top_n=1)
    assert few.calls < reranker.rerank("q", docs).calls
    asked = Reranker("any", method="setwise-heapsort-labels", options={"k": 3})
    assert order(asked.rerank("q", docs, top_n=5)) == [29, 28, 27, 0, 1]


def test_a_list_has_no_scores_and_none_is_made_up(opened):
    opened(reversed_list)
    ranking = Reranker("any", method="full-ranking").rerank("q", DOCS)
    assert order(ranking) == [3, 2, 1, 0]
    assert [hit.score for hit in ranking] == [None] * 4


def test_a_rating_that_cannot_be_read_is_none_and_last(opened):
    """It was minus infinity, which is no score of a model's and no JSON."""
    opened(lambda r: Reply(scores=(float("nan") if "blue" in r.want.doc else 1.0,)))
    ranking = Reranker("any", method="scorer").rerank("q", DOCS)
    assert order(ranking) == [0, 2, 3, 1] and ranking[3].score is None
    assert ranking.answers["unreadable"] == 1


def test_many_queries_come_back_in_the_order_given_equal_ones_too(opened):
    opened(counted, at_once=1, seed=3)
    batch = [("a", ["sky", "x"]), ("b", []), ("a", ["x", "sky"]), ("a", ["sky", "x"])]
    rankings = Reranker("any", method="scorer").rerank_many(iter(batch))
    assert [order(ranking) for ranking in rankings] == [[0, 1], [], [1, 0], [0, 1]]
    assert Reranker("any", method="scorer").rerank_many([]) == []


def broken(request):
    return Reply(error="HTTP 500") if "blue" in request.want.doc else counted(request)


def test_an_error_is_raised_with_what_went_wrong(opened):
    opened(broken)
    reranker = Reranker("any", method="scorer")
    with pytest.raises(EngineError, match="HTTP 500"):
        reranker.rerank("sky", DOCS)
    assert order(reranker.rerank("sky", ["a", "sky"])) == [1, 0]


def test_with_keep_a_failed_query_is_marked_and_as_it_was_and_others_are_reranked(opened):
    opened(broken)
    reranker = Reranker("any", method="scorer", on_error="keep")
    failed, fine = reranker.rerank_many([("sky", DOCS), ("sky", ["a", "sky"])], top_n=3)
    assert order(failed) == [0, 1, 2] and failed.error == "HTTP 500"
    assert failed.answers["failed"] == 1
    assert order(fine) == [1, 0] and fine.error == ""


@pytest.mark.parametrize(
    ("docs", "says"),
    [
        ([3], "document 0 is neither a text nor a mapping"),
        (["a", None], "document 1"),
        (["a", {"body": "b"}], "document 1"),
        ([{"text": 5}], "document 0"),
        ("one text", "the documents are one text; give a list"),
        (None, "the documents are None; give a list"),
        (({"text": str(i)} for i in range(3)), "the documents are a generator; give a list"),
        ({"text": "a"}, "the documents are a dict; give a list"),
        ({"a", "b"}, "the documents are a set; give a list"),
        (b"text", "the documents are a bytes; give a list"),
        (7, "the documents are a int; give a list"),
    ],
)
def test_what_is_no_document_is_named(opened, docs, says):
    opened(counted)
    with pytest.raises(InputError, match=says):
        Reranker("any", method="scorer").rerank("q", docs)


def test_a_call_may_say_how_many_tokens_of_a_document_are_read(opened):
    engines = opened(counted)
    reranker = Reranker("any", method="scorer")
    engine = engines[0][-1]
    engine.cut = first_words
    docs = [{"title": "the sky", "text": "is blue and wide"}, "sky " * 9, "no"]
    ranking = reranker.rerank("sky", docs, max_tokens_per_doc=4)
    assert [request.want.doc for request in engine.requests] == [
        "the sky is blue",
        "sky " * 3 + "sky",
        "no",
    ]
    assert order(ranking) == [1, 0, 2] and ranking[0].document is docs[1]
    [issue] = ranking.issues
    assert (issue.kind, issue.text) == ("shortened", "2 documents were cut at 4 tokens")
    assert ranking.status == "ok"
    assert reranker.rerank_many([("sky", docs)], max_tokens_per_doc=4)[0].hits == ranking.hits
    assert reranker.rerank("sky", docs).issues == ()


def test_a_call_may_bring_an_instruction_of_its_own(opened):
    engines = opened(lambda request: Reply(scores=(0.0, -1.0)))
    reranker = Reranker("any", method="qwen3-reranker", instruction="Find fish.")
    engine = engines[0][-1]
    batch = [("sea", ["a cod"])]
    reranker.rerank_many(batch, instruction="Find birds.")
    reranker.rerank("sea", ["a cod"])
    first, second = (str(request.messages) for request in engine.requests)
    assert "Find birds." in first and "Find fish." not in first
    assert "Find fish." in second


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"instruction": "Find birds."}, "prompt pointwise/score takes no instruction"),
        ({"max_tokens_per_doc": 0}, "max_tokens_per_doc is 0; it must be 1 or more"),
        ({"max_tokens_per_doc": 9}, "wants the model's tokenizer, which is not here"),
    ],
)
def test_what_a_call_cannot_have_is_refused(opened, call, says):
    opened(counted)
    with pytest.raises(UsageError, match=says):
        Reranker("any", method="scorer").rerank("q", ["a"], **call)


def test_sampling_is_what_it_is_in_a_recipe(opened):
    engines = opened(reversed_list)
    with Reranker("any", method="listwise", sampling={"thinks": True, "max_tokens": 77}) as one:
        one.rerank("q", ["a", "b"])
    assert engines[0][-1].requests[0].want.max_tokens == 77


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"method": "listwise", "sampling": {"heat": 1.0}},
            "sampling heat: .*; it takes: temperature, seed",
        ),
        (
            {"method": "listwise", "sampling": {"temperature": -1.0}},
            "sampling temperature: it should be 0 or more",
        ),
        (
            {"method": "listwise", "budget": {"minutes": 1}},
            "budget minutes: .*; it takes: calls, tokens, seconds",
        ),
        ({"method": "nope"}, "no method 'nope'; auto takes one that fits, and `rerank methods`"),
        ({"method": "listwize"}, r"no method 'listwize'; did you mean 'listwise'\? `rerank"),
        ({"method": "first-stage"}, "method first-stage asks nothing"),
        (
            {"method": "listwise", "options": {"windw": 3}},
            "has no option 'windw'; it takes: window",
        ),
        ({"method": "listwise", "options": {"window": "3"}}, "option window is '3'"),
        ({"method": "listwise", "engine": "llama"}, "no engine 'llama'; there are: auto, vllm"),
    ],
)
def test_a_mistake_is_found_before_the_model_loads(opened, arguments, says):
    engines = opened(counted)
    with pytest.raises(UsageError, match=says):
        Reranker("any", **arguments)
    assert engines == []


@pytest.mark.parametrize("query", [None, 3, ["sky"], b"sky"])
def test_a_query_that_is_no_text_is_refused(opened, query):
    opened(counted)
    with pytest.raises(InputError, match=r"the query is .*; give a text"):
        Reranker("any", method="scorer").rerank(query, DOCS)


def test_an_engine_that_is_no_server_takes_no_base_url(opened):
    """It was loaded here instead, and the server never asked."""
    engines = opened(counted)
    for engine in ("vllm", "transformers", "scorer"):
        with pytest.raises(UsageError, match=f"base_url is for engine http, not {engine}"):
            Reranker("any", method="first", engine=engine, base_url="http://x/v1")
    with pytest.raises(UsageError, match="engine http needs a base_url"):
        Reranker("any", method="first", engine="http")
    assert engines == []


def test_an_unknown_prompt_is_named(opened):
    opened(counted)
    with pytest.raises(InputError, match="no prompt called 'nope'"):
        Reranker("any", method="listwise", prompt="nope")


def test_an_on_error_that_does_not_exist_is_refused_at_once(opened):
    engines = opened(counted)
    with pytest.raises(UsageError, match="on_error"):
        Reranker("any", method="scorer", on_error="ignore")
    assert engines == []


def test_the_engine_is_chosen_by_what_is_asked_and_where(opened):
    engines = opened(counted)
    Reranker("m", method="scorer")
    Reranker(
        "m", method="first", base_url="http://x/v1", api_key="k", engine_options={"timeout": 1}
    )
    Reranker("m", method="first", engine="transformers", engine_options={"device": "cpu"})
    assert [given[:3] for given in engines] == [
        ("scorer", "m", {}),
        ("http", "m", {"base_url": "http://x/v1", "api_key": "k", "timeout": 1}),
        ("transformers", "m", {"device": "cpu"}),
    ]


def test_labels_are_checked_once_for_the_widest_question(opened):
    engines = opened(lambda request: labelled(request), wants=(Labels,))
    reranker = Reranker("any", method="first")
    for count in (5, 3, 5, 8, 30, 40):
        reranker.rerank("q", [f"text {i}" for i in range(count)])
    [(_, _, _, engine)] = engines
    assert [len(request.want.labels) for request in engine.checked] == [5, 8, 20]


def test_an_engine_that_cannot_do_what_the_prompt_wants_says_so(opened):
    opened(counted, wants=(Pair,))
    with pytest.raises(EngineError, match="wants Labels, but this engine serves Pair"):
        Reranker("any", method="first").rerank("q", DOCS)


def test_a_journal_remembers_from_one_reranker_to_the_next(opened, tmp_path):
    engines = opened(counted)
    path = tmp_path / "journal.sqlite"
    for _ in range(2):
        with Reranker("any", method="scorer", journal=path) as reranker:
            assert order(reranker.rerank("sky", DOCS)) == [3, 1, 2, 0]
    assert [len(engine.requests) for *_, engine in engines] == [4]  # the second opened none
    assert sqlite3.connect(path).execute("SELECT count(*) FROM reply").fetchone() == (4,)


def test_an_estimate_asks_nothing(opened):
    engines = opened(counted)
    cost = Reranker("any", method="prp-allpairs").estimate([("q", DOCS), ("r", DOCS[:2])])
    [(_, _, _, engine)] = engines
    assert (cost.queries, cost.calls, engine.requests) == (2, 12 + 2, [])


def test_a_ranking_says_what_its_scores_are_and_that_all_went_well(opened):
    opened(counted)
    ranking = Reranker("any", method="scorer").rerank("sky", DOCS)
    assert (ranking.query, ranking.method, ranking.score_kind) == ("sky", "scorer", "logit")
    assert (ranking.status, ranking.issues) == ("ok", ())
    opened(reversed_list)
    assert Reranker("any", method="full-ranking").rerank("q", DOCS).score_kind == "none"


def test_what_went_wrong_stands_in_the_status_and_the_issues(opened):
    opened(lambda r: Reply(scores=(float("nan") if "blue" in r.want.doc else 1.0,)))
    partial = Reranker("any", method="scorer").rerank("q", DOCS)
    assert partial.status == "partial"
    assert [(i.kind, i.count, i.text) for i in partial.issues] == [
        ("unreadable", 1, "1 of 4 replies say nothing")
    ]
    opened(broken)
    failed = Reranker("any", method="scorer", on_error="keep").rerank("sky", DOCS)
    assert failed.status == "fallback" and failed.issues[0].kind == "failed"
    spent = Reranker("any", method="scorer", budget={"calls": 2}, on_error="keep")
    stopped = spent.rerank("sky", ["a", "sky", "c"])
    assert stopped.status == "partial" and stopped.issues[0].kind == "unasked"


@pytest.mark.parametrize("budget", [{"calls": 1}, {"tokens": 5}])
def test_a_failure_within_a_budget_keeps_the_old_order_too(opened, budget):
    opened(broken)
    reranker = Reranker("any", method="scorer", budget=budget, on_error="keep")
    failed = reranker.rerank("sky", ["blue", "sky", "c"])
    assert failed.status == "fallback" and order(failed) == [0, 1, 2]
    assert [hit.score for hit in failed] == [None] * 3


def test_ids_are_kept_and_never_made_up(opened):
    opened(counted)
    docs = [{"text": "sky sky", "id": 7}, {"text": "sky", "id": "x"}, {"text": "a"}, "b"]
    assert Reranker("any", method="scorer").rerank("sky", docs).ids == ["7", "x", None, None]


def test_objects_of_other_libraries_are_read_and_come_back(opened):
    opened(counted)
    docs = [
        SimpleNamespace(page_content="sea", id="a"),
        SimpleNamespace(content="sky sky", id="b"),
        SimpleNamespace(text="sky", id=None),
    ]
    ranking = Reranker("any", method="scorer").rerank("sky", docs)
    assert ranking.ids == ["b", None, "a"]
    assert all(hit.document is docs[hit.index] for hit in ranking)


def test_a_callers_own_documents_are_read_with_his_own_function(opened):
    opened(counted)
    reranker = Reranker("any", method="scorer", text=lambda pair: pair[1])
    assert order(reranker.rerank("sky", [("a", "sea"), ("b", "sky")])) == [1, 0]
    with pytest.raises(InputError, match="document 0 is a tuple; its `text` gives no text"):
        Reranker("any", method="scorer", text=lambda pair: None).rerank("sky", [("a", "sea")])


def by_length(docs):
    """A strategy of a user's own."""
    rated = yield [Rate(doc) for doc in docs]
    return [doc for _, doc in sorted(zip(rated, docs, strict=True), key=lambda p: -p[0])]


def divides(docs):
    yield [Rate(docs[0])]
    return [docs[1 // 0]]


def yields_no_list(docs):
    yield Rate(docs[0])


def returns_at_once(docs):
    return list(docs)


def test_a_strategy_of_ones_own_needs_a_prompt_and_no_method(opened):
    opened(counted)
    own = Reranker("any", strategy="test_reranker:by_length", prompt="pointwise/score")
    assert order(own.rerank("sky", DOCS)) == [3, 1, 2, 0]
    assert own.method == "test_reranker:by_length"
    with pytest.raises(UsageError, match="needs a prompt"):
        Reranker("any", strategy="test_reranker:by_length")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("divides", r"strategy test_reranker:divides: ZeroDivisionError: .* \(line \d+ of .*"),
        ("yields_no_list", "strategy test_reranker:yields_no_list yields Rate"),
        ("returns_at_once", "strategy test_reranker:returns_at_once is not a generator"),
    ],
)
def test_a_mistake_in_somebodys_own_strategy_is_one_line_with_its_name(opened, name, says):
    opened(counted)
    own = Reranker("any", strategy=f"test_reranker:{name}", prompt="pointwise/score")
    with pytest.raises(UsageError, match=says) as mistake:
        own.rerank("sky", DOCS)
    assert "\n" not in str(mistake.value)


def test_a_method_that_cannot_carry_top_n_warns(opened):
    opened(reversed_list)
    reranker = Reranker("any", method="listwise", options={"window": 4, "stride": 2})
    with pytest.warns(UserWarning, match="method listwise: windows of 4 .* not 5") as caught:
        reranker.rerank("q", [str(i) for i in range(9)], top_n=5)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reranker.rerank("q", [str(i) for i in range(9)], top_n=2)


def test_progress_is_told_after_each_query(opened):
    opened(counted)
    told = []
    batch = [("sky", DOCS)] * 3
    Reranker("any", method="scorer").rerank_many(batch, on_progress=lambda *at: told.append(at))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_calls_inside_a_running_loop_work_as_in_a_notebook(opened):
    opened(counted)
    reranker = Reranker("any", method="scorer")

    async def cell():
        return order(reranker.rerank("sky", DOCS)), order(await reranker.arerank("sky", DOCS, 2))

    assert asyncio.run(cell()) == ([3, 1, 2, 0], [3, 1])
    assert asyncio.run(cell()) == ([3, 1, 2, 0], [3, 1])


def test_a_stream_gives_each_ranking_once_with_its_place(opened):
    opened(counted, at_once=1, seed=1)

    async def streamed():
        async with Reranker("any", method="scorer") as reranker:
            batch = [("sky", ["x"] * n + ["sky"]) for n in (5, 0, 3)]
            return {place: order(ranking)[0] async for place, ranking in reranker.astream(batch)}

    assert asyncio.run(streamed()) == {0: 5, 1: 0, 2: 3}


def test_tasks_share_the_model(opened):
    """Three queries, each of one wave: one poll answers all of them."""
    engines = opened(counted)

    async def together():
        async with Reranker("any", method="scorer") as reranker:
            tasks = [reranker.arerank("sky", DOCS) for _ in range(20)]
            return await asyncio.gather(*tasks)

    assert [order(ranking) for ranking in asyncio.run(together())] == [[3, 1, 2, 0]] * 20
    assert len(engines[0][-1].requests) == 80


def test_a_closed_reranker_says_so(opened):
    opened(counted)
    reranker = Reranker("any", method="scorer")
    reranker.rerank("sky", DOCS)
    reranker.close()
    reranker.close()
    with pytest.raises(UsageError, match="this reranker is closed"):
        reranker.rerank("sky", DOCS)


def test_a_reranker_that_nobody_has_any_more_lets_go_of_its_model_and_its_thread(opened):
    engines, before = opened(counted), {*threading.enumerate()}
    reranker = Reranker("any", method="scorer")
    reranker.rerank("sky", DOCS)
    closed = []
    engines[0][-1].close = lambda: closed.append(True)
    del reranker
    gc.collect()
    assert closed == [True] and {*threading.enumerate()} <= before


def test_many_threads_at_once_each_get_their_own(opened):
    opened(counted, at_once=1)
    reranker, found = Reranker("any", method="scorer"), {}

    def ask(number):
        docs = ["x"] * number + ["sky"]
        found[number] = order(reranker.rerank("sky", docs))[0]

    threads = [threading.Thread(target=ask, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: number for number in range(8)}


def test_the_example_of_the_package_is_what_it_exports():
    import rerank

    assert rerank.Reranker is Reranker
    with pytest.raises(AttributeError, match="no attribute 'Rerankr'"):
        _ = rerank.Rerankr
