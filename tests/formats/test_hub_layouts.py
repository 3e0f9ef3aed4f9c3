"""Collections in other layouts of the hub than BEIR's, each read from a small copy of its form."""

import json

import pytest
from entries import ranked, refusal

from rerank.datasets import from_run, load_entry
from rerank.errors import InputError, UsageError
from rerank.recipes.suites import Entry
from rerank.records import Doc


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def repository(path, tables):
    """A copy of a repository of the hub: rows by configuration and split."""
    lines = ["---", "configs:"]
    for config, splits in tables.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, rows in splits.items():
            lines += [f"  - split: {split}", f"    path: {config}/{split}.jsonl"]
            (path / config).mkdir(parents=True, exist_ok=True)
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (path / config / f"{split}.jsonl").write_text(text)
    (path / "README.md").write_text("\n".join([*lines, "---", ""]))
    return f"hub:{path}"


EXAMPLES = [
    {
        "id": "0",
        "query": "why do tides rise twice a day",
        "excluded_ids": ["self/0.txt"],
        "gold_ids": ["moon/1.txt", "moon/1.txt"],
        "gold_ids_long": ["moon.txt"],
    },
    {
        "id": "1",
        "query": "what bends a river",
        "excluded_ids": ["N/A"],
        "gold_ids": ["flow/2.txt"],
        "gold_ids_long": ["flow.txt"],
    },
]
DOCUMENTS = [
    {"id": "self/0.txt", "content": "why do tides rise twice a day? tides rise"},
    {"id": "moon/1.txt", "content": "the moon pulls the near side and leaves the far side: tides"},
    {"id": "flow/2.txt", "content": "a river takes more from the outer bank"},
    {"id": "none/3.txt", "content": ""},
]
LONG = [{"id": "moon.txt", "content": "tides, a page"}, {"id": "flow.txt", "content": "rivers"}]


def bright(path, examples=EXAMPLES, documents=DOCUMENTS):
    tables = {"examples": examples, "documents": documents, "long_documents": LONG}
    return repository(
        path, {name: {"earth": rows, "sea": rows[:1]} for name, rows in tables.items()}
    )


@pytest.mark.slow
def test_bright_leaves_out_what_is_excluded_before_it_cuts(tmp_path, own_cache):
    source = bright(tmp_path / "BRIGHT")
    dataset = load_entry(Entry(source=source, format="bright", subset="earth"))
    assert dataset.qrels == {"0": {"moon/1.txt": 1}, "1": {"flow/2.txt": 1}}
    assert dataset.corpus["none/3.txt"] == Doc("none/3.txt", "")
    run = {"0": {"self/0.txt": 3.0, "flow/2.txt": 2.0, "moon/1.txt": 1.0}}
    assert [doc.id for doc in from_run(run, dataset, 2)["0"]] == ["flow/2.txt", "moon/1.txt"]
    entry = f'source = "{source}", format = "bright", subset = "earth"'
    assert ranked(tmp_path, entry, "depth=1") == {"0": ["moon/1.txt"], "1": ["flow/2.txt"]}


@pytest.mark.slow
def test_candidates_of_a_file_that_are_excluded_are_left_out_too(tmp_path, own_cache):
    source = bright(tmp_path / "BRIGHT")
    listed = [
        {"docid": row["id"], "score": 9 - n, "doc": {"text": row["content"]}}
        for n, row in enumerate(DOCUMENTS)
    ]
    row = {"query": {"qid": "0", "text": "why do tides rise"}, "candidates": listed}
    (tmp_path / "found.jsonl").write_text(json.dumps(row))
    entry = f'source = "{source}", format = "bright", subset = "earth"'
    found = ranked(tmp_path, entry, "depth=2", f"first={tmp_path}/found.jsonl")
    assert found == {"0": ["moon/1.txt", "flow/2.txt"]}


@pytest.mark.slow
def test_bright_has_a_variant_with_whole_pages(tmp_path, own_cache):
    entry = Entry(source=bright(tmp_path / "B"), format="bright", subset="earth", split="long")
    dataset = load_entry(entry)
    assert [*dataset.corpus] == ["moon.txt", "flow.txt"]
    assert dataset.qrels == {"0": {"moon.txt": 1}, "1": {"flow.txt": 1}}


