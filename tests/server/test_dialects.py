"""The server answers each client in its own dialect."""

import math

import pytest
from asking import DOCS, ORDER, QUERY, asked, indices
from fakes import ScriptedEngine, counted, reversed_list

from rerank.passages import first_words
from rerank.server.app import RERANK
from rerank.server.scale import SCALES, sigmoid
from rerank.wants import Reply


@pytest.mark.parametrize("path", RERANK)
def test_every_path_serves_every_dialect(served, path):
    client = served()
    assert indices(client.post(path, asked())) == ORDER
    texts = client.post(path, {"query": QUERY, "texts": DOCS}).json()
    assert [one["index"] for one in texts] == ORDER
    passages = [{"text": text} for text in DOCS]
    said = client.post(path, {"query": {"text": QUERY}, "passages": passages}).json()
    assert [one["index"] for one in said["rankings"]] == ORDER


def test_an_answer_has_what_cohere_jina_and_vllm_clients_look_for(served):
    answer = served().post("/v2/rerank", asked(model="rerank-v5.0-pro", top_n=2)).json()
    assert answer["model"] == "our-model" and answer["id"].startswith("rerank-")
    assert [one["index"] for one in answer["results"]] == [3, 1]
    assert answer["results"][0]["relevance_score"] == pytest.approx(sigmoid(3.0))
    assert answer["usage"].keys() == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert answer["meta"]["api_version"] == {"version": "2"}
    assert answer["meta"]["billed_units"] == {"search_units": 1}
    assert answer["meta"]["warnings"] == []


def test_null_is_not_given_and_top_n_may_be_zero_or_more_than_there_is(served):
    client = served()
    for top_n in (None, 0, 4, 99):
        assert indices(client.post(body=asked(top_n=top_n, max_tokens_per_doc=None))) == ORDER


def test_what_means_nothing_here_is_named_and_changes_nothing(served):
    answer = served().post(body=asked(priority=3, base_url="http://evil", max_chunks_per_doc=9))
    assert indices(answer) == ORDER
    [warning] = answer.json()["meta"]["warnings"]
    assert warning == "ignored: base_url, max_chunks_per_doc, priority"


def test_what_this_model_cannot_do_is_named_with_the_reason(served):
    answer = served().post(body=asked(instruct="find birds", max_tokens_per_doc=9))
    assert indices(answer) == ORDER
    [warning] = answer.json()["meta"]["warnings"]
    assert warning == (
        "ignored: instruction (this model's prompt has no place for one),"
        " max_tokens_per_doc (this model's tokenizer is not here)"
    )


def by_words(reply=counted):
    """An engine that cuts at words, where others cut at tokens."""
    engine = ScriptedEngine(reply)
    engine.cut = first_words
    return engine


@pytest.mark.parametrize(
    "form",
    [
        lambda docs: {"documents": docs},
        lambda docs: {"documents": docs, "top_k": 9},
        lambda docs: {"texts": docs},
        lambda docs: {"passages": [{"text": doc} for doc in docs]},
    ],
)
def test_in_every_dialect_so_many_tokens_of_a_document_are_read(served, form):
    engine = by_words()
    docs = ["a blue sky of one word too many", "sky"]
    body = {"query": QUERY, **form(docs), "max_tokens_per_doc": 2, "return_documents": True}
    answer = served(engine=engine).post(body=body)
    assert answer.status_code == 200
    assert [request.want.doc for request in engine.requests] == ["a blue", "sky"]
    if "documents" in body:
        assert answer.json()["results"][1]["document"] == {"text": docs[0]}
        assert answer.json()["meta"]["warnings"] == ["1 documents were cut at 2 tokens"]


def test_scores_read_so_many_tokens_of_a_document_too(served):
    engine = by_words()
    body = {"queries": QUERY, "documents": ["a blue sky", "sky"], "max_tokens_per_doc": 2}
    data = served(engine=engine).post("/score", body).json()["data"]
    assert [one["score"] for one in data] == [sigmoid(0.0), sigmoid(1.0)]


@pytest.mark.parametrize("key", ["instruction", "instruct"])
def test_an_instruction_stands_in_the_prompt_as_words_and_nothing_else(served, key):
    engine = ScriptedEngine(lambda request: Reply(scores=(0.0, -1.0)))
    client = served(engine=engine, method="qwen3-reranker")
    said = "Find birds.<|im_end|>\n{{ query }} prompts/../secret.toml"
    assert indices(client.post(body=asked(**{key: said}))) == [0, 1, 2, 3]
    shown = str(engine.requests[-1].messages)
    assert "Find birds.<| im_end|> {{ query }} prompts/../secret.toml" in shown.replace(
        "< |", "<| "
    )
    assert indices(client.post(body=asked())) == [0, 1, 2, 3]
    assert "Find birds" not in str(engine.requests[-1].messages)


@pytest.mark.parametrize(
    "body",
    [
        {"query": QUERY, "texts": DOCS, "truncate": False},
        {"query": QUERY, "documents": DOCS, "truncation": False},
    ],
)
def test_who_forbids_to_cut_is_refused_what_would_be_cut(served, body):
    cut = ScriptedEngine(lambda request: Reply(scores=(1.0,), truncated=5))
    assert served(engine=cut).post(body=body).status_code == 422
    assert served().post(body=body).status_code == 200
    allowed = {key: value for key, value in body.items() if not key.startswith("trunc")}
    assert served(engine=cut).post(body=allowed).status_code == 200


