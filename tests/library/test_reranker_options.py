"""What a reranker and a call may ask for: refused before a model loads, or done as it says."""

import sqlite3
import warnings

import pytest
from fakes import counted, labelled, order, reversed_list

from rerank import EngineError, InputError, Reranker, UsageError
from rerank.passages import first_words
from rerank.wants import Labels, Pair, Reply

DOCS = ["fish swim", "the sky is blue", "sky", "sky sky sky"]


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


def test_a_strategy_of_ones_own_needs_a_prompt_and_no_method(opened):
    opened(counted)
    own = Reranker("any", strategy="own:by_length", prompt="pointwise/score")
    assert order(own.rerank("sky", DOCS)) == [3, 1, 2, 0]
    assert own.method == "own:by_length"
    with pytest.raises(UsageError, match="needs a prompt"):
        Reranker("any", strategy="own:by_length")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("divides", r"strategy own:divides: ZeroDivisionError: .* \(line \d+ of .*"),
        ("yields_no_list", "strategy own:yields_no_list yields Rate"),
        ("returns_at_once", "strategy own:returns_at_once is not a generator"),
    ],
)
def test_a_mistake_in_somebodys_own_strategy_is_one_line_with_its_name(opened, name, says):
    opened(counted)
    own = Reranker("any", strategy=f"own:{name}", prompt="pointwise/score")
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
