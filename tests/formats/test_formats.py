"""Collections in other layouts than BEIR's, each read from a small copy in the same format."""

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from small import beir

from rerank.datasets import from_run, load_entry, parts
from rerank.datasets.hub import Repository
from rerank.errors import InputError, UsageError
from rerank.recipes import read_recipe
from rerank.recipes.suites import Entry
from rerank.records import Doc
from rerank.tasks import load_tasks, suite_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"


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


def refusal(entry: Entry, path) -> str:
    with pytest.raises(InputError) as caught:
        load_entry(entry)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), "F")


def ranked(tmp_path, entry: str, *changes: str):
    """The candidates of each query, as a recipe over a suite with one entry finds them."""
    (tmp_path / "suite.toml").write_text(f"datasets = [{{ {entry} }}]")
    path = tmp_path / "recipe.toml"
    path.write_text(f'method = "first-stage"\nsuite = "{tmp_path}/suite.toml"')
    recipe = read_recipe(path, changes)
    (task,) = load_tasks(recipe, suite_of(recipe))
    return {query.id: [doc.id for doc in docs] for query, docs in task.candidates.items()}


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


COLLECTION = "pid\ttext\n1\t大学在城里\n2\tone\ttab more\n03\t\n"
ASKED = "qid\ttext\n7\t大学在哪里\n8\tnobody judged\n"
GRADES = "qid\t-\tpid\trel\n7\t-\t1\t2\n7\t-\t2\t0\n7\t-\t1\t3\n"


def tsv(path, corpus=COLLECTION, queries=ASKED, qrels=GRADES, **keys):
    path.mkdir(parents=True, exist_ok=True)
    parts = {"collection.tsv": corpus, "queries.tsv": queries, "qrels.tsv": qrels}
    for name, text in parts.items():
        (path / name).write_bytes(text.encode())
    return Entry(source=str(path), format="tsv", **keys)


def test_files_with_tabs_have_texts_behind_the_first(tmp_path):
    dataset = load_entry(tsv(tmp_path / "t2"))
    assert [*dataset.corpus.values()] == [
        Doc("1", "大学在城里"),
        Doc("2", "one\ttab more"),
        Doc("03", ""),
    ]
    assert dataset.queries.keys() == {"7", "8"}


def test_a_pair_that_is_judged_twice_has_the_higher_grade(tmp_path):
    assert load_entry(tsv(tmp_path / "t2")).qrels == {"7": {"1": 3, "2": 0}}


def test_two_columns_of_judgments_say_what_is_relevant(tmp_path):
    for text in ("qid\tpid\n7\t1\n7\t03\n", "7\t1\r\n7\t03\r\n"):
        assert load_entry(tsv(tmp_path, qrels=text)).qrels == {"7": {"1": 1, "03": 1}}


def test_files_without_a_header_lose_no_line(tmp_path):
    bare = tsv(tmp_path, "a\tfirst\nb\tsecond\n", "q\twhat text\n", "q Q0 a 1\n")
    dataset = load_entry(bare)
    assert [*dataset.corpus] == ["a", "b"] and dataset.qrels == {"q": {"a": 1}}


def test_files_may_go_by_other_names(tmp_path):
    entry = tsv(tmp_path, files={"qrels": "data/qrels.dev.tsv"})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "qrels.dev.tsv").write_text("8\t2\n")
    assert load_entry(entry).qrels == {"8": {"2": 1}}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"corpus": "1\ta\n2 b\n"}, "F/collection.tsv:2: no tab; a line is an id, a tab and"),
        ({"corpus": "1\ta\n1\tb\n"}, "F/collection.tsv:2: document '1' is there twice"),
        ({"queries": "7\t \n"}, "F/queries.tsv:1: 'text' is empty; a query needs words"),
        ({"qrels": "7 0 1\n"}, "F/qrels.tsv:1: 3 columns; judgments have 2 (query document)"),
        ({"qrels": "7 0 1 x\n"}, "F/qrels.tsv:1: a grade must be a whole number, not 'x'"),
        ({"qrels": "9\t1\n"}, "F: 1 of 1 judged queries have no text; the first is '9'"),
    ],
)
def test_what_is_wrong_in_a_file_with_tabs_is_named_with_its_line(tmp_path, parts, message):
    assert refusal(tsv(tmp_path, **parts), tmp_path).startswith(message)


def test_a_file_that_is_not_there_is_named(tmp_path):
    entry = tsv(tmp_path, files={"corpus": "gone.tsv"})
    assert refusal(entry, tmp_path) == "F/gone.tsv: no such file"


def test_the_judged_documents_may_be_the_only_candidates(tmp_path):
    beir(tmp_path / "data")
    lines = "query-id\tcorpus-id\tscore\nq0\td3\t0\nq0\td1\t1\n"
    (tmp_path / "data" / "qrels" / "test.tsv").write_text(lines)
    found = ranked(tmp_path, f'source = "{tmp_path}/data", judged_only = true')
    assert {*found["q0"]} == {"d1", "d3"}


