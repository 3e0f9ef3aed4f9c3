"""The matching head: its formula by hand, learning, and its scores from a quarter of the bytes."""

import json
import math

import pytest
from checkpoints import WORDS, bert, scores, wordpiece
from trainings import recipe

from rerank.engines.models.checkpoints import Files
from rerank.engines.models.matching import Matcher
from rerank.engines.scorer import Scorer
from rerank.train import train
from rerank.train.data import examples
from rerank.train.wiring import matching_head

pytestmark = pytest.mark.slow

QUERY, DOC = "the sea is blue", "a blue sea and a blue hill"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import torch

    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("encoder")
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    bert(path, "BertModel", **off)
    wordpiece(path)
    return path


def head(folder):
    return matching_head(Files(str(folder)).tokenizer(), [QUERY, DOC, "a dry hill", "cats sleep"])


def by_hand(folder, parts, query, doc):
    """The formula of the docstring, over lists, with every token a word of its own."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    with torch.inference_mode():
        read = [tokenizer(text, return_tensors="pt") for text in (query, doc)]
        states = [model.eval()(**inputs).last_hidden_state[0] for inputs in read]
    q, d = (torch.nn.functional.normalize(rows[1:-1], dim=-1) for rows in states)
    means = [torch.nn.functional.normalize(rows.mean(0), dim=-1) for rows in states]
    q_ids, d_ids = ([int(i) for i in inputs["input_ids"][0][1:-1]] for inputs in read)
    w = [parts["likeness"][i] for i in q_ids]
    v = [parts["rarity"][i] for i in q_ids]
    near = [float((d @ row).max()) for row in q]
    likeness = sum(a * b for a, b in zip(w, near, strict=True)) / sum(w)
    k, share = parts["saturation"]
    tf = [sum(parts["group"][i] == parts["group"][j] for j in d_ids) for i in q_ids]
    full = [t / (t + k * (1 - share + share * len(d_ids) / 80)) for t in tf]
    overlap = sum(a * b for a, b in zip(v, full, strict=True)) / math.sqrt(sum(v))
    a, b, c = parts["mix"]
    return a * float(means[0] @ means[1]) + b * likeness + c * overlap


def test_a_score_is_the_formula_of_its_docstring(folder) -> None:
    parts = head(folder)
    matcher = Matcher(Files(str(folder)), "cpu", "auto", None, parts)
    pairs = matcher.read([(QUERY, DOC), (QUERY, "cats sleep"), ("a dry hill", DOC)])
    wanted = [by_hand(folder, parts, *pair) for pair in
              ((QUERY, DOC), (QUERY, "cats sleep"), ("a dry hill", DOC))]  # fmt: skip
    with matcher.computing():
        assert matcher.logits(pairs).tolist() == pytest.approx(wanted, abs=1e-4)
        assert [found.score for found in matcher.score(pairs)] == pytest.approx(wanted, abs=0.02)
        again = matcher.score(pairs)
    assert all(found.cached for found in again)


def test_an_empty_text_has_a_score_too(folder) -> None:
    matcher = Matcher(Files(str(folder)), "cpu", "auto", None, head(folder))
    with matcher.computing():
        found = matcher.score(matcher.read([(QUERY, ""), ("", DOC), ("", "")]))
    assert all(math.isfinite(one.score) for one in found)


def test_words_of_one_stem_match_and_stop_words_weigh_nothing(folder) -> None:
    parts, tokenizer = head(folder), Files(str(folder)).tokenizer()
    ids = {word: tokenizer.convert_tokens_to_ids(word) for word in WORDS}
    assert parts["rarity"][ids["the"]] == 0 < parts["rarity"][ids["sea"]]
    assert parts["group"][ids["sea"]] == ids["sea"]


def test_a_matching_head_learns_and_the_best_measured_weights_are_kept(folder, tmp_path) -> None:
    changes = {"head": "matching", "head_rate": 0.05, "frozen": 1, "measure_every": 5}
    result = train(recipe(tmp_path, folder, "listnet", **changes), tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out/train.jsonl").open()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert sum(losses[-4:]) < 0.97 * sum(losses[:4])
    measured = {row["step"]: row["validation"]["ndcg@10"] for row in rows if "validation" in row}
    assert result["validation"]["ndcg@10"] == max(measured.values())
    assert result["kept"] == max(measured, key=measured.get)


def test_frozen_layers_stay_as_they_are_and_the_others_move(folder, tmp_path) -> None:
    from safetensors.torch import load_file

    changes = {"head": "matching", "frozen": 1, "keep": "last", "steps": 3}
    train(recipe(tmp_path, folder, "listnet", **changes), tmp_path / "out")
    before, after = (load_file(x / "model.safetensors") for x in (folder, tmp_path / "out"))
    moved = {key for key in before if "pooler" not in key and not before[key].equal(after[key])}
    assert moved and all("layer.1." in key for key in moved)


def test_a_scale_in_the_config_makes_log_odds_of_the_sum(folder, tmp_path) -> None:
    plain = Matcher(Files(str(folder)), "cpu", "auto", None, head(folder))
    plain.save_packed(str(tmp_path), 64)
    pairs, found = [(QUERY, DOC), (QUERY, "cats sleep")], []
    for scale in (None, [0.5, -3.0]):
        config = json.loads((tmp_path / "config.json").read_text()) | {"match_scale": scale}
        (tmp_path / "config.json").write_text(json.dumps(config))
        found.append(scores(Scorer(str(tmp_path)), pairs))
    assert found[1] == pytest.approx([0.5 * score - 3.0 for score in found[0]], abs=1e-5)
    another = Matcher(Files(str(tmp_path)), "cpu", "auto", None, head(folder))
    assert another.model.config.match_scale is None  # it was fitted to the head that was there


def test_a_linear_head_in_place_of_a_matching_one_makes_a_cross_encoder(folder, tmp_path) -> None:
    kept = {"steps": 1, "keep": "last", "packed": "true"}
    train(recipe(tmp_path, folder, "listnet", head="matching", **kept), tmp_path / "matcher")
    again = recipe(tmp_path, tmp_path / "matcher", "listnet", head="linear", **kept)
    train(again, tmp_path / "cross")
    config = json.loads((tmp_path / "cross/config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"] and not config["match"]
    assert len(scores(Scorer(str(tmp_path / "cross")), [(QUERY, DOC)])) == 1


def test_a_packed_model_is_a_quarter_as_large_and_scores_as_the_float_one_does(
    folder, tmp_path
) -> None:
    wanted = {"head": "matching", "steps": 5, "keep": "last"}
    train(recipe(tmp_path, folder, "listnet", **wanted), tmp_path / "float")
    train(recipe(tmp_path, folder, "listnet", **wanted, packed="true"), tmp_path / "packed")
    pairs = [(QUERY, doc) for doc in (DOC, "cats sleep", "a dry hill", "dogs bark")]
    full, small_ = (scores(Scorer(str(tmp_path / x)), pairs) for x in ("float", "packed"))
    assert small_ == pytest.approx(full, abs=0.15)
    assert sorted(range(4), key=full.__getitem__) == sorted(range(4), key=small_.__getitem__)
    sizes = [(tmp_path / x / "model.safetensors").stat().st_size for x in ("float", "packed")]
    assert sizes[1] < 0.45 * sizes[0]


def test_a_collection_to_check_is_validated_on_by_its_judgments(folder, tmp_path) -> None:
    wanted = recipe(tmp_path, folder, "listnet", head="matching", steps=1)
    data = wanted.data.model_copy(update={"check": ("demo",), "held_out": (), "check_docs": 5})
    result = train(wanted.model_copy(update={"data": data}), tmp_path / "out")
    assert {"first", "ndcg@10", "ndcg@10 demo"} == set(result["validation"])
    assert result["queries"]["validated"] > 40
    assert not examples(data).validation
