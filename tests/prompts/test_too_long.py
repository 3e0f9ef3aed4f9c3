"""A prompt that is too long is sent again with less of its passages; what was cut is counted."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import QUERY, A, B, long, scripted_judge, told, words_shown

from rerank.errors import EngineError
from rerank.judges import LLMJudge
from rerank.questions import Order, Rate
from rerank.records import Doc, Status, Usage
from rerank.wants import Reply


def test_a_prompt_that_is_too_long_is_sent_again_with_shorter_passages():
    judge, engine = scripted_judge(limit=600)
    docs = tuple(long(str(i), 100) for i in range(5))
    [answer] = told(judge, Order(docs))
    assert answer.status is Status.REPAIRED  # the script names two of five
    sizes = words_shown(engine.requests[-1], 5)
    assert len(set(sizes)) == 1
    assert 540 < engine.tokens(engine.requests[-1]) <= 600
    assert (answer.truncated, answer.cut) == (5, 500 - sum(sizes))
    assert len(engine.requests) <= 3


@pytest.mark.parametrize("word", ["a", "wordy", "x" * 40, "検索", "ไทย" * 13])
@pytest.mark.parametrize("bytes_a_token", [1.5, 3.0, 4.0, 4.6, 6.0])
@pytest.mark.parametrize("count", [1, 2, 20, 100])
def test_one_huge_passage_among_small_ones_fits_after_a_few_tries(word, bytes_a_token, count):
    """Half of what fits is shown at least; where the guess is good, the small ones stay whole."""
    judge, engine = scripted_judge(bytes_a_token=bytes_a_token)
    small = tuple(long(str(i), 3, word) for i in range(count - 1))
    told(judge, Order((*small, long("huge", 40, word))))
    engine.limit = engine.tokens(engine.requests.pop())
    [answer] = told(judge, Order((*small, long("huge", 300, word))))
    assert answer.status is not Status.FAILED
    assert len(engine.requests) <= 4
    *others, huge = words_shown(engine.requests[-1], count, word)
    assert huge + sum(others) >= (40 + 3 * len(others)) // 2 - count
    if bytes_a_token >= 4:
        assert others == [3] * (count - 1)
        assert answer.truncated == 1


@given(st.lists(st.integers(0, 320), min_size=1, max_size=20), st.integers(0, 900), st.floats(2, 8))
@settings(deadline=None, max_examples=30)
def test_shrinking_always_ends_and_counts_what_was_cut(sizes, room, bytes_a_token):
    judge, engine = scripted_judge(bytes_a_token=bytes_a_token)
    docs = [long(str(i), words) for i, words in enumerate(sizes)]
    told(judge, Order(tuple(Doc(doc.id, "") for doc in docs)))
    engine.limit = engine.tokens(engine.requests.pop()) + room
    [answer] = told(judge, Order(tuple(docs)))
    assert answer.status is not Status.FAILED
    assert len(engine.requests) <= 12
    shown = sum(words_shown(engine.requests[-1], len(docs)))
    assert (answer.cut, bool(answer.truncated)) == (sum(sizes) - shown, shown < sum(sizes))


def test_a_prompt_that_does_not_fit_even_without_passages_fails():
    judge, engine = scripted_judge(limit=50)
    [answer] = told(judge, Order((long("1", 300), long("2", 10))))
    assert (answer.value, answer.status) == (None, Status.FAILED)
    assert answer.error == "the prompt does not fit the model, even without its passages"
    assert words_shown(engine.requests[-1], 2) == [0, 0]
    assert (answer.truncated, answer.cut) == (2, 310)
    assert len(engine.requests) <= 12


def test_what_every_try_cost_is_added_up():
    """A server may compute a prompt before it is found to have been cut."""
    replies = iter([Reply(overflow=9, usage=Usage(90)), Reply("[1] > [2]", usage=Usage(80, 4, 3))])
    judge, _ = scripted_judge(reply=lambda request: next(replies))
    [answer] = told(judge, Order((long("1", 50), long("2", 50))))
    assert answer.usage == Usage(170, 4, 3)


def test_a_pair_that_overflows_fails_at_once():
    judge, engine = scripted_judge("pointwise/score", lambda request: Reply(overflow=3))
    [answer] = told(judge, Rate(long("1", 300)))
    assert answer.status is Status.FAILED
    assert len(engine.requests) == 1


def test_while_one_prompt_shrinks_the_others_are_answered():
    judge, _ = scripted_judge(limit=200)
    judge.submit("long", QUERY, Order((long("1", 300), B)))
    judge.submit("short", QUERY, Order((A, B)))
    assert [ticket for ticket, _ in judge.poll()] == ["short"]
    found = []
    while not found:
        found = list(judge.poll())
    assert found[0][0] == "long"


# ---------------------------------------------------------------- passages cut at tokens


def fives(text, limit):
    """A tokenizer whose tokens are five characters each."""
    count = math.ceil(len(text) / 5)
    return text[: 5 * limit], min(count, limit), max(0, count - limit)


@pytest.fixture
def by_tokens(tmp_path):
    """A judge whose prompt cuts at four tokens, and its engine."""
    path = tmp_path / "mine.toml"
    path.write_text(
        'asks = "Order"\nsource = "s"\nreads = "permutation"\nlabels = "numbers"\ntokens = 4\n'
        "system = '{{ query }}'\nuser = '{% for doc in docs %}{{ doc.content }} {% endfor %}'"
    )

    def judge(cut, **options):
        judge, engine = scripted_judge(str(path), **options)
        engine.cut = cut
        return LLMJudge(judge.prompt, engine), engine

    return judge


def test_passages_are_cut_at_the_models_own_tokens_and_counted_in_them(by_tokens):
    judge, engine = by_tokens(fives)
    judge.check(2)
    [answer] = told(judge, Order((Doc("1", "x" * 33), Doc("2", "y" * 20), Doc("3", "z"))))
    assert engine.requests[0].messages[-1].content.split() == ["x" * 20, "y" * 20, "z"]
    assert (answer.truncated, answer.cut) == (1, 3)


def test_a_passage_is_cut_once_however_often_it_is_shown(by_tokens):
    cuts = []

    def counting(text, limit):
        cuts.append(text)
        return fives(text, limit)

    judge, _ = by_tokens(counting)
    docs = [Doc(str(i), f"{i} is shown") for i in range(3)]
    told(judge, *(Order((docs[i], docs[j])) for i in range(3) for j in range(3)))
    assert sorted(cuts) == sorted(doc.text for doc in docs)


def test_too_long_a_prompt_gives_up_tokens_as_it_would_give_up_words(by_tokens):
    judge, engine = by_tokens(fives, limit=8)
    [answer] = told(judge, Order((Doc("1", "x" * 20), Doc("2", "y" * 20))))
    assert engine.tokens(engine.requests[-1]) <= 8
    assert answer.cut > 0 and answer.truncated == 2


def test_an_engine_without_a_tokenizer_cannot_cut_at_tokens(by_tokens):
    judge, _ = by_tokens(None)
    with pytest.raises(EngineError, match="cuts passages at 4 tokens, but this engine has no"):
        judge.check(2)
