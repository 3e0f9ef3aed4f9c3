"""Documents cut at so many of the model's own tokens, where a call asks for that.

The tokenizer is the engine's and serves one thread, so nothing is cut before a query has begun on
the thread that drives it.
"""

from rerank.cost import asking
from rerank.errors import UsageError
from rerank.library.ranking import Given
from rerank.methods import Method
from rerank.passages import Cut
from rerank.questions import Asking
from rerank.records import Doc


def refuse_limit(limit: int, cut: Cut | None) -> None:
    """Raise `UsageError` for a limit that cannot be kept."""
    if limit < 1:
        raise UsageError(f"max_tokens_per_doc is {limit}; it must be 1 or more")
    if cut is None:
        raise UsageError("max_tokens_per_doc wants the model's tokenizer, which is not here")


def shortened(given: Given, row: Method, limit: int, cut: Cut) -> Asking[list[Doc]]:
    """The method over the documents cut; `given` counts those that lost something."""
    docs = [_short(doc, limit, cut) for doc in given.docs]
    given.shortened.extend(
        doc.id for doc, whole in zip(docs, given.docs, strict=True) if doc != whole
    )
    return (yield from asking(row, docs))


def _short(doc: Doc, limit: int, cut: Cut) -> Doc:
    """A title counts, too. No token is shorter than a byte, so most texts need no tokenizer."""
    if len((doc.title + doc.text).encode("utf-8", "replace")) <= limit:
        return doc
    title, used, _ = cut(doc.title, limit)
    return Doc(doc.id, cut(doc.text, limit - used)[0], title)
