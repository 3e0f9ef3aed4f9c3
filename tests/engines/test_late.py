"""ColBERT checkpoints in PyLate's format, beside a forward pass by hand."""

import json

import pytest
from checkpoints import WORDS, bert, scores, wordpiece

from rerank.engines.models.embedders import Embedder
from rerank.engines.scorer import Scorer
from rerank.errors import EngineError, UsageError
from rerank.recipes.stages import DenseOptions
from rerank.records import Doc, Query
from rerank.retrieve.dense import Dense

pytestmark = pytest.mark.slow
STATED = {
    "query_length": 9,
    "document_length": 20,
    "query_prefix": "[Q] ",
    "document_prefix": "[D] ",
}
QUERY, DOC = f"{WORDS[0]} {WORDS[1]}", f"{WORDS[1]}, {WORDS[2]}. {WORDS[0]}"


def saved(folder, width=8, residual=False, **stated):
    """A tiny checkpoint as PyLate writes it."""
    import torch
    from safetensors.torch import save_file

    tokenizer = wordpiece(folder)
    tokenizer.add_tokens(["[Q] ", "[D] ", ",", "."])
    tokenizer.save_pretrained(folder)
    model = bert(folder, "BertModel")
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    layers = {"linear.weight": torch.randn(width, 32)}
    if residual:
        layers["residual.weight"] = torch.randn(width, 32)
    (folder / "1_Dense").mkdir()
    save_file(layers, folder / "1_Dense" / "model.safetensors")
    projects = {"in_features": 32, "out_features": width, "bias": False, "use_residual": residual}
    projects["activation_function"] = "torch.nn.modules.linear.Identity"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ]
    said = {**STATED, "skiplist_words": [",", "."], "prompts": {}, **stated}
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Dense" / "config.json").write_text(json.dumps(projects))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(said))
    return model, tokenizer, sum(layers.values())


def rows(parts, text, mark, fill=0, attended=0, silent=()):
    """The vectors of a text by hand: marked, filled up, projected, without silent tokens."""
    import torch

    model, tokenizer, weight = parts
    ids = tokenizer(text)["input_ids"]
    ids = [ids[0], tokenizer.convert_tokens_to_ids(mark), *ids[1:]]
    seen = [1] * len(ids) + [attended] * (fill - len(ids))
    ids += [tokenizer.mask_token_id] * (fill - len(ids))
    with torch.no_grad():
        states = model(torch.tensor([ids]), torch.tensor([seen])).last_hidden_state[0]
    kept = [n for n, i in enumerate(ids) if i not in tokenizer.convert_tokens_to_ids([*silent])]
    return torch.nn.functional.normalize((states @ weight.T)[kept], dim=-1)


def maxsim(query, doc):
    return float((query @ doc.T).max(dim=1).values.sum())


@pytest.mark.parametrize(
    "stated",
    [
        {},
        {"attend_to_expansion_tokens": True},
        {"do_query_expansion": False},
        {"skiplist_words": []},
    ],
)
def test_texts_are_marked_filled_up_and_projected_as_the_files_say(stated, tmp_path):
    parts = saved(tmp_path, **stated)
    fill = 9 if stated.get("do_query_expansion", True) else 0
    attended = int("attend_to_expansion_tokens" in stated)
    query = rows(parts, QUERY, "[Q] ", fill, attended)
    doc = rows(parts, DOC, "[D] ", silent=stated.get("skiplist_words", ",."))
    scorer = Scorer(str(tmp_path), device="cpu")
    assert scorer.score_kind == "maxsim"
    assert scores(scorer, [(QUERY, DOC)]) == [pytest.approx(maxsim(query, doc), abs=1e-5)]


def test_a_batch_of_many_lengths_scores_as_each_pair_does_alone(tmp_path):
    saved(tmp_path, residual=True)
    pairs = [(QUERY, DOC), (QUERY, WORDS[3]), (WORDS[4], DOC), (" ".join(WORDS * 3), "")]
    together = scores(Scorer(str(tmp_path), device="cpu"), pairs)
    alone = [scores(Scorer(str(tmp_path), device="cpu"), [one])[0] for one in pairs]
    assert together == pytest.approx(alone, abs=1e-5)


def test_what_a_checkpoint_cannot_do_is_said_in_a_line(tmp_path):
    saved(tmp_path)
    with pytest.raises(UsageError, match=r"a vector for each token: give dense\.muvera"):
        Embedder(str(tmp_path)).encode([QUERY])
    stated = tmp_path / "config_sentence_transformers.json"
    stated.write_text(json.dumps({**STATED, "document_prefix": "[Q] "}))
    with pytest.raises(EngineError, match="marks queries and documents alike"):
        Scorer(str(tmp_path), device="cpu")
    stated.write_text(json.dumps(STATED))
    config = tmp_path / "1_Dense" / "config.json"
    config.write_text(config.read_text().replace("linear.Identity", "activation.Tanh"))
    with pytest.raises(EngineError, match="projects by Tanh"):
        Scorer(str(tmp_path), device="cpu")


def test_its_tokens_are_searched_by_muvera(tmp_path, monkeypatch):
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "model"
    model.mkdir()
    saved(model)
    corpus = [Doc(word, f"{word} {word}") for word in WORDS]
    index = Dense(corpus, DenseOptions(model=str(model), muvera={}))
    found = index.search([Query("q", WORDS[3])], len(WORDS))["q"]
    exact = scores(Scorer(str(model), device="cpu"), [(WORDS[3], doc.text) for doc in corpus])
    best = max(zip(exact, WORDS, strict=True))[1]
    assert best in list(found)[:3]
