"""A real vLLM on the CPU against plain transformers, on a tiny checkpoint of random weights."""

from dataclasses import replace
from unittest.mock import ANY

import pytest
import tiny
from yardstick import (
    LETTERS,
    PROMPTS,
    chat,
    greedy,
    ids,
    label_scores,
    likelihood,
    log_probabilities,
    raw,
    replies,
    runs_vllm,
    whole,
)

from rerank.engines import NOBODY, LabelError
from rerank.engines.vllm import VLLM
from rerank.errors import EngineError
from rerank.wants import Labels, Likelihood, Pair, Reply, Request, Text

LIMIT = 1024
CHUNK = 256  # tokens in a step, so that long prompts are read in several


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    # vLLM's attention on a CPU takes no heads of less than 32, so 4 heads of 128 / 4.
    return tiny.checkpoint(tmp_path_factory.mktemp("tiny"), hidden=128, brackets_merge=True)


@pytest.fixture(scope="module")
def engine(folder):
    engine = VLLM(str(folder), dtype="float32", max_model_len=LIMIT, max_num_batched_tokens=CHUNK)
    yield engine
    engine.close()
    engine.close()
    assert engine.poll() == []


@runs_vllm
def test_a_text_is_the_same_whether_vllm_decodes_it_or_we_do(engine):
    """Where a text may stop at a string vLLM must decode it, token by token."""
    contents = [f"Rank these passages. {n}" for n in range(12)]
    theirs = replies(engine, [chat(Text(40, ("\0",)), content) for content in contents])
    assert replies(engine, [chat(Text(40), content) for content in contents]) == [
        replace(reply, usage=replace(reply.usage, cached_tokens=ANY)) for reply in theirs
    ]
    assert any(reply.text for reply in theirs)


@runs_vllm
def test_what_is_cancelled_is_written_no_further_and_a_wait_ends_when_it_is_woken(engine):
    for ticket in range(3):
        engine.submit(ticket, chat(Text(700), f"write {ticket}"))
    engine.wake()
    assert engine.poll() == [(NOBODY, Reply())]
    engine.cancel({0, 2})
    engine.submit("short", chat(Text(1)))
    assert [ticket for ticket, _ in engine.poll()] == ["short"]
    engine.cancel([1])
    assert engine.poll() == [] and not engine._engine.has_unfinished_requests()


@runs_vllm
def test_label_scores_are_those_of_a_forward_pass_for_prompts_of_every_length(engine, model):
    requests = [chat(Labels(LETTERS), content) for content in PROMPTS]
    assert len(ids(model, requests[0])) < 32 and len(ids(model, requests[2])) > CHUNK
    for request, reply in zip(requests, replies(engine, requests), strict=True):
        assert reply.scores == pytest.approx(label_scores(model, request), abs=1e-4)
        assert reply.usage.prompt_tokens == len(ids(model, request))


@runs_vllm
def test_every_kind_of_want_is_exact_in_the_company_of_all_others(engine, model):
    words = sorted(set(model.tokenizer.get_vocab()) - set(model.tokenizer.all_special_tokens))
    many = tuple(word for word in words if word.isascii() and word.isalpha())[:128]
    wants = [Labels(LETTERS[:2]), Labels(LETTERS), Labels(many), Text(6), Likelihood(" a query")]
    requests = [
        raw(want, f"{number}: {content}\n")
        for number, content in enumerate(PROMPTS * 3)
        for want in wants
    ]
    for request, reply in zip(requests, replies(engine, requests), strict=True):
        assert not reply.error
        match request.want:
            case Labels():
                assert reply.scores == pytest.approx(label_scores(model, request), abs=1e-4)
            case Likelihood():
                assert reply.scores == pytest.approx([likelihood(model, request)], abs=1e-3)
            case Text():
                assert whole(reply.text) == greedy(model, request)


@runs_vllm
def test_the_sampled_token_may_be_a_label_and_keeps_its_place(engine, model):
    def sampled(content):
        row = log_probabilities(model, ids(model, chat(Text(1), content)))[-1]
        return model.tokenizer.decode([int(row.argmax())])

    content = next(word for word in map(str, range(200)) if sampled(word).strip().isalpha())
    request = chat(Labels(("A", sampled(content), "B")), content)
    [reply] = replies(engine, [request])
    assert max(reply.scores) == reply.scores[1]
    assert reply.scores == pytest.approx(label_scores(model, request), abs=1e-4)


