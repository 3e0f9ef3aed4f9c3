"""Labels are scored by the token ids that a server spells, or refused."""

import re
import threading

import pytest
from scripted import AB, FIVE, asking, checked, engine, listing, one

from rerank.engines import LabelError
from rerank.errors import EngineError
from rerank.wants import Labels, Likelihood


class Speller:
    """Answers as vLLM does, over tokens that are letters, control tokens, or "[A" if merged."""

    def __init__(self, *, ids=True, tokenizes=True, merges=False, continues=True, top=20, **scores):
        self.ids, self.tokenizes, self.continues, self.top = ids, tokenizes, continues, top
        self.scores = scores or {"A": -0.5, "B": -1.5}
        self.pattern = r"<\w+>|\[A|." if merges else r"<\w+>|."
        self.words = []

    def __call__(self, path, body):
        if path == "/v1/models":
            return 200, listing("tiny")
        if path in ("/tokenize", "/detokenize"):
            return self.spelled(path, body) if self.tokenizes else (404, {"detail": "Not Found"})
        asked = body["top_logprobs"] if "chat" in path else body["logprobs"]
        if asked > self.top:
            return 400, {"error": {"message": f"top_logprobs: at most {self.top}"}}
        return 200, self.completion("chat" in path, body, asked)

    def spelled(self, path, body):
        if path == "/detokenize":
            return 200, {"prompt": "".join(self.words[token] for token in body["tokens"])}
        tokens = self.encode(self.read(body))
        return 200, {"tokens": tokens, "count": len(tokens), "max_model_len": 99}

    def completion(self, chat, body, asked):
        wanted = body.get("logprob_token_ids", []) if self.ids else []
        found = {f"token_id:{token}": self.scores[self.words[token]] for token in wanted}
        found = found or dict(sorted(self.scores.items(), key=lambda item: -item[1])[:asked])
        top = [{"token": token, "logprob": score} for token, score in found.items()]
        logprobs = {"content": [{"top_logprobs": top}]} if chat else {"top_logprobs": [found]}
        usage = {"prompt_tokens": len(self.encode(self.read(body))), "completion_tokens": 1}
        return {"choices": [{"logprobs": logprobs, "finish_reason": "length"}], "usage": usage}

    def read(self, body):
        if "prompt" in body:
            return body["prompt"]
        *messages, last = [
            f"<{message['role']}>{message['content']}" for message in body["messages"]
        ]
        if not body.get("continue_final_message"):
            return "".join([*messages, last, "<assistant>"])
        return "".join([*messages, last if self.continues else last.rstrip() + "<end>"])

    def encode(self, text):
        found = re.findall(self.pattern, text, re.S)
        self.words += [word for word in dict.fromkeys(found) if word not in self.words]
        return [self.words.index(word) for word in found]


@pytest.mark.parametrize(
    "request_", [asking(want=AB), asking(want=AB, prefill="["), asking(want=AB, chat=False)]
)
def test_labels_are_scored_by_the_ids_that_the_server_spells(serve, request_):
    server = serve(Speller())
    with engine(server.url) as opened:
        opened.check(request_)
        spelled = len(server.bodies("/tokenize"))
        assert one(opened, request_).scores == (-0.5, -1.5)
        assert len(server.bodies("/tokenize")) == spelled
    [body, _] = server.bodies() or server.bodies("/v1/completions")
    assert len(body["logprob_token_ids"]) == 2
    assert (body["max_tokens"], body["temperature"]) == (1, 0.0)
    assert "seed" not in body


def test_a_merged_bracket_and_letter_is_a_label_error(serve):
    server = serve(Speller(merges=True))
    with pytest.raises(
        LabelError, match=r"label 'A' is not one token of its own after '<assistant>\['"
    ):
        checked(server.url, asking(want=AB, prefill="["))
    checked(server.url, asking(want=AB))


def test_a_template_that_ends_the_started_reply_is_refused(serve):
    server = serve(Speller(continues=False))
    for want in (FIVE, AB, Likelihood("yes")):
        with pytest.raises(EngineError, match=r"the chat template does not go on with '\["):
            checked(server.url, asking(want=want, prefill="["))


