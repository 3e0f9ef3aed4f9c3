"""The OpenAPI document, made from the types of the requests and answers."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from rerank.server import answers
from rerank.server.dialects import DIALECTS
from rerank.server.requests import ScoreRequest

REF = "#/components/schemas/{model}"
REFUSALS = {
    "400": "Not JSON, or no documents.",
    "401": "No API key, or a wrong one.",
    "408": "The body did not come in time.",
    "413": "The body is too long.",
    "415": "Not sent as JSON.",
    "422": "A wrong type, or too much.",
    "429": "Too many requests are waiting; Retry-After says when to come again.",
    "503": "The model gave no answer.",
    "504": "It took too long.",
}
"""What each code of a refusal means."""


def document(rerank: Sequence[str], score: Sequence[str]) -> dict[str, Any]:
    """Every path with its requests, answers and refusals."""
    requests = [row.request for row in DIALECTS]
    said = [row.answer for row in DIALECTS]
    no = [answers.Refusal, answers.TEIRefusal]
    kinds = [*requests, *said, *no, ScoreRequest, answers.Scores, answers.Models, answers.Health]
    schemas, components = _schemas(kinds)

    def one_of(some: Iterable[Any]) -> dict[str, Any]:
        found = {str(schemas[str(kind)]): schemas[str(kind)] for kind in some}
        return {"anyOf": list(found.values())} if len(found) > 1 else next(iter(found.values()))

    reranking = _post("Rank documents for a query.", one_of(requests), one_of(said), one_of(no))
    scoring = _post(
        "Score pairs.", one_of([ScoreRequest]), one_of([answers.Scores]), one_of(no[:1])
    )
    paths = {path: {"post": reranking} for path in rerank}
    paths |= {path: {"post": scoring} for path in score}
    paths |= _gets(one_of([answers.Models]), one_of([answers.Health]))
    return {
        "openapi": "3.1.0",
        "info": {"title": "rerank", "version": version("rerank-pipeline")},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}, {}],
    }


def _schemas(kinds: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of each kind by its name, and what they all refer to."""
    validation: JsonSchemaMode = "validation"
    inputs = [(number, validation, TypeAdapter(kind)) for number, kind in enumerate(kinds)]
    found, shared = TypeAdapter.json_schemas(inputs, ref_template=REF)
    schemas = {str(kind): found[number, validation] for number, kind in enumerate(kinds)}
    return schemas, dict(shared.get("$defs", {}))


def _post(about: str, asks: Any, says: Any, refuses: Any) -> dict[str, Any]:
    return {
        "summary": about,
        "requestBody": {"required": True, "content": _content(asks)},
        "responses": {
            "200": {
                "description": "The answer, in the request's dialect.",
                "content": _content(says),
            },
            **{
                code: {"description": why, "content": _content(refuses)}
                for code, why in REFUSALS.items()
            },
        },
    }


def _gets(models: Any, health: Any) -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "/v1/models": _get("The model that serves.", _content(models)),
        "/health": _get("Whether the engine answers.", _content(health), "503"),
        "/metrics": _get("Counts for Prometheus.", text),
        "/openapi.json": _get("This document.", _content({"type": "object"})),
    }


def _get(about: str, content: Mapping[str, Any], *also: str) -> dict[str, Any]:
    codes = ("200", *also)
    return {
        "get": {
            "summary": about,
            "responses": {code: {"description": about, "content": content} for code in codes},
        }
    }


def _content(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