@runs_vllm
def test_text_is_what_transformers_writes_greedily(engine, model):
    requests = [chat(Text(24), content) for content in PROMPTS]
    for request, reply in zip(requests, replies(engine, requests), strict=True):
        assert whole(reply.text) == greedy(model, request)
        assert reply.finished or reply.usage.completion_tokens == 24


@runs_vllm
def test_text_that_is_cut_off_is_not_finished(engine):
    [cut] = replies(engine, [chat(Text(3))])
    assert not cut.finished
    assert cut.usage.completion_tokens == 3


@runs_vllm
def test_text_ends_before_a_stop_string(engine):
    [long] = replies(engine, [chat(Text(24))])
    stop = next(long.text[i : i + 2] for i in range(6, 20) if long.text[i : i + 2].isprintable())
    [stopped] = replies(engine, [chat(Text(24, (stop, "never written")))])
    assert stopped.text == long.text[: long.text.index(stop)]
    assert stopped.finished and not long.finished


@runs_vllm
def test_a_likelihood_is_the_sum_over_the_continuation_alone(engine, model):
    continuation = " what is the best passage?"
    requests = [
        raw(Likelihood(continuation), content) for content in ("Q:", PROMPTS[1], PROMPTS[2])
    ]
    for _ in range(
        2
    ):  # the second time with the prompts in the prefix cache, which it must not read
        for request, reply in zip(requests, replies(engine, requests), strict=True):
            assert reply.scores == pytest.approx([likelihood(model, request)], abs=1e-3)
            assert reply.usage.cached_tokens == 0


@runs_vllm
def test_likelihoods_of_the_parts_sum_to_that_of_the_whole(engine):
    whole, first, second = replies(
        engine,
        [
            chat(Likelihood("yes no")),
            chat(Likelihood("yes")),
            chat(Likelihood(" no"), prefill="yes"),
        ],
    )
    assert whole.scores[0] == pytest.approx(first.scores[0] + second.scores[0], abs=1e-3)


@runs_vllm
@pytest.mark.parametrize("want", [Text(10), Labels(LETTERS), Likelihood(" a b")])
def test_a_prompt_too_long_comes_back_with_the_number_of_tokens_to_cut(engine, model, want):
    new = want.max_tokens if isinstance(want, Text) else 1
    more = 2 if isinstance(want, Likelihood) else 0
    fits, over = (raw(want, " a" * (LIMIT - new - more + extra)) for extra in (0, 7))
    assert len(ids(model, fits)) == LIMIT - new - more
    answered, refused = replies(engine, [fits, over])
    assert refused.overflow == 7
    assert refused.usage.prompt_tokens == 0
    assert answered.overflow == 0
    assert answered.usage.prompt_tokens == LIMIT - new


@runs_vllm
def test_a_shared_prefix_is_read_from_the_cache(engine):
    shared = "The same instruction for every passage of this query. " * 12
    replies(engine, [chat(Labels(LETTERS), shared + "one")])
    [reply] = replies(engine, [chat(Labels(LETTERS), shared + "two")])
    assert 0 < reply.usage.cached_tokens < reply.usage.prompt_tokens
    assert reply.usage.cached_tokens % 32 == 0


@runs_vllm
def test_requests_submitted_while_others_run_come_back_under_their_own_ticket(engine, model):
    slow, quick = chat(Text(60), PROMPTS[0]), [chat(Labels(LETTERS), p) for p in PROMPTS]
    engine.submit("slow", slow)
    engine.submit(("quick", 0), quick[0])
    order, found = [], {}
    while len(found) < 4:
        for ticket, reply in engine.poll():
            order.append(ticket)
            found[ticket] = reply
            if ticket != "slow" and ticket[1] < 2:
                number = ticket[1] + 1
                engine.submit(("quick", number), quick[number])
    assert order == [("quick", 0), ("quick", 1), ("quick", 2), "slow"]
    assert whole(found["slow"].text) == greedy(model, slow)
    for number, request in enumerate(quick):
        assert found["quick", number].scores == pytest.approx(
            label_scores(model, request), abs=1e-4
        )
    assert engine.poll() == []


