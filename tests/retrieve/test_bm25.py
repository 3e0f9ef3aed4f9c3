import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from shared import collection

from rerank.errors import InputError, UsageError
from rerank.records import Doc, Query
from rerank.retrieve import BM25, analysis
from rerank.retrieve.bm25 import kept

FOXES = [
    Doc("red", "The red fox's den"),
    Doc("none", "of the and"),
    Doc("fox", "fox fox fox", "Foxes"),
    Doc("long", "snow " * 90 + "fox " * 10),
    Doc("twin", "the red foxes den"),
]


def ranking(corpus: Sequence[Doc], text: str, cache: Path, depth: int = 10) -> list[str]:
    return list(BM25.of(corpus, cache=cache).search([Query("q", text)], depth)["q"])


def forbid_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> list[str]:
        raise AssertionError(f"analysed again: {text}")

    monkeypatch.setattr(analysis, "analyse", fail)


# Scores: Lucene 9.9.1's IndexSearcher over these documents, k1 = 0.9, b = 0.4.
@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("red fox", {"red": 0.5056174, "twin": 0.5056174, "fox": 0.09177019, "long": 0.08931334}),
        (
            "fox fox den",
            {"red": 0.5723319, "twin": 0.5723319, "fox": 0.18354037, "long": 0.17862669},
        ),
        ("snow", {"long": 1.1804076}),
    ],
)
def test_scores_are_lucenes_to_the_last_bit(
    text: str, scores: dict[str, float], tmp_path: Path
) -> None:
    run = BM25.of(FOXES, cache=tmp_path).search([Query("q", text)], depth=10)
    assert list(run["q"]) == list(scores)
    assert {doc: np.float32(score) for doc, score in run["q"].items()} == {
        doc: np.float32(score) for doc, score in scores.items()
    }


# SmallFloat.byte4ToInt(SmallFloat.intToByte4(n)) of Lucene 9.9.1.
def test_lengths_lose_what_lucenes_byte_loses() -> None:
    lengths = [0, 1, 24, 40, 41, 42, 43, 58, 60, 100, 215, 1000, 5000, 123456, 2**31 - 1]
    left = [0, 1, 24, 40, 40, 42, 42, 56, 60, 96, 200, 984, 4632, 122904, 2013265944]
    assert kept(np.array(lengths)).tolist() == left


def test_equal_scores_keep_the_order_of_the_corpus_at_every_depth(tmp_path: Path) -> None:
    corpus = [Doc(f"d{n}", "same words") for n in range(9)]
    for depth in range(1, 12):
        expected = [f"d{n}" for n in range(min(depth, 9))]
        assert ranking(corpus, "words", tmp_path, depth) == expected


def test_documents_without_a_term_of_the_query_are_never_returned(tmp_path: Path) -> None:
    assert ranking(FOXES, "snow zebra", tmp_path) == ["long"]


@pytest.mark.parametrize("text", ["", "of the and", "zebra", "?!"])
def test_a_query_without_a_known_term_has_an_empty_ranking(text: str, tmp_path: Path) -> None:
    assert BM25.of(FOXES, cache=tmp_path).search([Query("q", text)], 10) == {"q": {}}


def test_the_title_is_searched_too(tmp_path: Path) -> None:
    assert ranking([Doc("a", "text", "zebra"), Doc("b", "text")], "zebras", tmp_path) == ["a"]


def test_a_second_index_of_the_same_corpus_is_loaded_and_ranks_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = [Query("1", "red fox"), Query("2", "snow")]
    first = BM25.of(FOXES, cache=tmp_path).search(queries, 3)
    with monkeypatch.context() as patch:
        forbid_analysis(patch)
        second = BM25.of((doc for doc in FOXES), cache=tmp_path)
    assert second.search(queries, 3) == first


def test_it_is_kept_in_the_users_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path))
    BM25.of(FOXES)
    (folder,) = (tmp_path / "bm25").iterdir()
    assert (folder / "vocab.index.json").is_file()


def test_whatever_changes_the_scores_makes_another_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    BM25.of(FOXES, cache=tmp_path)
    BM25.of(FOXES[::-1], cache=tmp_path)
    BM25.of([*FOXES[:-1], Doc("twin", "another text")], cache=tmp_path)
    BM25.of([*FOXES[:-1], Doc("other", "the red foxes den")], cache=tmp_path)
    BM25.of(FOXES, k1=1.2, cache=tmp_path)
    BM25.of(FOXES, b=0.75, cache=tmp_path)
    monkeypatch.setattr(analysis, "fingerprint", lambda: "another")
    BM25.of(FOXES, cache=tmp_path)
    assert len(list((tmp_path / "bm25").iterdir())) == 7


