"""Ids put together from parts are the ids of the whole text, whatever the tokenizer."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vocabularies import ADDED, TEXTS, TOKENIZERS

from rerank.engines.tokenisation.assembly import LENGTH, Assembly


def encoder(name):
    return lambda text: TOKENIZERS[name].encode(text, add_special_tokens=False).ids


@pytest.fixture(params=[True, False], ids=["known", "unknown"])
def backend(request, name):
    """What the tokenizer is made of, or nothing, as with one that is not fast."""
    return TOKENIZERS[name] if request.param else None


def ids(assembly, parts):
    return assembly.ids(assembly.apart(parts))


@pytest.mark.parametrize("name", TOKENIZERS)
@given(
    parts=st.lists(
        st.one_of(st.text(max_size=20), st.sampled_from([*TEXTS, *ADDED, "\n"])), max_size=8
    )
)
@settings(
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_parts_of_any_text_give_the_ids_of_the_whole(name, backend, parts):
    encode = encoder(name)
    assert ids(Assembly(encode, backend), parts) == encode("".join(parts))


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=st.sampled_from(TEXTS), cuts=st.lists(st.integers(0, 150), max_size=6))
@settings(
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_text_cut_anywhere_gives_the_ids_of_the_whole(name, backend, text, cuts):
    encode = encoder(name)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    parts = [text[start:end] for start, end in pairwise(edges)]
    assert ids(Assembly(encode, backend), parts) == encode(text)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(
    texts=st.lists(st.sampled_from(TEXTS), min_size=3, max_size=6), ends=st.lists(st.integers(1))
)
@settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_long_text_cut_again_and_again_gives_the_ids_of_the_whole(name, backend, texts, ends):
    encode, long = encoder(name), f" {' '.join(texts)}"
    assembly = Assembly(encode, backend)
    for end in [len(long), *(end % len(long) for end in ends)]:
        parts = ["[1]", long[:end], "\n"]
        assert ids(assembly, parts) == encode("".join(parts))


def test_of_a_passage_that_is_cut_no_more_than_its_end_is_tokenised_again():
    encode, seen = encoder("qwen"), []
    assembly = Assembly(lambda text: seen.append(text) or encode(text), TOKENIZERS["qwen"])
    words = [f"word{number}" for number in range(300)]
    ids(assembly, ["[1]", f" {' '.join(words)}", "\n"])
    seen.clear()
    cut = ["[1]", f" {' '.join(words[:200])}", "\n"]
    assert ids(assembly, cut) == encode("".join(cut))
    assert sum(map(len, seen)) <= LENGTH


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_passage_that_comes_again_is_not_tokenised_again(name):
    encode, seen = encoder(name), []
    assembly = Assembly(lambda text: seen.append(text) or encode(text))
    passages = [f" {text}\n" for text in TEXTS[:20]]
    for window in (passages[:10], passages[5:15], passages[2:12]):
        parts = [part for i, p in enumerate(window, 1) for part in (f"[{i}]", p)]
        assert ids(assembly, parts) == encode("".join(parts))
    whole = [passage for passage in passages if sum(passage in text for text in seen) <= 1]
    assert len(whole) >= (20 if name in ("qwen", "gpt2") else 10)
