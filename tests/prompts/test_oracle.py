"""The oracle answers from judgments, with the noise and the bias that were asked for."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import QUERY, A, B, C, D, told, values

from rerank.judges import Oracle
from rerank.questions import Compare, Order, Pick, Question, Rate
from rerank.records import Doc, Query

QRELS = {"q": {"a": 1, "b": 2, "c": 0}, "other": {"a": 9}}
EVERY_KIND = [Rate(A), Compare(A, B), Pick((A, B, C)), Order((C, A, B))]


def test_the_oracle_answers_each_question_from_the_judgments():
    oracle = Oracle(QRELS)
    assert values(oracle, Rate(B), Rate(C), Rate(D)) == [2, 0, 0]
    assert values(oracle, Compare(A, B), Compare(B, A), Compare(C, D)) == [0.0, 1.0, 0.5]
    assert values(oracle, Pick((C, B, A)), Order((C, D, A, B))) == [[0, 2, 1], [B, A, C, D]]


def test_the_oracle_keeps_the_order_of_equal_documents_and_every_one_of_them():
    twin = Doc("c", "another text")
    assert values(Oracle(QRELS), Order((D, C, twin, C))) == [[D, C, twin, C]]
    assert values(Oracle(QRELS, bias=1), Order((C, C, D))) == [[C, C, D]]


def test_the_oracle_has_an_answer_to_questions_about_nothing():
    assert values(Oracle(QRELS, noise=1, bias=1), Order(()), Pick(())) == [[], []]


def test_a_query_without_judgments_has_no_relevant_documents():
    oracle = Oracle(QRELS)
    oracle.submit(0, Query("unjudged", ""), Order((A, B)))
    oracle.submit(1, Query("other", ""), Compare(B, A))
    assert [(t, answer.value) for t, answer in oracle.poll()] == [(0, [A, B]), (1, 0.0)]


def test_the_oracle_refuses_what_is_no_question():
    class Guess(Question):
        documents = (A,)

    with pytest.raises(TypeError, match="the oracle was asked"):
        Oracle(QRELS).submit(0, QUERY, Guess())


def test_the_oracle_hands_each_answer_over_once():
    oracle = Oracle(QRELS)
    assert len(told(oracle, *EVERY_KIND)) == 4
    assert list(oracle.poll()) == []


@given(st.permutations(EVERY_KIND * 2), st.integers(0, 3))
@settings(deadline=None, max_examples=30)
def test_noise_depends_on_the_seed_and_the_question_alone(questions, seed):
    apart = {q: values(Oracle(QRELS, noise=1, seed=seed), q)[0] for q in EVERY_KIND}
    assert values(Oracle(QRELS, noise=1, seed=seed), *questions) == [apart[q] for q in questions]


def test_noise_is_another_for_another_seed_query_question_or_order():
    def rate(doc=A, query=QUERY, seed=0, question=Rate):
        oracle = Oracle({}, noise=1, seed=seed)
        oracle.submit(0, query, question(doc))
        return next(iter(oracle.poll()))[1].value

    assert len({rate(), rate(B), rate(query=Query("p", "")), rate(seed=1)}) == 4
    oracle = Oracle({}, noise=1)
    one, other, alone, rated = values(oracle, Pick((A, B)), Pick((B, A)), Pick((A,)), Rate(A))
    assert len({*one, *other, *alone, rated}) == 6


def test_noise_has_the_size_that_was_asked_for():
    docs = [Doc(str(i), "") for i in range(2000)]
    noise = values(Oracle({}, noise=0.5), *map(Rate, docs))
    assert abs(sum(noise) / len(noise)) < 0.05
    assert math.sqrt(sum(n * n for n in noise) / len(noise)) == pytest.approx(0.5, abs=0.03)


def test_bias_is_a_bonus_in_grades_for_the_document_that_is_shown_first():
    oracle = Oracle(QRELS, bias=1.5)
    assert values(oracle, Compare(A, B), Compare(B, A), Compare(C, B)) == [1.0, 1.0, 0.0]
    assert values(oracle, Pick((A, B, C)), Order((A, B, C))) == [[2.5, 2, 0], [A, B, C]]
    assert values(oracle, Order((C, B, A))) == [[B, C, A]]
    assert values(oracle, Rate(A)) == [1]
