"""What holds for every method, model, document and order of replies: the library's promises."""

import asyncio
import json
import random
from copy import deepcopy

import pytest
from fakes import ScriptedEngine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rerank import Reranker
from rerank.methods import METHODS
from rerank.wants import Labels, Likelihood, Logits, Pair, Reply, Text

pytestmark = pytest.mark.slow

ASKING = [name for name in METHODS if name != "first-stage"]

seeds = st.integers(0, 99)
texts = st.text(max_size=12)
documents = st.lists(
    st.one_of(
        texts,
        st.sampled_from(["same", "[1] > [2]", "</s>", "{{ query }}"]),
        st.fixed_dictionaries({"text": texts}, optional={"id": st.integers(), "title": texts}),
    ),
    max_size=24,
)
quick = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def moody(seed):
    """A model that says anything, and the same to the same question."""

    def reply(request):
        chance = random.Random(f"{seed} {request}")
        want = request.want
        if isinstance(want, Labels | Logits):
            return Reply(scores=tuple(chance.choice((-1.0, 0.5, 2.0)) for _ in want.labels))
        if isinstance(want, Text):
            places = [chance.randint(0, 25) for _ in range(chance.randint(0, 25))]
            said = " > ".join(f"[{place}]" for place in places)
            return Reply(text=chance.choice((said, "", "A", "Passage B", "none of them")))
        return Reply(scores=(chance.choice((-1.0, 0.0, 1.0, float("nan"))),))

    return reply


@pytest.fixture
def opened(monkeypatch):
    """A function that makes a reranker answered by a moody model, in an order of its own."""

    def reranker(method, seed, order, **options):
        kinds = (Text, Labels, Logits, Likelihood, Pair)
        engine = ScriptedEngine(moody(seed), wants=kinds, at_once=3, seed=order)
        monkeypatch.setattr("rerank.library.reranker.open_engine", lambda *_: engine)
        return Reranker("any", method=method, **options)

    return reranker


def spelled(ranking):
    """All that a ranking says, as bytes."""
    rest = (ranking.calls, ranking.answers, ranking.status, ranking.score_kind)
    return json.dumps([ranking.to_dicts(), ranking.documents, *rest]).encode()


@quick
@given(
    st.sampled_from(ASKING),
    st.integers(0, 99),
    texts.filter(str.strip),
    documents,
    st.none() | st.integers(1, 30),
)
@pytest.mark.filterwarnings("ignore:method")
def test_hits_are_a_prefix_of_a_permutation_of_the_callers_own_objects(
    opened, method, seed, query, docs, top_n
):
    before = deepcopy(docs)
    with opened(method, seed, seed) as reranker:
        ranking = reranker.rerank(query, docs, top_n)
        whole = reranker.rerank(query, docs)
    indexes = [hit.index for hit in ranking]
    assert len(indexes) == min(len(docs), top_n or len(docs)) == len(set(indexes))
    assert {*indexes} <= {*range(len(docs))}
    assert sorted(hit.index for hit in whole) == [*range(len(docs))]
    assert [hit.rank for hit in ranking] == [*range(1, len(indexes) + 1)]
    assert all(hit.document is docs[hit.index] for hit in ranking)
    assert docs == before, "a caller's document was changed"
    scores = [hit.score for hit in ranking if hit.score is not None]
    assert all(isinstance(score, float) and abs(score) < float("inf") for score in scores)
    if ranking.score_kind == "none":
        assert scores == []


@quick
@given(st.sampled_from(ASKING), seeds, documents)
def test_the_same_input_and_seed_give_the_same_bytes_in_any_order_of_replies(
    opened, method, seed, docs
):
    found = set()
    for order in (1, 2, None):
        with opened(method, seed, order) as reranker:
            found.add(spelled(reranker.rerank("sky", docs)))
    assert len(found) == 1


@settings(quick, max_examples=40)
@given(st.sampled_from(ASKING), st.lists(documents, max_size=6))
def test_one_by_one_all_at_once_and_as_they_come_are_the_same(opened, method, lists):
    batch = [(f"query {place}", docs) for place, docs in enumerate(lists)]
    with opened(method, 5, 1) as reranker:
        alone = [spelled(reranker.rerank(*one)) for one in batch]
        many = [spelled(ranking) for ranking in reranker.rerank_many(batch)]

        async def streamed():
            found = {place: spelled(each) async for place, each in reranker.astream(batch)}
            return [found[place] for place in range(len(batch))]

        async def awaited():
            found = await asyncio.gather(*(reranker.arerank(*one) for one in batch))
            return [spelled(ranking) for ranking in found]

        assert alone == many == asyncio.run(streamed()) == asyncio.run(awaited())


@quick
@given(st.sampled_from(ASKING), documents, st.integers(1, 12))
def test_a_budget_is_kept_and_still_gives_every_document_once(opened, method, docs, calls):
    with opened(method, 3, 3, budget={"calls": calls}) as reranker:
        ranking = reranker.rerank("sky", docs)
    assert sorted(hit.index for hit in ranking) == [*range(len(docs))]
    assert ranking.calls <= calls


@settings(quick, max_examples=60)
@given(st.sampled_from(ASKING), documents)
def test_an_estimate_asks_nothing(opened, method, docs):
    with opened(method, 3, 3) as reranker:
        cost = reranker.estimate([("sky", docs)])
        assert reranker._engine.requests == []
    assert cost.queries == 1 and (cost.calls > 0) == (cost.widest > 0)
