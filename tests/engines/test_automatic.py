"""What "auto" chooses: by a trained model's name, by its files, by what its tokenizer spells."""

import json

import pytest
import tiny

from rerank import Reranker
from rerank.library.automatic import TRAINED, choose_method
from rerank.methods import METHODS


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("Qwen/Qwen3-Reranker-0.6B", "qwen3-reranker"),
        ("BAAI/bge-reranker-v2-gemma", "bge-reranker-gemma"),
        ("mixedbread-ai/mxbai-rerank-base-v2", "mxbai-rerank-v2"),
        ("castorini/monot5-base-msmarco-10k", "monot5"),
        ("castorini/first_mistral", "first"),
        ("castorini/rank_zephyr_7b_v1_full", "listwise"),
        ("jhu-clsp/rank1-7b", "rank1"),
        ("ielabgroup/Rank-R1-7B-v0.2", "rank-r1-v0.2"),
        ("ielabgroup/Rank-R1-7B-v0.1", "rank-r1"),
        ("hltcoe/Rank-K-32B", "rank-k"),
        ("liuwenhan/reasonrank-7B", "reason-rank"),
        ("BAAI/bge-reranker-v2-m3", "scorer"),
        ("cross-encoder/ms-marco-MiniLM-L6-v2", "scorer"),
        ("gpt-oss-20b", "first-letters"),
        ("meta-llama/Llama-3.1-8B-Instruct", "first-letters"),
    ],
)
def test_behind_a_server_the_name_decides(model, method):
    chosen = choose_method(model, "http://localhost:1/v1")
    assert (chosen.method == method and model.split("/")[0] in chosen.why) or "server" in chosen.why


def test_every_method_that_a_model_was_trained_for_is_a_method():
    assert {*TRAINED.values()} <= {*METHODS}


@pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "Qwen/Qwen3-4B-Instruct-2507", "gemma-3"])
def test_a_servers_model_that_thinks_is_told_not_to(name):
    chosen = choose_method(name, "http://localhost:1/v1")
    assert bool(chosen.engine_options) == (name == "Qwen/Qwen3-8B")


@pytest.mark.slow
def test_a_chat_model_gets_the_labels_that_its_tokenizer_has(tmp_path):
    """Where "[A" is one token, letters alone still are; so both get FIRST over plain letters."""
    for merge in (False, True):
        folder = tiny.checkpoint(tmp_path / str(merge), brackets_merge=merge)
        chosen = choose_method(str(folder), None)
        assert chosen.method == "first-letters" and "20 labels one token each" in chosen.why
        assert chosen.engine_options == {}


@pytest.mark.slow
def test_a_template_that_can_think_is_told_not_to(tmp_path):
    folder = tiny.checkpoint(tmp_path)
    template = folder / "chat_template.jinja"
    think = "{% if enable_thinking is defined and not enable_thinking %}{% endif %}"
    template.write_text(template.read_text() + think)
    chosen = choose_method(str(folder), None)
    assert chosen.engine_options == {"chat_template_options": {"enable_thinking": False}}


@pytest.mark.slow
def test_a_cross_encoder_scores_pairs_even_under_the_name_of_a_decoder(tmp_path):
    folder = tmp_path / "Qwen3-Reranker-0.6B-seq-cls"
    folder.mkdir()
    config = {"model_type": "qwen3", "architectures": ["Qwen3ForSequenceClassification"]}
    (folder / "config.json").write_text(json.dumps(config))
    assert choose_method(str(folder), None).method == "scorer"


@pytest.mark.slow
def test_an_encoder_is_a_scorer_and_the_reranker_says_so():
    with Reranker("all-MiniLM-L6-v2") as reranker:
        assert (reranker.method, reranker.score_kind) == ("scorer", "cosine")
        assert reranker.why == "all-MiniLM-L6-v2 is an encoder"
        ranking = reranker.rerank("why is the sky blue?", ["salt", "air scatters blue light"], 1)
    assert ranking[0].index == 1 and ranking.method == "scorer"
    assert repr(reranker) == "Reranker('all-MiniLM-L6-v2', method='scorer')"


@pytest.mark.slow
def test_auto_ranks_with_a_real_chat_model(tmp_path):
    folder = tiny.checkpoint(tmp_path)
    with Reranker(str(folder), engine="transformers") as reranker:
        ranking = reranker.rerank("q", [f"text {i}" for i in range(30)], top_n=3)
    assert len(ranking) == 3 and ranking.method == "first-letters" and ranking.status == "ok"
