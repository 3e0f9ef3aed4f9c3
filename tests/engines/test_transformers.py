"""The engine against plain transformers, on tiny checkpoints of random weights."""

import functools
import json
import shutil

import pytest
import tiny
from plainly import PROMPTS, generated, log_probs, raw, replies

from rerank.engines import LabelError
from rerank.engines.transformers import Transformers
from rerank.errors import EngineError
from rerank.wants import Labels, Likelihood, Logits, Message, Pair, Request, Text

pytestmark = pytest.mark.slow  # torch alone takes seconds to import


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
