"""What callers give becomes what a strategy sorts: a text under the place where it stood.

A document is a text, a mapping, or an object of a framework; none of them is touched. Equal texts
stay two documents, because a document is its place.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, TypeAlias

from rerank.errors import InputError
from rerank.records import Doc

Texts: TypeAlias = Callable[[Any], str]
"""How to read the text of a document that is neither a text nor has one."""

NAMES = ("text", "page_content", "content")
"""Where mappings and objects have their text."""


def query_of(query: Any) -> str:
    """The query, which must be a text."""
    if not isinstance(query, str):
        raise InputError(f"the query is {_kind(query)}; give a text")
    if not query.strip():
        raise InputError("the query is empty")
    return query


def asked_of(batch: Iterable[Any]) -> list[tuple[Any, Any]]:
    """Each query with its documents; what is no pair is named by its place."""
    asked = []
    for place, one in enumerate(batch):
        if isinstance(one, str | Mapping) or not isinstance(one, Sequence) or len(one) != 2:
            raise InputError(f"place {place} of the batch is {_kind(one)}; give (query, documents)")
        asked.append((one[0], one[1]))
    return asked


def listed(documents: Any) -> Sequence[Any]:
    """The documents as they were given; what can be read only once, or in any order, is refused."""
    if isinstance(documents, str):
        raise InputError("the documents are one text; give a list of them")
    loose = isinstance(documents, Iterator | Mapping | Set | bytes)
    if loose or not isinstance(documents, Iterable):
        raise InputError(f"the documents are {_kind(documents)}; give a list of them")
    return documents if isinstance(documents, Sequence) else list(documents)


def docs_of(documents: Sequence[Any], text: Texts | None = None) -> list[Doc]:
    """Each document under its index."""
    return [_doc(index, document, text) for index, document in enumerate(documents)]


def id_of(document: Any) -> str | None:
    """The id that a document has, if it has one."""
    found = _part(document, "id")
    return None if found is None or isinstance(document, str) else str(found)


def _doc(index: int, document: Any, text: Texts | None) -> Doc:
    found = text(document) if text else _text(document)
    if not isinstance(found, str):
        asked = "; its `text` gives no text" if text else ""
        wanted = "neither a text nor a mapping with a 'text'"
        raise InputError(f"document {index} is {wanted if not text else _kind(document)}{asked}")
    title = _part(document, "title") if isinstance(document, Mapping) else None
    return Doc(str(index), found, title if isinstance(title, str) else "")


def _text(document: Any) -> Any:
    if isinstance(document, str):
        return document
    parts = (_part(document, name) for name in NAMES)
    return next((part for part in parts if isinstance(part, str)), None)


def _part(document: Any, name: str) -> Any:
    if isinstance(document, Mapping):
        return document.get(name)
    return None if isinstance(document, str) else getattr(document, name, None)


def _kind(given: Any) -> str:
    return "None" if given is None else f"a {type(given).__name__}"