@runs_vllm
def test_more_requests_than_vllm_runs_at_once_are_all_answered(engine):
    many = [chat(Labels(LETTERS[:2]), f"passage {number}") for number in range(300)]
    assert not any(reply.error for reply in replies(engine, many))


@runs_vllm
def test_a_request_that_cannot_be_sent_comes_back_with_the_reason(engine):
    empty, pair, split = replies(
        engine,
        [
            raw(Text(5), ""),
            Request((), Pair("a", "b")),
            chat(Labels(LETTERS), prefill="["),
        ],
    )
    assert "cannot be empty" in empty.error
    assert "pair" in pair.error
    assert "'A' is not one token" in split.error


@runs_vllm
def test_check_refuses_what_cannot_be_answered_exactly(engine):
    engine.check(chat(Labels(LETTERS)))
    engine.check(chat(Text(5, temperature=0.7)))
    engine.check(chat(Text(5, seed=1)))
    with pytest.raises(LabelError, match="'A' is not one token"):
        engine.check(chat(Labels(LETTERS), prefill="["))
    with pytest.raises(EngineError, match="128 labels, not 129"):
        engine.check(chat(Labels(tuple(map(str, range(129))))))
    with pytest.raises(EngineError, match="does not start with a token of its own"):
        engine.check(chat(Likelihood("A"), prefill="["))
    with pytest.raises(EngineError, match="does not start with a token of its own"):
        engine.check(raw(Likelihood("A"), ""))
    with pytest.raises(EngineError, match="scorer"):
        engine.check(Request((), Pair("a", "b")))
    with pytest.raises(EngineError, match="enable_chunked_prefill=False"):
        engine.check(chat(Text(5, temperature=0.7, seed=1)))


@runs_vllm
def test_the_name_says_what_decides_a_reply_and_the_special_tokens_are_the_models(engine, folder):
    for fact in (str(folder), '"float32"', f'"max_model_len": {LIMIT}', '"seed": 0'):
        assert fact in engine.name
    assert "max_num_batched_tokens" not in engine.name
    assert {"<|im_start|>", "<|im_end|>", "<think>"} <= set(engine.special_tokens)


@runs_vllm
def test_a_vllm_that_dies_is_an_engine_error_in_one_line(engine, monkeypatch):
    engine.submit("lost", chat(Text(2)))

    def die():
        raise RuntimeError("out of\n  memory")

    with monkeypatch.context() as patch:
        patch.setattr(engine._engine, "step", die)
        with pytest.raises(EngineError, match=r"^vLLM stopped: out of memory$") as stopped:
            engine.poll()
    assert isinstance(stopped.value.__cause__, RuntimeError)
    [(ticket, reply)] = engine.poll()
    assert (ticket, reply.usage.completion_tokens) == ("lost", 2)


@runs_vllm
def test_nothing_is_printed_on_stdout(engine, capfd):
    replies(engine, [chat(Labels(LETTERS)), chat(Text(5)), chat(Likelihood("yes"))])
    assert capfd.readouterr().out == ""


@runs_vllm
def test_in_bfloat16_the_float32_head_leaves_no_ties_and_a_seed_repeats_a_sample(
    folder, model, capfd
):
    options = {"enable_chunked_prefill": False, "max_num_batched_tokens": LIMIT}
    engine = VLLM(str(folder), dtype="bfloat16", max_model_len=LIMIT, seed=3, **options)
    request = chat(Labels(LETTERS), PROMPTS[1])
    [labels] = replies(engine, [request])
    assert len(set(labels.scores)) == len(LETTERS)
    assert labels.scores == pytest.approx(label_scores(model, request), abs=0.2)
    assert '"bfloat16"' in engine.name and '"head_dtype": "float32"' in engine.name
    sampled = [chat(Text(8, temperature=1.0, seed=seed)) for seed in (1, 2, 1)]
    one, two, again = replies(engine, sampled)
    assert one.text == again.text != two.text
    engine.submit("unfinished", chat(Text(100)))
    engine.close()
    assert engine.poll() == []
    assert capfd.readouterr().out == ""