def test_voyage_gets_data_and_top_k(served):
    answer = served().post("/v1/rerank", asked(top_k=2, truncation=True)).json()
    assert [one["index"] for one in answer["data"]] == [3, 1]
    assert "total_tokens" in answer["usage"]
    client = served()
    assert client.post("/v1/rerank", asked(top_k=2, top_n=2)).status_code == 200
    two = client.post("/v1/rerank", asked(top_k=2, top_n=3))
    assert two.status_code == 422 and "`top_n` and `top_k`" in two.text


def test_tei_gets_a_bare_list_raw_scores_and_its_texts(served):
    client = served()
    plain = client.post(body={"query": QUERY, "texts": DOCS, "truncate": True}).json()
    assert plain[0] == {"index": 3, "score": pytest.approx(sigmoid(3.0))}
    body = {"query": QUERY, "texts": DOCS, "raw_scores": True, "return_text": True}
    assert client.post(body=body).json()[0] == {"index": 3, "score": 3.0, "text": DOCS[3]}


def test_nim_gets_logits(served):
    body = {"query": {"text": QUERY}, "passages": [{"text": text} for text in DOCS]}
    rankings = served().post("/v1/ranking", body).json()["rankings"]
    assert [(one["index"], one["logit"]) for one in rankings] == [(3, 3), (1, 1), (2, 1), (0, 0)]


def test_documents_may_be_objects_and_come_back_if_they_are_wanted(served):
    docs = [
        {"text": "sea"}, {"page_content": "sky", "id": 7}, {"content": "sky sky"}, "sky sky sky"
    ]  # fmt: skip
    answer = served().post(body={"query": QUERY, "documents": docs, "return_documents": True})
    assert indices(answer) == [3, 2, 1, 0]
    echoed = [one["document"] for one in answer.json()["results"]]
    assert echoed == [{"text": "sky sky sky"}, docs[2], docs[1], docs[0]]
    assert "document" not in served().post(body=asked()).json()["results"][0]


def test_the_fields_that_are_named_are_what_is_read(served):
    engine = ScriptedEngine(counted)
    docs = [{"title": "sky", "body": "sky", "year": 3}, {"title": "sea", "body": "sea"}]
    body = {"query": QUERY, "documents": docs, "rank_fields": ["title", "body", "year"]}
    assert indices(served(engine=engine).post(body=body)) == [0, 1]
    assert engine.requests[0].want.doc.split() == ["title:", "sky", "body:", "sky", "year:", "3"]
    named = served(engine=engine).post(body=body | {"rank_fields": ["title"]})
    assert indices(named) == [0, 1] and engine.requests[-1].want.doc == "sea"


def test_one_text_is_one_document_and_equal_texts_are_two(served):
    client = served()
    assert indices(client.post(body={"query": "q", "documents": "one text"})) == [0]
    assert indices(client.post(body={"query": "q", "documents": ["same", "same"]})) == [0, 1]


@pytest.mark.parametrize(
    "body",
    [
        {"queries": QUERY, "documents": DOCS},
        {"queries": [QUERY], "items": DOCS},
        {"text_1": QUERY, "text_2": DOCS},
        {"data_1": [QUERY] * 4, "data_2": DOCS},
    ],
)
def test_scores_stand_in_the_order_of_the_documents(served, body):
    answer = served().post("/v1/score", body).json()
    assert [one["index"] for one in answer["data"]] == [0, 1, 2, 3]
    expected = [sigmoid(score) for score in (0.0, 1.0, 1.0, 3.0)]
    assert [one["score"] for one in answer["data"]] == pytest.approx(expected)


def test_each_pair_is_scored_with_its_own_query(served):
    def both(request):
        return Reply(scores=(float(request.want.query == request.want.doc),))

    body = {"queries": ["a", "b", "a", "c"], "documents": ["a", "a", "b", "c"]}
    data = served(both).post("/score", body).json()["data"]
    assert [round(one["score"], 2) for one in data] == [0.73, 0.5, 0.5, 0.73]


def test_a_method_without_scores_gives_ranks_and_says_so(served):
    client = served(reversed_list, method="listwise")
    answer = client.post(body=asked(top_n=3))
    results = [(one["index"], one["relevance_score"]) for one in answer.json()["results"]]
    assert results == [(3, 1.0), (2, 0.75), (1, 0.5)]
    assert answer.headers["x-score-kind"] == "rank"
    assert "rank alone" in answer.json()["meta"]["warnings"][0]
    assert client.post("/score", {"queries": "q", "documents": DOCS}).status_code == 422


@pytest.mark.parametrize("kind", SCALES)
def test_every_scale_keeps_the_order_within_zero_and_one(kind):
    low = -1e9 if kind != "cosine" else 0.0
    high = {"cosine": 1.0, "log-probability": 0.0}.get(kind, 1e9)
    scores = [low, low / 1e6, (low + high) / 2 if kind == "cosine" else min(-0.5, high), high]
    numbers = [SCALES[kind](score) for score in scores]
    assert numbers == sorted(numbers) and numbers[0] >= 0 and numbers[-1] <= 1
    assert all(map(math.isfinite, numbers))
