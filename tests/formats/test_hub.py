import json
import sys

import pytest

from rerank.datasets import load
from rerank.errors import InputError, MissingExtra
from rerank.records import Doc, Query

pytestmark = pytest.mark.slow

# As in mteb/scifact: three configurations over JSONL, grades as float64.
MTEB = """\
---
dataset_info:
- config_name: default
  features:
  - name: query-id
    dtype: string
  - name: corpus-id
    dtype: string
  - name: score
    dtype: float64
configs:
- config_name: default
  data_files:
  - split: train
    path: qrels/train.jsonl
  - split: test
    path: qrels/test.jsonl
- config_name: corpus
  data_files:
  - split: corpus
    path: corpus.jsonl
- config_name: queries
  data_files:
  - split: queries
    path: queries.jsonl
---
"""

# As in BeIR/scifact: two configurations over parquet; BeIR/scifact-qrels has a tsv for each split.
BEIR = """\
---
configs:
- config_name: corpus
  data_files:
  - split: corpus
    path: corpus/*.parquet
- config_name: queries
  data_files:
  - split: queries
    path: queries/*.parquet
---
"""

CORPUS = [
    {"_id": "007", "title": "Bond", "text": "line\u2028separator\r"},
    {"_id": "8", "title": "", "text": ""},
]
QUERIES = [{"_id": "1", "text": "who?"}, {"_id": "2", "text": "asked by nobody"}]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def mteb(path, score: float = 1.0, corpus=CORPUS):
    judged = [{"query-id": "1", "corpus-id": "007", "score": score}]
    (path / "qrels").mkdir(parents=True)
    (path / "README.md").write_text(MTEB)
    parts = {"corpus": corpus, "queries": QUERIES, "qrels/test": judged, "qrels/train": judged * 2}
    for name, rows in parts.items():
        (path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def beir(path, qrels: str):
    import datasets

    for name, rows in {"corpus": CORPUS, "queries": QUERIES}.items():
        (path / name).mkdir(parents=True)
        table = datasets.Dataset.from_list(rows)
        table.to_parquet(path / name / f"{name}-00000-of-00001.parquet")
    (path / "README.md").write_text(BEIR)
    apart = path.with_name(f"{path.name}-qrels")
    apart.mkdir()
    (apart / "test.tsv").write_text(qrels)
    (apart / "train.tsv").write_text("query-id\tcorpus-id\tscore\n2\t8\t1\n")
    return path


def refusal(path, split: str = "test") -> str:
    with pytest.raises(InputError) as caught:
        load(f"hub:{path}", split)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), "F")


def test_the_layout_of_mteb_has_its_judgments_beside_its_texts(tmp_path):
    path = mteb(tmp_path / "scifact")
    dataset = load(f"hub:{path}")
    assert dataset.name == str(path)
    assert list(dataset.corpus.values()) == [
        Doc("007", "line\u2028separator\r", "Bond"),
        Doc("8", "", ""),
    ]
    assert dataset.queries == {"1": Query("1", "who?"), "2": Query("2", "asked by nobody")}
    assert dataset.qrels == {"1": {"007": 1}}
    assert type(dataset.qrels["1"]["007"]) is int


def test_the_layout_of_beir_has_its_judgments_in_a_repository_apart(tmp_path):
    path = beir(tmp_path / "scifact", "query-id\tcorpus-id\tscore\n1\t007\t2\n1\t8\t0\n")
    dataset = load(f"hub:{path}")
    assert [*dataset.corpus] == ["007", "8"]
    assert dataset.qrels == {"1": {"007": 2, "8": 0}}
    assert load(f"hub:{path}", "train").qrels == {"2": {"8": 1}}


def test_ids_under_the_newer_name_of_mteb_are_found(tmp_path):
    rows = [{"id": row["_id"], "text": row["text"]} for row in CORPUS]
    dataset = load(f"hub:{mteb(tmp_path / 'scifact', corpus=rows)}")
    assert dataset.corpus["007"] == Doc("007", "line\u2028separator\r", "")


def test_a_grade_that_is_not_whole_is_named_with_its_row(tmp_path):
    path = mteb(tmp_path / "scifact", score=0.5)
    assert refusal(path) == "hub:F qrels:1: a grade must be a whole number, not 0.5"
    path = beir(tmp_path / "other", "query-id\tcorpus-id\tscore\n1\t007\t1\n1\t8\t0.5\n")
    assert refusal(path) == "hub:F qrels:2: a grade must be a whole number, not 0.5"


def test_rows_that_are_wrong_are_named_with_their_number(tmp_path):
    assert refusal(mteb(tmp_path / "twice", corpus=CORPUS * 2)) == (
        "hub:F corpus:3: document '007' is there twice"
    )
    assert refusal(mteb(tmp_path / "none", corpus=[*CORPUS, {"_id": "9", "title": "Nine"}])) == (
        "hub:F corpus:3: 'text' is null"
    )
    assert refusal(mteb(tmp_path / "train"), "train") == (
        "hub:F qrels:2: document '007' is judged for query '1' at hub:F qrels:1 too"
    )


def test_a_split_or_a_configuration_that_is_not_there_names_those_that_are(tmp_path):
    path = mteb(tmp_path / "scifact")
    assert refusal(path, "dev") == "hub:F: no split dev; there is train, test"
    (path / "README.md").unlink()
    assert refusal(path) == "hub:F: no configuration corpus or queries; there is default"


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    assert refusal(tmp_path / "none").startswith("hub:F: cannot be loaded: ")


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for source in ("owner/name-that-no-cache-has", "owner/name-that-no-cache-has@d56462d0"):
        with pytest.raises(InputError) as caught:
            load(f"hub:{source}")
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(
            "hub:owner/name-that-no-cache-has: cannot be loaded: Couldn't reach"
        )


def test_without_datasets_the_line_that_installs_it_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install .*\[eval\]'"):
        load("hub:mteb/scifact")
