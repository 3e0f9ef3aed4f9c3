"""Collections in tab-separated files, as MS MARCO has them: T2Ranking, NovelEval.

A line of the corpus or of the queries is an id, a tab and a text, which may hold further tabs. A
line of the judgments is TREC's four columns, or two where whatever is listed is relevant. A first
line that names its columns (`pid text`) is passed over. A pair that is judged twice has the higher
of its grades: T2Ranking has such pairs, and which of the two was meant, nobody can know.
"""

from collections.abc import Iterator
from pathlib import Path

from rerank.datasets.collection import Dataset, Records, complete, docs, judgments, queries
from rerank.datasets.lines import Place, lines
from rerank.datasets.parts import fetched
from rerank.errors import InputError
from rerank.recipes.suites import Entry

NAMES = {"corpus": "collection.tsv", "queries": "queries.tsv", "qrels": "qrels.tsv"}
HEADER = {"id", "pid", "qid", "docid", "text", "query", "passage", "rel", "-", "query-id"}
TWO, FOUR = 2, 4


def read_tsv(entry: Entry) -> Dataset:
    """A folder, or a repository's folder, with three files; `files` may name them."""
    folder, named = entry.source.rstrip("/"), dict[str, str](**entry.files)
    paths = {part: fetched(f"{folder}/{named.get(part, NAMES[part])}") for part in NAMES}
    return complete(
        entry.source,
        qrels=judgments(_judged(paths["qrels"])),
        queries=queries(_texts(paths["queries"])),
        corpus=docs(_texts(paths["corpus"])),
    )


def _texts(path: Path) -> Records:
    for number, line in lines(path):
        name, tab, text = line.rstrip("\r").partition("\t")
        if not tab:
            raise InputError.at(path, number, "no tab; a line is an id, a tab and a text")
        if number > 1 or not _names([name, text]):
            yield Place(path, number), {"_id": name.strip(" "), "text": text}


def _judged(path: Path) -> Iterator[tuple[Place, str, str, int]]:
    found: dict[tuple[str, str], tuple[Place, int]] = {}
    for number, line in lines(path):
        at, columns = Place(path, number), line.split()
        if len(columns) not in (TWO, FOUR):
            raise at.error(f"{len(columns)} columns; judgments have 2 (query document) or 4 (TREC)")
        if number == 1 and _names(columns):
            continue
        pair = columns[0], columns[-2 if len(columns) == FOUR else 1]
        grade = _grade(columns[-1], at) if len(columns) == FOUR else 1
        if pair not in found or grade > found[pair][1]:
            found[pair] = at, grade
    for (query, doc), (at, grade) in found.items():
        yield at, query, doc, grade


def _names(columns: list[str]) -> bool:
    return all(column.strip().lower() in HEADER for column in columns)


def _grade(column: str, at: Place) -> int:
    try:
        return int(column)
    except ValueError:
        raise at.error(f"a grade must be a whole number, not {column!r}") from None
