"""The engine against plain transformers, on tiny checkpoints of random weights."""

import functools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from checkpoints import encoder_decoder

from rerank.engines import LabelError
from rerank.engines.models import checkpoints
from rerank.engines.transformers import Transformers
from rerank.errors import EngineError, MissingExtra, UsageError
from rerank.wants import Labels, Likelihood, Logits, Message, Pair, Request, Text

pytestmark = pytest.mark.slow  # torch alone takes seconds to import

PROMPTS = [
    "Passage: a cat\nQuery: cats\nAnswer:\n",
    "Query: which of these is about the sea?\n[1] waves and salt\n[2] a dry hill\nBest:\n",
    "A\n",
    "The quick brown fox jumps over the lazy dog. " * 4 + "\n",
]


def raw(prompt, want, prefill=""):
    return Request((Message("user", prompt),), want, prefill, chat=False)


def replies(engine, requests):
    """All at once: the engine decides what shares a batch."""
    for ticket, request in enumerate(requests):
        engine.check(request)
        engine.submit(ticket, request)
    found = {}
    while out := list(engine.poll()):
        found |= dict(out)
    assert sorted(found) == list(range(len(requests)))
    return [found[ticket] for ticket in range(len(requests))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.checkpoint(tmp_path_factory.mktemp("tiny"), context=256)


@pytest.fixture(scope="module")
def engine(folder):
    return Transformers(str(folder), device="cpu")


@pytest.fixture(scope="module")
def plain(folder):
    """The model and the tokenizer as anyone would load them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def log_probs(model, ids):
    """The log-probability of every token at every position, (tokens, vocabulary)."""
    import torch

    with torch.inference_mode():
        return model(torch.tensor([ids])).logits[0].log_softmax(-1)


def generated(model, ids, count, **options):
    import torch

    written = model.generate(
        torch.tensor([ids]), max_new_tokens=count, do_sample=False, num_beams=1, **options
    )
    return written[0].tolist()


def test_labels_are_log_probabilities_over_the_full_vocabulary(engine, plain):
    model, tokenizer = plain
    labels = ("A", "B", "C", "Yes", "No")
    found = replies(engine, [raw(prompt, Labels(labels)) for prompt in PROMPTS])
    for prompt, reply in zip(PROMPTS, found, strict=True):
        scores = log_probs(model, tokenizer.encode(prompt))[-1]
        wanted = [float(scores[tokenizer.convert_tokens_to_ids(label)]) for label in labels]
        assert reply.scores == pytest.approx(wanted, abs=1e-5)
        assert reply.usage.prompt_tokens == len(tokenizer.encode(prompt))


def test_a_chat_is_spelled_by_the_models_template(engine, plain):
    model, tokenizer = plain
    request = Request((Message("system", "Judge."), Message("user", "cats?")), Labels(("A", "B")))
    [reply] = replies(engine, [request])
    text = "<|im_start|>system\nJudge.<|im_end|>\n<|im_start|>user\ncats?<|im_end|>\n"
    scores = log_probs(model, tokenizer.encode(text + "<|im_start|>assistant\n"))[-1]
    assert reply.scores[0] == pytest.approx(float(scores[tokenizer.encode("A")[0]]), abs=1e-5)


def test_logits_are_what_the_head_gives_and_differ_from_log_probabilities_by_their_total(engine):
    """bge-reranker-v2-gemma's score: comparable between prompts, as a log-probability is not."""
    scored = replies(engine, [raw(prompt, Labels(("A", "B"))) for prompt in PROMPTS])
    plain = replies(engine, [raw(prompt, Logits(("A", "B"))) for prompt in PROMPTS])
    totals = [one.scores[0] - other.scores[0] for one, other in zip(plain, scored, strict=True)]
    for one, other, total in zip(plain, scored, totals, strict=True):
        assert one.scores[1] - other.scores[1] == pytest.approx(total, abs=1e-5)
    assert max(totals) - min(totals) > 0.01


@pytest.mark.parametrize("want", [Labels(("A", "B")), Likelihood("No cat")])
def test_scores_do_not_depend_on_who_shares_the_batch(folder, want):
    requests = [raw(prompt, want) for prompt in PROMPTS * 3]
    together = replies(Transformers(str(folder), device="cpu"), requests)
    alone = replies(Transformers(str(folder), device="cpu", batch_tokens=1), requests)
    for one, other in zip(together, alone, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)


STARTS = [f"Query: which of these is about {topic}?\n" * 3 for topic in ("the sea", "a hill")]
SHARING = [
    raw(f"{start}[1] {words} and salt\n" + "Best:\n", want)
    for words in ("waves", "a dry hill", "the quick brown fox", "a", "lazy dogs")
    for start in STARTS
    for want in (Labels(("A", "B")), Likelihood("No cat"), Text(6))
]


def counting(engine):
    """Make the engine's model count the tokens that it reads, padding included."""
    model, read = engine._model.model, []
    forward = model.forward

    @functools.wraps(forward)
    def counted(**given):
        read.append(given["input_ids"].numel())
        return forward(**given)

    model.forward = counted
    return read


def test_what_all_prompts_of_a_batch_begin_with_is_read_once(folder):
    together, alone = Transformers(str(folder)), Transformers(str(folder), batch_tokens=1)
    tokens = counting(together), counting(alone)
    for one, other in zip(replies(together, SHARING), replies(alone, SHARING), strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)
        assert (one.text, one.usage) == (other.text, other.usage)
    assert sum(tokens[0]) < 0.6 * sum(tokens[1])


def test_a_model_that_sees_so_many_tokens_back_reads_every_prompt_whole(tmp_path, plain):
    """Padding between what is shared and the rest would take up places in its window."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    _, tokenizer = plain
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, sliding_window=24, initializer_range=0.3,
        max_position_embeddings=256, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    MistralForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    together = replies(Transformers(str(tmp_path)), SHARING)
    alone = replies(Transformers(str(tmp_path), batch_tokens=1), SHARING)
    for one, other in zip(together, alone, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)
        assert one.text == other.text


def test_greedy_text_is_what_generate_writes_one_by_one(engine, plain):
    model, tokenizer = plain
    limits = (24, 3, 40, 12)
    asked = [raw(prompt, Text(limit)) for prompt, limit in zip(PROMPTS, limits, strict=True)]
    for prompt, limit, reply in zip(PROMPTS, limits, replies(engine, asked), strict=True):
        ids = tokenizer.encode(prompt)
        written = generated(model, ids, limit)[len(ids) :]
        assert reply.text == tokenizer.decode(written, skip_special_tokens=True)
        assert reply.usage.completion_tokens == len(written)
        assert reply.finished == (written[-1] == tokenizer.eos_token_id)


def test_text_ends_before_the_first_stop_string(engine):
    [free] = replies(engine, [raw(PROMPTS[0], Text(30))])
    early, late = free.text[9:12], free.text[20:24]
    [reply] = replies(engine, [raw(PROMPTS[0], Text(30, stop=(late, early)))])
    assert reply.text == free.text[: free.text.index(early)]
    assert reply.finished
    assert reply.usage.completion_tokens < free.usage.completion_tokens


def test_every_end_token_of_the_model_finishes_a_text_and_its_other_defaults_are_ignored(
    folder, plain, tmp_path
):
    model, tokenizer = plain
    ids = tokenizer.encode(PROMPTS[1])
    written = generated(model, ids, 20)[len(ids) :]
    end = next(token for token in written[2:] if token not in written[:2])
    shutil.copytree(folder, tmp_path / "ends")
    defaults = {"eos_token_id": [tokenizer.eos_token_id, end], "repetition_penalty": 5.0}
    (tmp_path / "ends" / "generation_config.json").write_text(json.dumps(defaults))
    [reply] = replies(Transformers(str(tmp_path / "ends")), [raw(PROMPTS[1], Text(20))])
    assert reply.finished
    assert reply.text == tokenizer.decode(written[: written.index(end)])


def test_a_seed_decides_a_sampled_text_whoever_shares_the_batch(engine):
    hot = [raw(PROMPTS[0], Text(12, temperature=1.5, seed=seed)) for seed in (1, 2)]
    together = replies(engine, [*hot, *(raw(prompt, Text(30)) for prompt in PROMPTS)])
    alone = [replies(engine, [request])[0] for request in hot]
    assert [reply.text for reply in together[:2]] == [reply.text for reply in alone]
    assert alone[0].text != alone[1].text


def test_likelihood_sums_the_continuations_tokens(engine, plain):
    model, tokenizer = plain
    continuations = ["what is a cat", "No", "the sea the sea the sea"]
    requests = [raw(PROMPTS[0], Likelihood(text)) for text in continuations]
    for text, reply in zip(continuations, replies(engine, requests), strict=True):
        before, after = tokenizer.encode(PROMPTS[0]), tokenizer.encode(text)
        scores = log_probs(model, before + after)
        wanted = sum(float(scores[len(before) - 1 + i, token]) for i, token in enumerate(after))
        assert reply.scores == (pytest.approx(wanted, abs=1e-4),)


def test_a_continuation_that_merges_with_the_prompt_is_an_error(engine):
    request = raw("Question: a", Likelihood("nswer"))
    with pytest.raises(EngineError, match="does not start with a token of its own"):
        engine.check(request)
    engine.submit("ticket", request)
    [(ticket, reply)] = engine.poll()
    assert ticket == "ticket"
    assert "a token of its own" in reply.error


@pytest.mark.parametrize("want", [Text(10), Labels(("A", "B")), Likelihood("No")])
def test_what_is_too_long_comes_back_with_how_much(folder, plain, want):
    _, tokenizer = plain
    room = {Text: 10, Labels: 1, Likelihood: 1 + len(tokenizer.encode("No"))}[type(want)]
    length = len(tokenizer.encode(PROMPTS[3])) + room
    for limit, overflow in [(length - 7, 7), (length - 1, 1), (length, 0)]:
        engine = Transformers(str(folder), max_model_len=limit)
        [reply] = replies(engine, [raw(PROMPTS[3], want)])
        assert reply.overflow == overflow
        assert bool(reply.text or reply.scores) == (overflow == 0)


def test_labels_that_merge_are_refused_before_a_run(tmp_path):
    merging = Transformers(str(tiny.checkpoint(tmp_path, brackets_merge=True)))
    with pytest.raises(LabelError, match=r"label 'A' is not one token"):
        merging.check(raw("Best:\n", Labels(("A", "B")), prefill="["))


def test_a_pair_and_an_empty_prompt_are_refused(engine):
    with pytest.raises(EngineError, match="scorer"):
        engine.check(Request((), Pair("q", "d")))
    with pytest.raises(EngineError, match="empty"):
        engine.check(raw("", Text(1)))


def test_a_prompt_that_is_no_unicode_is_an_error_reply(engine):
    engine.submit(1, raw("broken \ud800", Text(3)))
    [(_, reply)] = engine.poll()
    assert "tokenizer refuses the prompt" in reply.error


def test_bfloat16_labels_are_told_apart_by_a_float32_head(folder, plain):
    import torch
    from transformers import AutoModelForCausalLM

    _, tokenizer = plain
    labels = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    [reply] = replies(
        Transformers(str(folder), dtype="bfloat16"), [raw(PROMPTS[0], Labels(labels))]
    )
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    with torch.inference_mode():
        ids = torch.tensor([tokenizer.encode(PROMPTS[0])])
        hidden = model.model(ids).last_hidden_state[0, -1]
        scores = (model.lm_head.weight.float() @ hidden.float()).log_softmax(-1)
    wanted = scores[tokenizer.convert_tokens_to_ids(list(labels))].tolist()
    assert reply.scores == pytest.approx(wanted, abs=1e-4)
    assert len(set(reply.scores)) == len(labels)


def test_absolute_positions_hold_when_rows_of_a_batch_end_at_different_times(tmp_path, plain):
    """A row that is done must not be carried on past the model's last position."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    _, tokenizer = plain
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=64, n_embd=32, n_layer=2, n_head=2,
        initializer_range=0.3, bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    long = "A\n" * 25
    count = 64 - len(tokenizer.encode(long))
    asked = [(long, count), ("A\n", 60), ("the sea\n", 30)]
    engine = Transformers(str(tmp_path))
    found = replies(engine, [raw(prompt, Text(limit)) for prompt, limit in asked])
    for (prompt, limit), reply in zip(asked, found, strict=True):
        ids = tokenizer.encode(prompt)
        written = generated(model, ids, limit, pad_token_id=0)[len(ids) :]
        assert reply.text == tokenizer.decode(written, skip_special_tokens=True)


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    return encoder_decoder(tmp_path_factory.mktemp("t5"))


T5_PROMPTS = ["Query: cats Document: cats sleep Relevant:", "Query: dogs Document: the Relevant:"]


def decoder_log_probs(model, tokenizer, prompt, written):
    import torch

    with torch.inference_mode():
        ids = torch.tensor([tokenizer.encode(prompt)])
        return model(ids, decoder_input_ids=torch.tensor([[0, *written]])).logits[0].log_softmax(-1)


@pytest.mark.parametrize("prefill", ["", "the sea is"])
def test_an_encoder_decoder_scores_labels_where_the_decoder_begins(t5, prefill):
    folder, model, tokenizer = t5
    engine = Transformers(str(folder))
    space = " " if prefill else ""
    want = Labels((f"{space}true", f"{space}false"))
    found = replies(engine, [raw(prompt, want, prefill) for prompt in T5_PROMPTS])
    opens = tokenizer.encode(prefill, add_special_tokens=False)
    for prompt, reply in zip(T5_PROMPTS, found, strict=True):
        scores = decoder_log_probs(model, tokenizer, prompt, opens)[-1]
        wanted = [
            float(scores[tokenizer.convert_tokens_to_ids(f"▁{x}")]) for x in ("true", "false")
        ]
        assert reply.scores == pytest.approx(wanted, abs=1e-5)


def test_an_encoder_decoder_scores_a_continuation(t5):
    folder, model, tokenizer = t5
    texts = ["the sea", "dogs bark"]
    found = replies(
        Transformers(str(folder)), [raw(T5_PROMPTS[0], Likelihood(text)) for text in texts]
    )
    for text, reply in zip(texts, found, strict=True):
        ids = tokenizer.encode(text, add_special_tokens=False)
        scores = decoder_log_probs(model, tokenizer, T5_PROMPTS[0], ids)
        wanted = sum(float(scores[i, token]) for i, token in enumerate(ids))
        assert reply.scores == (pytest.approx(wanted, abs=1e-5),)


def test_an_encoder_decoder_writes_what_generate_writes(t5):
    folder, model, tokenizer = t5
    limits = (9, 4)
    asked = [raw(prompt, Text(limit)) for prompt, limit in zip(T5_PROMPTS, limits, strict=True)]
    for prompt, limit, reply in zip(
        T5_PROMPTS, limits, replies(Transformers(str(folder)), asked), strict=True
    ):
        written = generated(model, tokenizer.encode(prompt), limit)
        assert reply.text == tokenizer.decode(written, skip_special_tokens=True)


def test_a_chat_without_a_template_is_an_error_in_one_line(t5):
    with pytest.raises(EngineError, match="template") as error:
        Transformers(str(t5[0])).check(Request((Message("user", "cats"),), Text(1)))
    assert "\n" not in str(error.value)


def test_the_name_says_what_decides_a_reply(folder, engine):
    others = [
        Transformers(str(folder), dtype="bfloat16"),
        Transformers(str(folder), max_model_len=100),
        Transformers(str(folder), chat_template_options={"enable_thinking": False}),
        Transformers(str(folder), revision="v2"),
    ]
    assert len({engine.name, *(other.name for other in others)}) == 5
    assert Transformers(str(folder), batch_tokens=7).name == engine.name
    assert "<|im_end|>" in engine.special_tokens


@pytest.mark.parametrize(
    ("options", "wrong", "line"),
    [
        (
            {"model": "no/such-model"},
            EngineError,
            "cannot load 'no/such-model', which is no folder",
        ),
        ({"model": "."}, EngineError, "cannot load '.'"),
        ({"device": "cuda:9"}, EngineError, "torch sees no GPU"),
        ({"device": "nope"}, EngineError, "device 'nope': Expected one of cpu, cuda"),
        ({"device": "cpu:x"}, EngineError, "use auto, cpu or cuda"),
        ({"dtype": "int3"}, UsageError, "use auto, float32"),
        ({"max_model_len": 4096}, EngineError, "has 256 positions"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(folder, monkeypatch, options, wrong, line):
    import huggingface_hub.constants
    import torch

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(wrong) as error:
        Transformers(**{"model": str(folder), **options})
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_scores_that_are_not_numbers_stop_the_run(tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    broken = tiny.checkpoint(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(broken)
    with torch.no_grad():
        model.lm_head.weight[:] = float("nan")
    model.save_pretrained(broken)
    engine = Transformers(str(broken))
    engine.submit(1, raw("A\n", Labels(("A", "B"))))
    with pytest.raises(EngineError, match="not numbers"):
        engine.poll()


def test_a_model_that_writes_no_text_is_refused(tmp_path, plain):
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(tmp_path)
    plain[1].save_pretrained(tmp_path)
    with pytest.raises(EngineError, match="BertForMaskedLM, which writes no text"):
        Transformers(str(tmp_path))


def test_loading_and_writing_leave_stdout_and_stderr_clean(folder):
    script = (
        "import sys; from rerank.engines.transformers import Transformers;"
        "from rerank.wants import *;"
        "engine = Transformers(sys.argv[1]);"
        "engine.submit(1, Request((Message('user', 'cat ' * 400),), Text(4)));"
        "engine.submit(2, Request((Message('user', 'cat'),), Text(4), chat=True));"
        "replies = [*engine.poll(), *engine.poll()];"
        "assert replies[0][1].overflow and replies[1][1].text, replies; engine.close()"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, folder],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=300,
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("module", ["torch", "transformers"])
def test_without_the_extra_the_line_that_installs_it_is_given(monkeypatch, folder, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r"pip install .*\[transformers\]'"):
        Transformers(str(folder))


def test_a_tokenizer_comes_alone(folder, plain):
    assert checkpoints.tokenizer(str(folder)).encode("A cat") == plain[1].encode("A cat")


def test_the_two_sides_of_an_encoder_decoder_do_not_share_its_length(t5):
    folder, _, tokenizer = t5
    length = len(tokenizer.encode(T5_PROMPTS[0]))
    engine = Transformers(str(folder), max_model_len=length)
    wants = [Labels(("true", "false")), Text(length), Text(length + 2)]
    found = replies(engine, [raw(T5_PROMPTS[0], want) for want in wants])
    assert [reply.overflow for reply in found] == [0, 0, 2]
    [cut] = replies(Transformers(str(folder), max_model_len=4), [raw(T5_PROMPTS[0], wants[0])])
    assert cut.overflow == length - 4


def test_what_is_cancelled_is_not_computed(engine):
    for ticket in range(6):
        engine.submit(ticket, raw(f"text {ticket}", Labels(("A", "B"))))
    engine.cancel(set(range(5)))
    found = dict(engine.poll())
    assert [*found] == [5] and engine.poll() == []