@pytest.mark.slow
def test_what_is_wrong_in_bright_is_named_with_its_row(tmp_path, own_cache):
    both = [EXAMPLES[1], {**EXAMPLES[0], "excluded_ids": ["moon/1.txt"]}]
    entry = Entry(source=bright(tmp_path / "both", both), format="bright", subset="earth")
    assert refusal(entry, tmp_path) == (
        "hub:F/both examples:2: document 'moon/1.txt' is both in 'gold_ids' and in 'excluded_ids'"
    )
    twice = Entry(source=bright(tmp_path / "t", documents=DOCUMENTS[:1] * 2), format="bright")
    assert refusal(twice, tmp_path) == ('hub:F/t: BRIGHT has subsets; name one: subset = "biology"')
    twice = twice.model_copy(update={"subset": "earth"})
    assert refusal(twice, tmp_path) == ("hub:F/t documents:2: document 'self/0.txt' is there twice")
    other = entry.model_copy(update={"subset": "air"})
    assert refusal(other, tmp_path).startswith("hub:F/both: no split air; there is earth, sea")


LISTS = [
    {"query": "sort a list", "positive": ["order a list"], "negative": ["join texts", "sleep"]},
    {"query": "no negatives", "positive": ["order a list"], "negative": []},
    {
        "query": "join two texts",
        "positive": ["join texts", "add texts"],
        "negative": ["sleep", "add texts"],
    },
]


@pytest.mark.slow
def test_lists_of_positive_and_negative_texts_become_pools(tmp_path, own_cache):
    source = repository(tmp_path / "lists", {"default": {"test": LISTS}})
    dataset = load_entry(Entry(source=source, format="reranking", name="lists"))
    texts = {name: doc.text for name, doc in dataset.corpus.items()}
    judged = {
        query: {texts[doc]: grade for doc, grade in grades.items()}
        for query, grades in dataset.qrels.items()
    }
    assert judged == {
        "q1": {"order a list": 1, "join texts": 0, "sleep": 0},
        "q3": {"join texts": 1, "add texts": 1, "sleep": 0},
    }
    assert [len(pool) for pool in dataset.pools.values()] == [3, 3]


@pytest.mark.slow
def test_a_pool_is_ranked_whole_and_its_stored_order_says_nothing(tmp_path, own_cache):
    """Without a shared word the documents stay in the order of a hash: no label leaks."""
    texts = [f"text number {n}" for n in range(20)]
    first = [{"query": "unheard", "positive": texts[:10], "negative": texts[10:]}]
    entry = 'source = "{}", format = "reranking"'
    source = repository(tmp_path / "first", {"default": {"test": first}})
    (one,) = ranked(tmp_path, entry.format(source)).values()
    last = [{"query": "unheard", "positive": texts[10:][::-1], "negative": texts[:10][::-1]}]
    source = repository(tmp_path / "last", {"default": {"test": last}})
    (other,) = ranked(tmp_path, entry.format(source)).values()
    assert one == other and len(one) == 20


@pytest.mark.slow
def test_candidates_that_are_given_are_ranked_by_other_first_stages_too(tmp_path, own_cache):
    source = repository(tmp_path / "lists", {"default": {"test": LISTS}})
    entry = f'source = "{source}", format = "reranking"'
    by_words = ranked(tmp_path, entry)
    changes = ("first=hybrid", "fusion.of=['bm25', 'bm25']")
    assert {q: {*docs} for q, docs in by_words.items()} == {
        q: {*docs} for q, docs in ranked(tmp_path, entry, *changes).items()
    }
    with pytest.raises(
        UsageError, match="gives the candidates of each query, and passages searches"
    ):
        ranked(tmp_path, entry, "passages.sentences=3")


@pytest.mark.slow
def test_a_list_that_is_none_is_named(tmp_path, own_cache):
    rows = [LISTS[0], {**LISTS[1], "positive": "order a list", "negative": "sleep"}]
    source = repository(tmp_path / "lists", {"default": {"dev": rows[1:]}})
    entry = Entry(source=source, format="reranking")
    assert refusal(entry, tmp_path) == ("hub:F/lists test:1: 'positive' must be a list of texts")


def judged_rows(rows):
    return [dict(zip(("query-id", "corpus-id", "score"), row, strict=False)) for row in rows]