def test_a_kept_index_with_a_torn_changed_or_missing_file_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ranking(FOXES, "red fox", tmp_path)
    (folder,) = (tmp_path / "bm25").iterdir()
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        for damaged in (content[: len(content) // 2], content[:-1] + b"\xff", b"", None):
            path.unlink() if damaged is None else path.write_bytes(damaged)
            assert ranking(FOXES, "red fox", tmp_path) == whole, path.name
            assert path.read_bytes() == content
    assert list((tmp_path / "bm25").iterdir()) == [folder]
    forbid_analysis(monkeypatch)
    BM25.of(FOXES, cache=tmp_path)


def test_many_at_once_may_make_the_same_index(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        rankings = list(pool.map(lambda _: ranking(FOXES, "red fox", tmp_path), range(16)))
    assert rankings == [["red", "twin", "fox", "long"]] * 16
    assert len(list((tmp_path / "bm25").iterdir())) == 1


def test_the_faster_of_two_processes_wins_and_the_slower_uses_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def overtaken(self: Path, target: Path) -> Path:
        if self.name == "new":
            monkeypatch.setattr(Path, "rename", rename)
            BM25.of(FOXES, cache=tmp_path)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    assert ranking(FOXES, "snow", tmp_path) == ["long"]
    assert len(list((tmp_path / "bm25").iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_named_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "bm25").write_text("a file in the way")
    with pytest.raises(UsageError, match="set RERANK_CACHE") as error:
        BM25.of(FOXES, cache=tmp_path)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ([], "empty"),
        ([Doc("a", "one"), Doc("b", "two"), Doc("a", "one")], "'a' is twice"),
        ([Doc("a", "of the"), Doc("b", "")], "no document of the corpus has a word"),
    ],
)
def test_a_corpus_that_cannot_be_indexed_is_an_input_error(
    corpus: list[Doc], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        BM25.of(corpus, cache=tmp_path)


@pytest.mark.parametrize(("k1", "b"), [(-0.1, 0.4), (float("nan"), 0.4), (0.9, 1.1), (0.9, -1)])
def test_k1_and_b_out_of_range_are_usage_errors(k1: float, b: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="k1 is"):
        BM25.of(FOXES, k1=k1, b=b, cache=tmp_path)


def test_a_pool_is_ranked_whole_with_what_shares_no_term_last(tmp_path: Path) -> None:
    index = BM25.of(FOXES, cache=tmp_path)
    names = [doc.id for doc in FOXES]
    found = index.search([Query("q", "snow fox")], len(FOXES))["q"]
    rest = [name for name in names if name not in found]
    listed = [*rest, *reversed([*found])]
    pool = index.rank([Query("q", "snow fox")], {"q": listed})["q"]
    assert [*pool] == sorted(listed, key=lambda name: -found.get(name, 0))
    assert {name: np.float32(pool[name]) for name in found} == pytest.approx(found)
    assert [*index.rank([Query("q", "the")], {"q": names[::-1]})["q"]] == names[::-1]
    with pytest.raises(InputError, match="document 'x' is in a pool, and not in the corpus"):
        index.rank([Query("q", "fox")], {"q": ["x"]})


def test_a_depth_below_one_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="depth is 0"):
        ranking(FOXES, "fox", tmp_path, depth=0)


@pytest.mark.filterwarnings("error")
def test_without_k1_a_score_is_the_idf(tmp_path: Path) -> None:
    run = BM25.of(FOXES, k1=0, cache=tmp_path).search([Query("q", "snow")], 10)
    assert run["q"]["long"] == pytest.approx(np.log(1 + 3.5 / 1.5))


def test_a_lone_surrogate_in_a_text_is_indexed_around(tmp_path: Path) -> None:
    assert ranking([Doc("a", "fox \ud800 den")], "den", tmp_path) == ["a"]


@pytest.mark.slow
def test_scifact_has_the_published_figures_of_anserini(tmp_path: Path) -> None:
    folder = collection("scifact")
    docs, queries = (
        [json.loads(line) for line in (folder / name).open(encoding="utf-8")]
        for name in ("corpus.jsonl", "queries.jsonl")
    )
    index = BM25.of([Doc(d["_id"], d["text"], d["title"]) for d in docs], cache=tmp_path)
    run = index.search([Query(q["_id"], q["text"]) for q in queries], depth=1000)
    qrels: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, doc, grade = line.split("\t")
        qrels.setdefault(query, {})[doc] = int(grade)
    scores = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.100"}).evaluate(run)
    mean = {m: np.mean([scores[q][m] for q in qrels]) for m in ("ndcg_cut_10", "recall_100")}
    assert mean == pytest.approx({"ndcg_cut_10": 0.6789, "recall_100": 0.9253}, abs=0.00005)


def test_an_index_does_not_wake_jax_which_would_take_a_gpus_memory(tmp_path: Path) -> None:
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text("raise RuntimeError('jax was imported')")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from pathlib import Path\n"
        "from rerank.records import Doc\n"
        "from rerank.retrieve import BM25\n"
        f"BM25.of([Doc('1', 'a red fox'), Doc('2', 'snow')], cache=Path({str(tmp_path)!r}))\n"
        "assert 'bm25s' in sys.modules and 'jax' not in sys.modules\n"
        "try:\n    import jax\nexcept RuntimeError as told:\n    print(told)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout == "jax was imported\n", said.stderr
