"""A scripted engine, which replies what a function says, in any order, and functions for it."""

import random
from math import ceil

from rerank.wants import Labels, Likelihood, Pair, Reply, Text


class ScriptedEngine:
    """Replies `reply(request)`; at most `at_once` replies a poll, chosen by `seed` if there is one.

    `limit` is its context in tokens, of `bytes_a_token` bytes each: a longer one overflows.
    """

    name = "scripted"
    cut = None

    def __init__(
        self,
        reply,
        *,
        wants=(Text, Labels, Likelihood, Pair),
        special_tokens=(),
        limit=None,
        bytes_a_token=4.0,
        at_once=None,
        seed=None,
    ):
        self.reply, self.wants, self.special_tokens = reply, wants, special_tokens
        self.limit, self.bytes_a_token = limit, bytes_a_token
        self.at_once, self.chance = at_once, random.Random(seed) if seed is not None else None
        self.requests, self.checked, self.out = [], [], []

    def check(self, request):
        self.checked.append(request)

    def submit(self, ticket, request):
        self.requests.append(request)
        self.out.append((ticket, request))

    def poll(self):
        """Replies one by one, so that whoever reads them may submit in between."""
        if self.chance:
            self.chance.shuffle(self.out)
        for _ in range(min(self.at_once or len(self.out), len(self.out))):
            ticket, request = self.out.pop(0)
            yield ticket, self.answered(request)

    def wake(self):
        pass

    def cancel(self, tickets):
        self.out = [(ticket, request) for ticket, request in self.out if ticket not in tickets]

    def close(self):
        self.out.clear()

    def answered(self, request):
        if self.limit is not None and (over := self.tokens(request) - self.limit) > 0:
            return Reply(overflow=over)
        return self.reply(request)

    def tokens(self, request):
        size = sum(len(message.content.encode()) for message in request.messages)
        return ceil(size / self.bytes_a_token)


def counted(request):
    """Scores a document by how often it says sky."""
    return Reply(scores=(float(request.want.doc.count("sky")),))


def labelled(request):
    """The first label is the most likely one, and so on."""
    return Reply(scores=tuple(-float(place) for place in range(len(request.want.labels))))


def anything(request):
    """Something for every kind of request."""
    return labelled(request) if hasattr(request.want, "labels") else Reply("[2] A", (0.5,))


def reversed_list(request):
    """Writes the list from the last document to the first."""
    count = request.messages[-1].content.count("\n[")
    return Reply(text=" > ".join(f"[{place}]" for place in range(count, 0, -1)))


def order(ranking):
    return [hit.index for hit in ranking]
