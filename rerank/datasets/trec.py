"""Runs and judgments in columns, as trec_eval reads them; columns stand apart by white space.

What a file is, its first line says, and every other line must agree. Ranks are not read:
trec_eval sorts by score, and so do we.
"""

import math
import re
import zlib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from rerank.datasets.collection import judgments
from rerank.datasets.lines import Place, blocks, lines
from rerank.errors import InputError
from rerank.records import Qrels, Run

HEADER = (
    {"query-id", "query_id", "qid", "query", "topic"},
    {"corpus-id", "corpus_id", "docid", "doc_id", "pid", "document", "doc"},
    {"score", "relevance", "rel", "grade", "label"},
)
"""How files spell the three columns of their header, in any case."""
BEIR = ("query-id", "corpus-id", "score")
TREC = ("query", "iteration", "document", "grade")
RUN = ("query", "Q0", "document", "rank", "score", "tag")

END = "\0"  # stands for the end of a line among columns
GRADE = re.compile(r"-?[0-9]{1,9}")


def read_run(path: Path) -> Run:
    """A TREC run, plain or gzip; queries and documents keep the order of the file."""
    if (run := _in_blocks(path)) is None:
        run = _line_by_line(path)
    if not run:
        raise InputError.at(path, None, f"empty; {_form('a run', RUN)}")
    return run


def _in_blocks(path: Path) -> Run | None:
    """Read a run in a fifth of the time; None where a line is wrong, which this cannot name."""
    run: Run = {}
    try:
        return run if all(_add(run, block) for block in blocks(path)) else None
    except (ValueError, OSError, EOFError, zlib.error):
        return None


def _add(run: Run, block: str) -> bool:
    """Add whole lines to a run; false where one of them is not as it should be."""
    columns = block.replace("\n", f" {END} ").split()
    width, length = len(RUN) + 1, block.count("\n")
    ends = columns[len(RUN) :: width]
    if END in block or len(columns) != length * width or ends.count(END) != length:
        return False
    docs, said = columns[2::width], columns[4::width]
    if not _plain("".join(said)):
        return False
    scores = list(map(float, said))
    start = 0
    for query, same in groupby(columns[::width]):
        end = start + len(list(same))
        found = run.setdefault(query, {})
        expected = len(found) + end - start
        found.update(zip(docs[start:end], scores[start:end], strict=True))
        if len(found) != expected:
            return False
        start = end
    return math.isfinite(sum(scores))  # which no sum with NaN or an infinity is


def _line_by_line(path: Path) -> Run:
    run: Run = {}
    for number, line in lines(path):
        if len(columns := line.split()) != len(RUN):
            raise InputError.at(path, number, f"{len(columns)} columns; {_form('a run', RUN)}")
        query, _, doc, _, score, _ = columns
        docs = run.setdefault(query, {})
        if doc in docs:
            what = f"document {doc!r} is there twice for query {query!r}"
            raise InputError.at(path, number, what)
        docs[doc] = _score(score, path, number)
    return run


def read_qrels(path: Path) -> Qrels:
    """Judgments in three columns (BEIR, with or without its header) or four (TREC).

    Grades are whole numbers; TREC's negative ones stay as they are.
    """
    if not (qrels := judgments(_judged(path))):
        raise InputError.at(path, None, f"no judgments in it; {_forms()}")
    return qrels


def _judged(path: Path) -> Iterator[tuple[Place, str, str, int]]:
    width = 0
    for number, line in lines(path):
        at, columns = Place(path, number), _columns(line)
        if len(columns) != (width or len(columns)):
            raise at.error(f"{len(columns)} columns in a file that began with {width}; {_forms()}")
        if len(columns) not in (len(BEIR), len(TREC)):
            raise at.error(f"{len(columns)} columns; {_forms()}")
        if width or not _is_header(columns, at):
            yield at, columns[0], columns[-2], _grade(columns[-1], at)
        width = len(columns)


def _columns(line: str) -> list[str]:
    """By tabs where there are three, so that white space in a BEIR id is seen, else by any."""
    tabbed = [column.strip(" \r") for column in line.split("\t")]
    return tabbed if len(tabbed) == len(BEIR) else line.split()


def _is_header(columns: list[str], at: Place) -> bool:
    """Names, as no record has them: three without a digit. Other names are an error."""
    if len(columns) != len(BEIR) or any(map(str.isdigit, "".join(columns))):
        return False
    if not all(name.lower() in known for name, known in zip(columns, HEADER, strict=True)):
        raise at.error(f"neither a judgment nor a header {' '.join(BEIR)}: {' '.join(columns)}")
    return True


def _grade(column: str, at: Place) -> int:
    if not GRADE.fullmatch(column):
        raise at.error(f"a grade must be a whole number, not {column!r}")
    return int(column)


def _plain(scores: str) -> bool:
    """Whether `float` reads no more into this than others do: 1_0, or digits of other scripts."""
    return scores.isascii() and "_" not in scores


def _score(column: str, path: Path, number: int) -> float:
    try:
        score = float(column if _plain(column) else "")
    except ValueError:
        raise InputError.at(path, number, f"a score must be a number, not {column!r}") from None
    if not math.isfinite(score):
        raise InputError.at(path, number, f"a score must be finite, not {column!r}")
    return score


def _form(what: str, columns: tuple[str, ...]) -> str:
    return f"{what} has {len(columns)}: {' '.join(columns)}"


def _forms() -> str:
    return f"{_form('a BEIR tsv', BEIR)}; {_form('TREC qrels', TREC)}"