def test_without_a_tokenizer_only_plain_chats_are_scored(serve):
    server = serve(Speller(tokenizes=False, ids=False))
    checked(server.url, asking(want=AB))
    for request in (
        asking(want=AB, prefill="["),
        asking(want=FIVE, prefill="["),
        asking(want=AB, chat=False),
        asking(want=Likelihood("yes")),
    ):
        with pytest.raises(EngineError, match="does not show how it spells a prompt"):
            checked(server.url, request)


@pytest.mark.parametrize("tokenizes", [True, False])
def test_a_server_that_ignores_the_ids_is_read_from_its_most_probable_tokens(serve, tokenizes):
    server = serve(Speller(ids=False, tokenizes=tokenizes, top=5, A=-1.0, B=-2.0, C=-0.7))
    with engine(server.url) as opened:
        opened.check(asking(want=AB))
        assert one(opened, asking(want=AB)).scores == (-1.0, -2.0)
        absent = one(opened, asking(want=Labels(("A", "D"))))
    assert absent.error == "label 'D' is not in the log-probabilities that came back"
    assert absent.usage.completion_tokens == 1
    assert server.bodies()[-1]["top_logprobs"] == 5


def test_labels_that_are_not_among_the_most_probable_are_refused(serve):
    others = {f"w{i}": -i / 100 for i in range(25)}
    server = serve(Speller(ids=False, A=-9.0, B=-9.0, **others))
    with pytest.raises(
        EngineError, match=r"cannot score these labels exactly: .*label 'A' is not in"
    ):
        checked(server.url, asking(want=AB))
    with pytest.raises(EngineError, match="cannot score these labels exactly"):
        checked(server.url, asking(want=AB, chat=False))


@pytest.mark.parametrize(
    ("top", "error"),
    [
        ([("A", -1.0), ("A", -2.0), ("B", -1.0)], "label 'A' is twice in"),
        ([("A", -1.0), ("B", -9999.0)], "label 'B' is not in"),
        ([(" A", -1.0), ("B", -1.0)], "label 'A' is not in"),
    ],
)
def test_a_label_is_exactly_one_token_that_was_scored(serve, top, error):
    logprobs = {"content": [{"top_logprobs": [{"token": t, "logprob": s} for t, s in top]}]}
    reply = {"choices": [{"logprobs": logprobs}], "usage": {}}
    server = serve(lambda path, _: (200, reply) if "chat" in path else (404, {}))
    with pytest.raises(EngineError, match=error):
        checked(server.url, asking(want=AB))


def test_a_server_that_reads_another_prompt_than_it_spells_is_refused(serve):
    speller = Speller()

    def answer(path, body):
        status, said = speller(path, body)
        return status, said | ({"usage": {"prompt_tokens": 99}} if "choices" in said else {})

    with pytest.raises(EngineError, match=r"reads 99 tokens where its own tokenizer makes 8"):
        checked(serve(answer).url, asking(want=AB))


def test_who_gives_up_while_labels_are_spelled_leaves_it_to_the_others(serve):
    answer, spelling, go_on = Speller(), threading.Event(), threading.Event()

    def slowly(path, body):
        if path == "/tokenize":
            spelling.set()
            go_on.wait(10)
        return answer(path, body)

    with engine(serve(slowly).url) as opened:
        for ticket in ("gives up", "waits"):
            opened.submit(ticket, asking(want=AB))
        assert spelling.wait(10)
        opened.cancel({"gives up"})
        [(_, given_up)] = opened.poll()
        go_on.set()
        [(ticket, reply)] = opened.poll()
        assert (given_up.error, ticket, reply.scores) == ("cancelled", "waits", (-0.5, -1.5))
        assert one(opened, asking(want=AB)).scores == (-0.5, -1.5)


def test_labels_that_are_refused_leave_the_others_as_they_were(serve):
    server = serve(Speller(ids=False, A=-1.0, B=-2.0))
    with engine(server.url) as opened:
        opened.check(asking(want=AB))
        with pytest.raises(EngineError, match="cannot score these labels exactly"):
            opened.check(asking(want=Labels(("A", "Z"))))
        assert one(opened, asking(want=AB)).scores == (-1.0, -2.0)
