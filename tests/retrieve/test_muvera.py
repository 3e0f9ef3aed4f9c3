"""MUVERA's vectors against MaxSim itself, on drawn token vectors."""

import numpy as np
import pytest

from rerank.recipes.stages import MuveraOptions
from rerank.retrieve.muvera import maxsim, of_docs, of_queries, width

SMALL = MuveraOptions(bits=3, projected=4, repeats=3)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def drawn(count, size=32, seed=0, longest=20):
    """Texts of 3 to `longest` tokens, around topics of their own."""
    draw = np.random.default_rng(seed)
    topics = np.random.default_rng(1).normal(size=(40, size))
    return [
        unit(topics[draw.integers(40, size=length)] + 0.3 * draw.normal(size=(length, size)))
        for length in draw.integers(3, longest + 1, size=count)
    ]


def exact(queries, docs):
    starts = np.cumsum([0, *(len(doc) for doc in docs[:-1])])
    return np.array([maxsim(query, np.concatenate(docs), starts) for query in queries])


def test_maxsim_adds_each_query_tokens_best_product():
    docs, [query] = drawn(5), drawn(1, seed=2)
    expected = [sum(max(float(q @ d) for d in doc) for q in query) for doc in docs]
    assert exact([query], docs)[0] == pytest.approx(expected, abs=1e-5)


def test_a_vector_is_as_wide_as_the_options_say():
    assert of_docs(drawn(2), SMALL).shape == of_queries(drawn(2), SMALL).shape == (2, 96)
    assert width(SMALL) == 96


def test_the_nearest_by_product_are_nearly_those_by_maxsim():
    docs, queries = drawn(600), drawn(20, seed=3, longest=6)
    options = MuveraOptions()
    truth = exact(queries, docs)
    products = of_queries(queries, options) @ of_docs(docs, options).T
    found = np.argsort(-products, axis=1)[:, :60]
    wanted = np.argsort(-truth, axis=1)[:, :10]
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(found, wanted, strict=True)]
    assert np.mean(shares) >= 0.9
    means = np.array([doc.mean(0) for doc in docs])
    plain = np.argsort(-np.array([query.mean(0) for query in queries]) @ means.T, axis=1)[:, :60]
    worse = [len(set(a) & set(b)) / 10 for a, b in zip(plain, wanted, strict=True)]
    assert np.mean(shares) > np.mean(worse)


def test_a_query_of_one_token_and_a_document_of_one_meet_in_every_repeat():
    [token] = drawn(1)
    options = MuveraOptions(projected=64, repeats=40)
    products = of_queries([token[:1]], options) @ of_docs([token[:1]], options).T
    assert products[0, 0] / options.repeats == pytest.approx(1, abs=0.3)


def test_a_seed_gives_the_same_vectors_whatever_the_corpus():
    docs = drawn(6)
    assert (of_docs(docs, SMALL)[2] == of_docs(docs[2:3], SMALL)[0]).all()
    other = of_docs(docs, SMALL.model_copy(update={"seed": 1}))
    assert (other != of_docs(docs, SMALL)).any()
