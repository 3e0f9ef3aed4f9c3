"""Entries of suites: what one ranks, how one is refused, and one whose files have tabs."""

import pytest

from rerank.datasets import load_entry
from rerank.errors import InputError
from rerank.recipes import read_recipe
from rerank.recipes.suites import Entry
from rerank.tasks import load_tasks, suite_of


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


COLLECTION = "pid\ttext\n1\t大学在城里\n2\tone\ttab more\n03\t\n"
ASKED = "qid\ttext\n7\t大学在哪里\n8\tnobody judged\n"
GRADES = "qid\t-\tpid\trel\n7\t-\t1\t2\n7\t-\t2\t0\n7\t-\t1\t3\n"


def tsv(path, corpus=COLLECTION, queries=ASKED, qrels=GRADES, **keys):
    path.mkdir(parents=True, exist_ok=True)
    parts = {"collection.tsv": corpus, "queries.tsv": queries, "qrels.tsv": qrels}
    for name, text in parts.items():
        (path / name).write_bytes(text.encode())
    return Entry(source=str(path), format="tsv", **keys)
