"""A judge that answers in any order, and strategies that ask what they are told to."""

import random

from play import by_value, worth

from rerank.questions import Rate, ask_all
from rerank.records import Answer


class Jumbled:
    """Answers a few at a time, in any order; keeps what it was asked and how much was out."""

    def __init__(self, seed=0, at_once=1, answer=None):
        self.chance, self.at_once = random.Random(seed), at_once
        self.answer = answer or (lambda query, question: Answer(by_value(worth)(question)))
        self.out, self.asked, self.most, self.waits = [], [], 0, 0

    def submit(self, ticket, query, question):
        self.asked.append((query, question))
        self.out.append((ticket, self.answer(query, question)))
        self.most = max(self.most, len(self.out))

    def poll(self):
        self.waits += 1
        self.chance.shuffle(self.out)
        ready, self.out = self.out[: self.at_once], self.out[self.at_once :]
        return ready


def answer_everything(answer=None):
    return Jumbled(at_once=10**9, answer=answer)


def asks_in_turn(*batches):
    answers = []
    for batch in batches:
        answers.append((yield from ask_all(map(Rate, batch))))
    return answers


def rate_doc(query, question):
    return Answer(question.doc)