CODE = {
    "corpus": {"corpus": [{"_id": f"c{n}", "title": "", "text": f"def f{n}():"} for n in "123"]},
    "queries": {
        "queries": [
            {"_id": "q1", "partition": "train", "text": "one"},
            {"_id": "q2", "partition": "test", "text": "two"},
        ]
    },
    "qrels": {"train": judged_rows([("q1", "c1", 1)]), "test": judged_rows([("q2", "c2", 1)])},
}


@pytest.mark.slow
def test_coir_keeps_a_language_in_configurations_of_its_own(tmp_path, own_cache):
    tables = {f"go-{part}": splits for part, splits in CODE.items()}
    tables["php-qrels"] = {"test": judged_rows([("q9", "c9", 1)])}
    source = repository(tmp_path / "code", tables)
    dataset = load_entry(Entry(source=source, subset="go"))
    assert dataset.qrels == {"q2": {"c2": 1}} and [*dataset.queries] == ["q1", "q2"]
    assert refusal(Entry(source=source, subset="php"), tmp_path).startswith(
        "hub:F/code: no configuration php-corpus or php-queries; there is "
    )


@pytest.mark.slow
def test_mteb_lists_the_only_candidates_of_a_query_as_top_ranked(tmp_path, own_cache):
    pools = {"top_ranked": {"test": [{"query-id": "q2", "corpus-ids": ["c3", "c2"]}]}}
    source = repository(tmp_path / "ranked", {**CODE, **pools})
    dataset = load_entry(Entry(source=source))
    assert {query: {*pool} for query, pool in dataset.pools.items()} == {"q2": {"c2", "c3"}}
    assert {query: {*docs} for query, docs in ranked(tmp_path, f'source = "{source}"').items()} == {
        "q2": {"c2", "c3"}
    }
    lost = {"top_ranked": {"test": [{"query-id": "q2", "corpus-ids": ["c7"]}]}}
    source = repository(tmp_path / "lost", {**CODE, **lost})
    with pytest.raises(InputError, match="document 'c7' is in a pool, and not in the corpus"):
        ranked(tmp_path, f'source = "{source}"')


@pytest.mark.slow
def test_judgments_without_grades_say_what_is_relevant(tmp_path, own_cache):
    """NanoBEIR: one split, called train, that has the test queries."""
    qrels = {"qrels": {"train": judged_rows([("q1", "c1"), ("q1", "c2")])}}
    dataset = load_entry(Entry(source=repository(tmp_path / "nano", CODE | qrels), split="train"))
    assert dataset.qrels == {"q1": {"c1": 1, "c2": 1}}


def loco(path):
    asked = [
        {"dataset": "qmsum", "qid": "q1", "query": "who left?", "answer_pids": ["p1", "p1", "p8"]},
        {"dataset": "other", "qid": "q1", "query": "who came?", "answer_pids": ["p1"]},
    ]
    texts = [
        {"dataset": "other", "pid": "p1", "passage": "nobody"},
        {"dataset": "qmsum", "pid": "p1", "passage": "a long meeting"},
        {"dataset": "qmsum", "pid": "p2", "passage": "a longer one"},
    ]
    source = repository(path / "asked", {"default": {"test": asked}})
    return Entry(
        source=source,
        corpus=repository(path / "texts", {"default": {"test": texts}}),
        format="loco",
        subset="qmsum",
    )


@pytest.mark.slow
def test_loco_has_queries_and_documents_of_a_subset_in_two_repositories(tmp_path, own_cache):
    entry = loco(tmp_path)
    dataset = load_entry(entry)
    assert [*dataset.corpus.values()] == [Doc("p1", "a long meeting"), Doc("p2", "a longer one")]
    assert dataset.qrels == {"q1": {"p1": 1, "p8": 1}}
    assert dataset.origin == f"{entry.source}, {entry.corpus}"
    assert refusal(entry.model_copy(update={"subset": "gone"}), tmp_path) == (
        "hub:F/asked: no subset 'gone'; there is other, qmsum"
    )
    assert refusal(entry.model_copy(update={"corpus": ""}), tmp_path) == (
        "hub:F/asked: format loco needs 'subset' and 'corpus'"
    )
