"""One slow answer holds up its own query and no other: against a barrier after each round.

Time is virtual: a judge with so many places, each answer as long as a log-normal draw says.
"""

import heapq
import random
from collections import deque

from bench.report import record

from rerank.questions import Order
from rerank.records import Answer
from rerank.scheduler import drive
from rerank.strategies import STRATEGIES

SIGMA, PLACES = 0.8, 128
PLAYED = [(name, count) for name in ("sliding-window", "setwise-heapsort") for count in (100, 500)]


class LogNormal:
    """Answers `places` questions at a time, first come first served; `now` is its clock."""

    def __init__(self, places):
        self.places, self.now, self.chance = places, 0.0, random.Random(0)
        self.waiting, self.busy, self.asked = deque(), [], 0

    def submit(self, ticket, query, question):
        self.waiting.append((ticket, question))
        self.asked += 1
        self.start()

    def start(self):
        while self.waiting and len(self.busy) < self.places:
            ticket, question = self.waiting.popleft()
            done = self.now + self.chance.lognormvariate(0, SIGMA)
            heapq.heappush(self.busy, (done, ticket, question))

    def poll(self):
        self.now, ticket, question = heapq.heappop(self.busy)
        self.start()
        return [(ticket, Answer(answer(question)))]


def answer(question):
    """Documents are numbers here, and worth what a shuffle of them says."""
    worth = [doc * 7919 % 101 for doc in question.docs]
    if isinstance(question, Order):
        return sorted(question.docs, key=lambda doc: -worth[question.docs.index(doc)])
    return worth


def in_rounds(strategies, judge, at_once):
    """So many queries side by side, all waiting for the slowest of each round."""
    for start in range(0, len(strategies), at_once):
        answers = dict.fromkeys(strategies[start : start + at_once])
        while answers:
            answers = one_round(answers, judge)


def one_round(answers, judge):
    """Send the answers, ask what is asked next and wait for all of it; who has asked on."""
    batches, heard = {}, {}
    for strategy, said in answers.items():
        try:
            batches[strategy] = strategy.send(said)
        except StopIteration:
            continue
        for place, question in enumerate(batches[strategy]):
            judge.submit((id(strategy), place), None, question)
    while judge.busy:
        heard.update(judge.poll())
    return {
        strategy: [heard[id(strategy), place].value for place in range(len(batch))]
        for strategy, batch in batches.items()
    }


def playing(name, queries):
    return [STRATEGIES[name](list(range(100))) for _ in range(queries)]


def test_nobody_waits_for_the_slowest_of_a_round():
    rows = []
    for name, queries in PLAYED:
        free, few, all_of_them = (LogNormal(PLACES) for _ in range(3))
        list(drive(enumerate(playing(name, queries)), free, at_once=PLACES, memo=False))
        in_rounds(playing(name, queries), few, PLACES)
        in_rounds(playing(name, queries), all_of_them, queries)
        assert free.asked == few.asked == all_of_them.asked
        rows.append({"strategy": name, "queries": queries, "questions": free.asked})
        rows[-1] |= {"without barrier": free.asked / free.now}
        rows[-1] |= {f"barrier, {PLACES} queries": few.asked / few.now}
        rows[-1] |= {"barrier, all queries": all_of_them.asked / all_of_them.now}
        rows[-1] |= {"faster": few.now / free.now, "than all": all_of_them.now / free.now}
    note = (
        f"Answers for each unit of (virtual) time from a judge that answers {PLACES} questions at a"
        f" time, each after a log-normal time (sigma {SIGMA}, median 1), so at most"
        f" {PLACES / 1.377:.0f}: `drive` with at_once={PLACES} against a barrier after each round,"
        f" {PLACES} queries side by side or all of them. The goal is 2.5 times as many."
    )
    record("One slow query does not hold the others", rows, note)
