"""A file that lies elsewhere is fetched once and kept under its commit, or one line says why."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from entries import refusal, tsv

from rerank.datasets import load_entry, parts
from rerank.datasets.hub import Repository
from rerank.errors import InputError
from rerank.recipes.suites import Entry

COMMIT = "0123456789abcdef0123456789abcdef01234567"


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
