r"""Text files, line by line. A line ends at "\n" and nowhere else.

Texts hold U+2028, U+0085, form feeds and lone carriage returns: whatever ends a line at
those (`str.splitlines`, universal newlines) tears records apart. A carriage return before
"\n" stays too, since JSON and columns alike take it for white space. Files are UTF-8, plain
or gzip, which their first bytes tell and not their names. What a line means, others know.
"""

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

from rerank.errors import InputError

GZIP = b"\x1f\x8b"
BLOCK = 1 << 15  # bytes; larger ones are slower, their columns leave the cache


class Place(NamedTuple):
    """A line of a file or a row of a table: what an error has to name."""

    file: Path | str
    line: int | None = None

    def error(self, what: str) -> InputError:
        return InputError.at(self.file, self.line, what)

    def __str__(self) -> str:
        return str(self.file) if self.line is None else f"{self.file}:{self.line}"


def lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Each line that is not blank, without its "\n", and its number from 1."""
    return ((number, line) for number, line in _every_line(path) if line and not line.isspace())


def blocks(path: Path) -> Iterator[str]:
    r"""The text in blocks of whole lines that end in "\n", for who reads many at once.

    What cannot be read is raised as it is found, ValueError, OSError, EOFError or zlib.error;
    `lines` names the line.
    """
    with _opened(path) as file:
        head = file.read(BLOCK).removeprefix(codecs.BOM_UTF8)
        while block := head + file.readline():
            yield (block if block.endswith(b"\n") else block + b"\n").decode()
            head = file.read(BLOCK)


def whole(path: Path) -> str:
    """The text of a small file, read as `lines` reads it."""
    return "\n".join(line for _, line in _every_line(path))


def records(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Each JSON object of a JSONL file, and where it stands."""
    for number, line in lines(path):
        value = parse(path, number, line)
        if not isinstance(value, dict):
            raise InputError.at(path, number, f"needs a JSON object, not {line[:40]!r}")
        yield Place(path, number), value


def parse(path: Path, number: int | None, text: str) -> Any:
    """The JSON value of line `number` of a file, or of all its text where that is None."""
    try:
        value = JSON.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as wrong:
        what = f"not JSON at column {wrong.colno}: {wrong.msg}"
        raise InputError.at(path, number or wrong.lineno, what) from None
    except UnicodeEncodeError:
        what = r"half of a surrogate pair (\ud800 to \udfff alone), which is no character"
        raise InputError.at(path, number, what) from None
    except (ValueError, RecursionError) as wrong:  # 4300 digits; brackets 1000 deep
        raise InputError.at(path, number, f"not JSON that can be read: {wrong}") from None
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, if each of its keys is there once; `json` would keep the last of two."""
    if len(found := dict(pairs)) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} is there twice in one object")
    return found


JSON = json.JSONDecoder(object_pairs_hook=_once)


def _every_line(path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    with _opened(path) as file:
        try:
            for number, raw in enumerate(file, 1):
                yield number, decoded(raw, path, number)
        except (EOFError, gzip.BadGzipFile, zlib.error) as wrong:
            what = f"the gzip file is cut off or damaged from here on ({wrong})"
            raise InputError.at(path, number + 1, what) from None


@contextmanager
def _opened(path: Path) -> Iterator[gzip.GzipFile | BufferedReader]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise InputError.at(path, None, "no such file") from None
    except OSError as wrong:
        raise InputError.at(path, None, f"cannot be read: {wrong.strerror}") from None
    with file:
        yield gzip.GzipFile(fileobj=file) if file.peek(2).startswith(GZIP) else file


def decoded(raw: bytes, path: Path | str, number: int) -> str:
    """Line `number` of a file as text, without its end; bytes that are no UTF-8 are named."""
    if number == 1:
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.removesuffix(b"\n").decode()
    except UnicodeDecodeError as wrong:
        what = f"not UTF-8: byte 0x{raw[wrong.start]:02x} at byte {wrong.start + 1} of the line"
        raise InputError.at(path, number, what) from None
