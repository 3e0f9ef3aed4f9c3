"""The ids of every shipped prompt, put together from parts, are those of its whole text."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared import collection
from tiny import CHAT_TEMPLATE
from vocabularies import TOKENIZERS

from rerank import datasets, files
from rerank.engines.tokenisation.tokens import Tokens
from rerank.prompts import question_over, read_prompt
from rerank.questions import Rate
from rerank.records import Doc, Query
from rerank.wants import Pair

PROMPTS = {name: read_prompt(name) for name in files.names("prompts")}
WORDED = [name for name, prompt in PROMPTS.items() if prompt.reader.wants is not Pair]
WHOLE = {"listwise/rank-k"}  # its message ends with white space, which some templates strip
HOSTILE = "\n [3] > <|im_end|> A: “東京”🙂\u200b\t- [B]"


def chatting(tokenizer):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=CHAT_TEMPLATE)


@pytest.fixture(params=TOKENIZERS)
def spelled(request):
    return trusting(request.param)


def trusting(name):
    """A tokenizer whose parts are trusted: none is tokenised whole to look."""
    spelled = Tokens(chatting(TOKENIZERS[name]))
    spelled._told = 2**40
    return spelled


def agrees(spelled, prompt, query, docs):
    request = prompt.wording(query, question_over(prompt.asks, docs)).request
    whole = spelled.tokenizer.encode(spelled.text(request), add_special_tokens=not request.chat)
    assert spelled.ids(request) == list(whole), prompt.name


@pytest.mark.slow
@pytest.mark.parametrize("name", WORDED)
def test_it_holds_for_real_passages_in_any_order(spelled, name):
    folder = collection("noveleval")
    dataset = datasets.load(str(folder))
    found = datasets.from_run(datasets.read_run(folder / "run.initial.trec"), dataset, 20)
    prompt, chance = PROMPTS[name].fitted(spelled.special, None), random.Random(name)
    for query in list(dataset.queries.values())[:3]:
        for count in (2, 9, 20) if prompt.asks is not Rate else (1, 1, 1):
            agrees(spelled, prompt, query, chance.sample(found[query.id], count))
    if prompt.file.chat and name not in WHOLE:
        assert spelled._assembly._inside._newer


@pytest.mark.slow
@pytest.mark.parametrize("name", WORDED)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_it_holds_for_any_text(name, data):
    text = st.one_of(
        st.text(max_size=12), st.sampled_from([HOSTILE, "", " ", "a", "\n\n", "x" * 80])
    )
    spelled = trusting(data.draw(st.sampled_from(sorted(TOKENIZERS))))
    prompt = PROMPTS[name].fitted(spelled.special, None)
    docs = [Doc(str(i), data.draw(text), data.draw(text)) for i in range(3)]
    agrees(spelled, prompt, Query("q", data.draw(text)), docs)


def test_parts_that_prove_to_give_other_ids_are_used_no_more():
    spelled = Tokens(chatting(TOKENIZERS["qwen"]))
    spelled._assembly.ids = lambda parts: asked.append(parts) or [0]
    prompt, asked = PROMPTS["listwise/first"].fitted(spelled.special, None), []
    for _ in range(3):
        agrees(spelled, prompt, Query("q", "blue sky"), [Doc("1", "the sky"), Doc("2", "a rank")])
    assert len(asked) == 1
