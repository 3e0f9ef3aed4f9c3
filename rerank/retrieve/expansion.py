"""A model writes before the first stage searches: what an answer might say is easier to find.

    hyde        a passage that might answer the query, instead of it   Gao et al., arXiv:2212.10496
    query2doc   such a passage after the query                         Wang et al., arXiv:2303.07678
    think       thoughts on what a good answer has, after the query    Yan et al., arXiv:2502.07555

The model answers through the engines and a journal of its own, so that no query is written for
twice. It sees the query, and nothing of the corpus; a reranker sees the query as it was.
"""

import re
from collections.abc import Sequence

from rerank.engines import Engine
from rerank.engines.cached import cached
from rerank.errors import EngineError
from rerank.passages import clean
from rerank.recipes.stages import ExpansionOptions
from rerank.records import Query
from rerank.wants import Message, Request, Text

PASSAGE = (
    "Write a short passage, as it might stand in a document, that answers this query.\n"
    "Query: {query}\nPassage:"
)
WORDINGS = {
    "hyde": PASSAGE,
    "query2doc": PASSAGE,
    "think": (
        "Think about this query: what does who asks it want to know, and which terms and facts"
        " would a document have that answers it? Write your thoughts in a few sentences.\n"
        "Query: {query}\nThoughts:"
    ),
}
"""What a model is told; `{query}` is the query. Our own words."""
THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.S)
WEIGHT = 5  # how often query2doc repeats a query for a search by words


def expanded(queries: Sequence[Query], options: ExpansionOptions, by_words: bool) -> list[Query]:
    """The queries with what the model wrote; where it wrote nothing, as they were.

    For a search `by_words` a query that stays in it is repeated, or the passage would drown it.
    """
    texts = written(queries, options)
    return [
        query._replace(text=_joined(query.text, texts[query.id], options, by_words))
        for query in queries
    ]


def written(queries: Sequence[Query], options: ExpansionOptions) -> dict[str, str]:
    """What the model wrote for each query, on one line, without its own thinking."""
    wording = options.wording or WORDINGS[options.method]
    journal = cached(options, Text, f"expansion {options.method}", "expansions")
    try:
        for query in queries:
            told = wording.replace("{query}", clean(query.text, journal.special_tokens))
            want = Text(options.max_tokens, (), options.temperature, options.seed)
            journal.submit(query.id, Request((Message("user", told),), want))
        return _replies(journal, len(queries))
    finally:
        journal.close()


def _replies(engine: Engine, count: int) -> dict[str, str]:
    found: dict[str, str] = {}
    while len(found) < count:
        for ticket, reply in engine.poll():
            if not isinstance(ticket, str):
                continue
            if reply.error or reply.overflow:
                why = reply.error or f"the prompt is {reply.overflow} tokens too long"
                raise EngineError(f"query {ticket}: no expansion: {why}")
            found[ticket] = " ".join(THOUGHT.sub(" ", reply.text).split())
    return found


def _joined(query: str, text: str, options: ExpansionOptions, by_words: bool) -> str:
    if options.method == "hyde":
        return text or query
    return " ".join([query] * (WEIGHT if by_words and text else 1) + [text] * bool(text))
