"""What clients ask, as each dialect spells it; the OpenAPI document is made from these.

Keys that mean nothing are let through and named; a wrong type is refused, and what is said twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import pydantic
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from rerank.checking import first_mistake
from rerank.server.limits import Refused

TEXT_KEYS = ("text", "content", "page_content")
TOP_N = Field(0, ge=0, description="How many come back; 0 is all.")


class Wire(BaseModel):
    """What every request may say."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(None, description="For the client's own records: one model serves.")
    instruction: str = Field(
        "",
        validation_alias=AliasChoices("instruction", "instruct"),
        description="Instead of the prompt's own, where it has one. Also as instruct.",
    )
    max_tokens_per_doc: int = Field(
        0, ge=0, description="How many tokens of a document the model may read; 0 is all it takes."
    )


class RerankRequest(Wire):
    """Cohere v1 and v2, Jina, vLLM."""

    query: str = Field(min_length=1)
    documents: list[str | dict[str, Any]] | str = Field(
        description='Texts, or objects with a "text" or with the `rank_fields`.'
    )
    top_n: int = TOP_N
    return_documents: bool = False
    rank_fields: list[str] | None = Field(None, description="What is read of an object.")


class VoyageRequest(RerankRequest):
    """Voyage."""

    top_k: int = TOP_N
    truncation: bool = Field(
        True, description="Texts are cut to what the model takes; false refuses what is longer."
    )


class TEIRequest(Wire):
    """Text Embeddings Inference."""

    query: str = Field(min_length=1)
    texts: list[str]
    top_n: int = TOP_N
    raw_scores: bool = Field(False, description="The model's own numbers, not in 0 to 1.")
    return_text: bool = False
    truncate: bool = Field(
        True, description="Texts are cut to what the model takes; false refuses what is longer."
    )
    truncation_direction: Literal["right", "Right"] = Field(
        "right", description="A text is cut at its end."
    )


class NIMRequest(Wire):
    """NVIDIA NIM."""

    query: str | dict[str, Any]
    passages: list[str | dict[str, Any]]
    top_n: int = TOP_N


class ScoreRequest(Wire):
    """vLLM's scores: one query with many documents, or as many queries as documents."""

    queries: list[str] | str = Field(
        validation_alias=AliasChoices("queries", "text_1", "data_1"),
        description="Also as text_1 or data_1.",
    )
    documents: list[str] | str = Field(
        validation_alias=AliasChoices("documents", "items", "text_2", "data_2"),
        description="Also as items, text_2 or data_2.",
    )

    def pairs(self) -> list[tuple[str, str]]:
        """Each query with its document."""
        queries = [self.queries] if isinstance(self.queries, str) else self.queries
        documents = [self.documents] if isinstance(self.documents, str) else self.documents
        if len(queries) == 1:
            queries = queries * len(documents)
        if len(queries) != len(documents):
            raise Refused(400, "give one query, or as many as there are documents")
        return list(zip(queries, documents, strict=True))


def read(kind: type[Wire], body: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """A body as a request, and the keys in it that mean nothing here."""
    for field in kind.model_fields.values():
        if isinstance(field.validation_alias, AliasChoices):
            refuse_several(body, map(str, field.validation_alias.choices))
    try:
        asked = kind.model_validate(body)
    except pydantic.ValidationError as wrong:
        key, what = first_mistake(kind, wrong, "an object")
        raise Refused(422, f"`{key}`: {what}") from None
    return asked, tuple(sorted(asked.model_extra or ()))


def refuse_several(body: Mapping[str, Any], spellings: Iterable[str]) -> None:
    """Refuse a body that says the same thing in two keys: one of them would be dropped."""
    given = [key for key in dict.fromkeys(spellings) if key in body]
    if len(given) > 1:
        raise Refused(422, f"`{given[0]}` and `{given[1]}` say the same thing; give one of them")


def text_of(given: Any, what: str, fields: Sequence[str] | None = None) -> str:
    """What is read of a document or a query: itself, its text, or the fields that are named."""
    if isinstance(given, str):
        return given
    keys = fields or next(([key] for key in TEXT_KEYS if isinstance(given.get(key), str)), [])
    found = {key: given[key] for key in keys if isinstance(given.get(key), str | int | float)}
    if not found:
        raise Refused(422, f"{what} is neither a text nor an object with a text")
    if len(found) == 1:
        return str(next(iter(found.values())))
    return "\n".join(f"{key}: {value}" for key, value in found.items())