def test_a_document_with_the_id_of_the_query_is_no_candidate(tmp_path):
    beir(tmp_path / "data")
    for name in ("queries.jsonl", "qrels/test.tsv"):
        path = tmp_path / "data" / name
        path.write_text(path.read_text().replace("q1", "d1"))
    where = f'source = "{tmp_path}/data"'
    assert "d1" in ranked(tmp_path, where)["d1"]
    found = ranked(tmp_path, f"{where}, exclude_query = true")
    assert "d1" not in found["d1"] and len(found["d1"]) == 11 and len(found["q0"]) == 12
    assert len(ranked(tmp_path, f"{where}, exclude_query = true", "depth=11")["d1"]) == 11


def test_excluded_documents_may_be_listed_in_a_file(tmp_path):
    beir(tmp_path / "data")
    (tmp_path / "out.tsv").write_text("q0\td3\t1\nq0\td5\n")
    entry = Entry(source=str(tmp_path / "data"), excluded=str(tmp_path / "out.tsv"))
    dataset = load_entry(entry)
    assert dataset.qrels["q0"].keys().isdisjoint({"d3", "d5"}) and "d3" in dataset.qrels["q1"]
    found = ranked(tmp_path, f'source = "{tmp_path}/data", excluded = "{tmp_path}/out.tsv"')
    assert {*found["q0"]}.isdisjoint({"d3", "d5"}) and len(found["q0"]) == 10
    (tmp_path / "out.tsv").write_text("q0 d3\nq0\n")
    assert refusal(entry, tmp_path) == (
        "F/out.tsv:2: needs two columns: a query id and a document id"
    )


def test_judgments_may_lie_elsewhere(tmp_path):
    beir(tmp_path / "data")
    (tmp_path / "mended.txt").write_text("q0 0 d3 3\n")
    entry = Entry(source=str(tmp_path / "data"), qrels=str(tmp_path / "mended.txt"))
    assert load_entry(entry).qrels == {"q0": {"d3": 3}}


@pytest.fixture
def github(tmp_path, monkeypatch):
    """A server of files that stands where GitHub's is; gives its folder and what it was asked."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            asked.append(self.path)

    folder = tmp_path / "github"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(parts, "GITHUB", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path / "cache"))
    yield folder, asked
    server.shutdown()
    server.server_close()


def test_a_file_of_github_is_fetched_once_and_kept_under_its_commit(tmp_path, github):
    folder, asked = github
    tsv(folder / "owner" / "name" / COMMIT / "set")
    entry = Entry(source=f"github:owner/name@{COMMIT}/set", format="tsv")
    assert load_entry(entry) == load_entry(entry)
    assert len(asked) == 3
    kept = tmp_path / "cache" / "github" / "owner" / "name" / COMMIT / "set"
    assert sorted(path.name for path in kept.iterdir()) == [
        "collection.tsv",
        "qrels.tsv",
        "queries.tsv",
    ]


def test_a_file_that_github_has_not_is_one_line(tmp_path, github):
    entry = Entry(source=f"github:owner/name@{COMMIT}/set", format="tsv")
    assert refusal(entry, tmp_path) == (
        f"github:owner/name@{COMMIT}/set/collection.tsv: cannot be loaded: File not found"
    )
    with pytest.raises(InputError, match="names no file; write github:owner/name@revision/path"):
        parts.fetched(f"github:owner/name@{COMMIT}")


@pytest.mark.slow
def test_a_file_of_the_hub_that_cannot_be_had_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    source = f"hub:owner/name-that-no-cache-has@{COMMIT}"
    found = refusal(Entry(source=source, format="tsv"), tmp_path)
    assert found.startswith("hub:owner/name-that-no-cache-has/collection.tsv: cannot be loaded: ")


def test_a_format_of_the_hub_is_not_read_from_a_folder(tmp_path):
    for name in ("bright", "reranking"):
        entry = Entry(source=str(tmp_path), format=name, subset="x")
        assert refusal(entry, tmp_path) == ("F: this format is read from hub:owner/name@revision")


@pytest.mark.slow
def test_the_commit_that_was_read_is_what_the_cache_has_it_under(tmp_path):
    import datasets

    folder = tmp_path / "owner___name" / "default" / "0.0.0" / COMMIT
    datasets.Dataset.from_list([{"a": 1}]).save_to_disk(folder)
    table = datasets.load_from_disk(folder)
    assert Repository("owner/name").origin(table) == f"hub:owner/name@{COMMIT}"
    assert Repository("owner/name", "main").origin(table) == f"hub:owner/name@{COMMIT}"
    table = datasets.Dataset.from_list([{"a": 1}])
    assert Repository("owner/name").origin(table) == "hub:owner/name"
