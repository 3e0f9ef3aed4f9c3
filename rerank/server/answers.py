"""What answers look like on the wire, as types that the OpenAPI document is made from."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from rerank.records import Usage


class Tokens(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Result(TypedDict):
    index: int
    relevance_score: float
    document: NotRequired[dict[str, Any]]


class Version(TypedDict):
    version: str


class BilledUnits(TypedDict):
    search_units: int


class MetaTokens(TypedDict):
    input_tokens: int
    output_tokens: int


class Meta(TypedDict):
    api_version: Version
    billed_units: BilledUnits
    tokens: MetaTokens
    warnings: list[str]


class Reranked(TypedDict):
    """For Cohere, Jina and vLLM clients: what any of them looks for."""

    id: str
    object: str
    model: str
    results: list[Result]
    usage: Tokens
    meta: Meta


class VoyageReranked(Reranked):
    data: list[Result]


class TEIResult(TypedDict):
    index: int
    score: float
    text: NotRequired[str]


class NIMResult(TypedDict):
    index: int
    logit: float


class NIMReranked(TypedDict):
    rankings: list[NIMResult]
    usage: Tokens


class Score(TypedDict):
    index: int
    object: str
    score: float


class Scores(TypedDict):
    id: str
    object: str
    created: int
    model: str
    data: list[Score]
    usage: Tokens


class Error(TypedDict):
    message: str
    type: str
    param: str | None
    code: int


class Refusal(TypedDict):
    id: str
    message: str
    detail: str
    error: Error


class TEIRefusal(TypedDict):
    error: str
    error_type: str


class Model(TypedDict):
    id: str
    object: str
    created: int
    owned_by: str


class Models(TypedDict):
    object: str
    data: list[Model]


class Health(TypedDict):
    status: str


def usage(spent: Usage) -> Tokens:
    """Tokens as OpenAI and vLLM name them."""
    total = spent.prompt_tokens + spent.completion_tokens
    return {
        "prompt_tokens": spent.prompt_tokens,
        "completion_tokens": spent.completion_tokens,
        "total_tokens": total,
    }


def meta(spent: Usage, warnings: list[str]) -> Meta:
    """Tokens as Cohere names them, and what a client should know of its answer."""
    return {
        "api_version": {"version": "2"},
        "billed_units": {"search_units": 1},
        "tokens": {"input_tokens": spent.prompt_tokens, "output_tokens": spent.completion_tokens},
        "warnings": warnings,
    }
