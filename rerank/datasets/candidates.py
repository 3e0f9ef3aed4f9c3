"""Candidates: what a first stage found for each query, as JSONL or as a run with its corpus.

The JSONL is RankLLM's, so that its files serve here and ours serve there: a line for each query,
`{"query": {"qid", "text"}, "candidates": [{"docid", "score", "doc"}, ...]}`, best first.
Lists keep the order of the file; scores are kept beside it, and sort nothing.
"""

import gzip
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from rerank.datasets.collection import Dataset, identifier, query, required, text, title
from rerank.datasets.lines import Place, lines, parse, records, whole
from rerank.errors import InputError
from rerank.files import part_of
from rerank.records import Doc, Qrels, Query, Run

TEXTS = ("text", "segment", "contents", "content", "body", "passage")
"""Where RankLLM looks for a document's text, in its order (castorini/rank_llm 1b3cabb,
`inference_handler.py`): MS MARCO v1 has contents, v2 passage or segment, BEIR text."""


class Candidates(NamedTuple):
    """The candidates of each query, best first, and the scores that the first stage gave them."""

    queries: dict[str, Query]
    docs: dict[str, list[Doc]]
    scores: Run


def read_candidates(path: Path) -> Candidates:
    """Candidates from RankLLM's JSONL, or from the one JSON array that it also writes.

    A `doc` is a text or an object with a text under one of `TEXTS` and perhaps a `title`.
    Plain or gzip. A query or a document that comes twice is an error, and so is a missing text.
    """
    found = Candidates({}, {}, {})
    for at, row in _rows(path):
        asked = query(_object(row, "query", at), "qid", at)
        if asked.id in found.queries:
            raise at.error(f"query {asked.id!r} is there twice")
        found.queries[asked.id] = asked
        found.docs[asked.id], found.scores[asked.id] = _list(row, at)
    if not found.queries:
        raise InputError.at(path, None, "no queries in it")
    return found


def read_labels(path: Path) -> Qrels:
    """The whole-numbered `label` of each candidate that has one, by query; no other key counts."""
    found: Qrels = {}
    for at, row in _rows(path):
        name = query(_object(row, "query", at), "qid", at).id
        for number, item in enumerate(required(row, "candidates", at), 1):
            here = Place(f"{at}, candidate {number}")
            if (label := _checked(item, "a candidate", here).get("label")) is None:
                continue
            if isinstance(label, bool) or not isinstance(label, int):
                raise here.error(f"'label' must be a whole number, not {label!r}")
            doc = identifier(required(item, "docid", here), "docid", here)
            found.setdefault(name, {})[doc] = label
    return found


def write_candidates(path: Path, candidates: Candidates) -> None:
    """Write JSONL that `read_candidates` and RankLLM read; it is there whole or not at all.

    A name that ends in .gz is written as gzip.
    """
    part = part_of(path)
    packed = path.suffix == ".gz"
    with part.open("wb") as file, _packed(file) if packed else nullcontext(file) as out:
        for asked in candidates.queries.values():
            docs, scores = candidates.docs[asked.id], candidates.scores[asked.id]
            row = {
                "query": {"qid": asked.id, "text": asked.text},
                "candidates": [_item(doc, scores[doc.id]) for doc in docs],
            }
            out.write(f"{json.dumps(row, ensure_ascii=False)}\n".encode())
    part.replace(path)


def from_run(run: Run, dataset: Dataset, depth: int) -> dict[str, list[Doc]]:
    """The `depth` best candidates of each query; equal scores keep the order of the run.

    What is no candidate of a query is left out before the list is cut.
    """
    ranked = {
        asked: dataset.candidates(asked, sorted(scores, key=scores.__getitem__, reverse=True))
        for asked, scores in run.items()
    }
    ranked = {asked: docs[:depth] for asked, docs in ranked.items()}
    _check_known(ranked, dataset)
    return {asked: [dataset.corpus[doc] for doc in docs] for asked, docs in ranked.items()}


def _check_known(ranked: Mapping[str, list[str]], dataset: Dataset) -> None:
    if unknown := [asked for asked in ranked if asked not in dataset.queries]:
        raise InputError(
            f"{dataset.name}: {len(unknown)} of {len(ranked)} queries in the run are not in it; "
            f"the first is {unknown[0]!r}"
        )
    pairs = [(asked, doc) for asked, docs in ranked.items() for doc in docs]
    if lost := [(asked, doc) for asked, doc in pairs if doc not in dataset.corpus]:
        raise InputError(
            f"{dataset.name}: {len(lost)} of {len(pairs)} documents in the run have no text in it; "
            f"the first is {lost[0][1]!r} of query {lost[0][0]!r}"
        )


def _rows(path: Path) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """The objects of a JSONL file or of a JSON array, which its first character tells."""
    _, first = next(lines(path), (0, ""))
    if not first.lstrip().startswith("["):
        yield from records(path)
        return
    for number, row in enumerate(parse(path, None, whole(path)), 1):
        at = Place(f"{path}, query {number}")
        yield at, _checked(row, "a query", at)


def _list(row: Mapping[str, Any], at: Place) -> tuple[list[Doc], dict[str, float]]:
    if not isinstance(listed := required(row, "candidates", at), list):
        raise at.error("'candidates' must be a list")
    docs: list[Doc] = []
    scores: dict[str, float] = {}
    for number, item in enumerate(listed, 1):
        here = Place(f"{at}, candidate {number}")
        doc, score = _candidate(_checked(item, "a candidate", here), here)
        if doc.id in scores:
            raise here.error(f"document {doc.id!r} is there twice")
        docs.append(doc)
        scores[doc.id] = score
    return docs, scores


def _candidate(item: Mapping[str, Any], at: Place) -> tuple[Doc, float]:
    score = required(item, "score", at)
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise at.error(f"'score' must be a number, not {score!r}")
    if not abs(score) <= sys.float_info.max:
        raise at.error(f"'score' must be finite, not {score!r}")
    name = identifier(required(item, "docid", at), "docid", at)
    if isinstance(doc := required(item, "doc", at), str):
        return Doc(name, doc), float(score)
    key = _text_key(_checked(doc, "'doc'", at), at)
    return Doc(name, text(doc, key, at), title(doc, at)), float(score)


def _text_key(doc: Mapping[str, Any], at: Place) -> str:
    for key in TEXTS:
        if doc.get(key) is not None:
            return key
    has = ", ".join(map(repr, doc)) or "nothing"
    raise at.error(f"'doc' has no text under any of {', '.join(TEXTS)}; there is {has}")


def _object(row: Mapping[str, Any], key: str, at: Place) -> Mapping[str, Any]:
    return _checked(required(row, key, at), f"{key!r}", at)


def _checked(value: Any, what: str, at: Place) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise at.error(f"{what} must be an object, not {str(value)[:40]!r}")
    return value


def _item(doc: Doc, score: float) -> dict[str, Any]:
    words = {"title": doc.title, "text": doc.text} if doc.title else {"text": doc.text}
    return {"docid": doc.id, "score": score, "doc": words}


def _packed(file: BinaryIO) -> gzip.GzipFile:
    """Without name and time, so that the same candidates are the same bytes."""
    return gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
