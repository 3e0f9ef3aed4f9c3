"""What the host spends beside the model: words, token ids, scheduling, memory."""

import json
import random
import subprocess
import sys
from pathlib import Path
from time import process_time

import pytest
import tiny
from bench.lists import candidates
from bench.report import record

from rerank import garbage, passages
from rerank.engines.tokenisation.tokens import Tokens
from rerank.prompts import read_prompt
from rerank.questions import Compare, Order, Pick, Rate
from rerank.records import Answer, Doc, Query
from rerank.scheduler import drive
from rerank.strategies import STRATEGIES

WINDOWS = ("listwise/rank-zephyr", "listwise/first", "listwise/letters", "listwise/rank-gpt")

TURNS = 3


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from transformers import AutoTokenizer

    folder = tiny.checkpoint(tmp_path_factory.mktemp("tiny"))
    return AutoTokenizer.from_pretrained(folder)


def forgetful(tokenizer):
    """A tokenizer that has seen no passage, after `passages` has forgotten them, too."""
    passages.passage.cache_clear()
    return Tokens(tokenizer)


def per_window(prompt, tokens, windows, whole=False):
    """Milliseconds of CPU and tokens for the prompt of a window, in the mean."""
    begun, length = process_time(), 0
    for query, docs in windows:
        request = prompt.wording(query, Order(docs)).request
        if whole:
            length += len(tokens.tokenizer.encode(tokens.text(request), add_special_tokens=False))
        else:
            length += len(tokens.ids(request))
    return 1000 * (process_time() - begun) / len(windows), length / len(windows)


def test_a_window_of_known_passages_is_worded_and_tokenised_in_a_fraction_of_a_millisecond(
    tokenizer,
):
    chance, rows = random.Random(0), []
    lists = candidates("dl19", 20)
    first = [(q, tuple(docs[i : i + 20])) for q, docs in lists.items() for i in range(0, 100, 20)]
    again = [(q, tuple(chance.sample(docs, 20))) for q, docs in lists.items() for _ in range(20)]
    for name in WINDOWS:
        tokens = forgetful(tokenizer)
        prompt = read_prompt(name).fitted(tokens.special, tokens.cut)
        new, _ = per_window(prompt, tokens, first)
        known, length = min(per_window(prompt, tokens, again) for _ in range(TURNS))
        text, _ = per_window(prompt, tokens, again[:50], whole=True)
        rows.append({"prompt": name, "tokens": length, "new passages, ms": new})
        rows[-1] |= {"known passages, ms": known, "tokenised whole, ms": text}
        rows[-1] |= {"faster than whole": text / known}
    note = (
        "Prompt.wording and Tokens.ids of a window of 20 dl19 passages, CPU time in the mean; of"
        " known passages the least of three turns, and the goal for them is 0.2 ms."
    )
    record("Host: a window's prompt", rows, note)


ANSWERS = {Rate: lambda _: 0.5, Compare: lambda _: 0.5}
ANSWERS |= {Pick: lambda asked: [0.0] * len(asked.docs), Order: lambda asked: list(asked.docs)}


class Instant:
    """Answers at once, and that nothing is decided."""

    def __init__(self):
        self.answers = []

    def submit(self, ticket, query, question):
        self.answers.append((ticket, Answer(ANSWERS[type(question)](question))))

    def poll(self):
        answers, self.answers = self.answers, []
        return answers


def alone(strategy, docs):
    """Play a strategy without a scheduler and return how many questions it asks."""
    asked, playing, answers = 0, strategy(docs), None
    try:
        while True:
            batch = playing.send(answers)
            asked += len(batch)
            answers = [ANSWERS[type(question)](question) for question in batch]
    except StopIteration:
        return asked


QUERIES = {  # of 100 candidates each
    "pointwise": 2000,
    "sliding-window": 10000,
    "setwise-heapsort": 2000,
    "prp-heapsort": 400,
    "prp-allpairs": 20,
}


def driven(strategy, docs, queries, asked):
    """Microseconds of CPU for each question, the scheduler's and the judge's."""
    begun = process_time()
    jobs = drive(((Query(str(i), "q"), strategy(docs)) for i in range(queries)), Instant())
    assert sum(job.questions for job in jobs) == asked
    return 1e6 * (process_time() - begun) / asked


def played(strategy, docs, queries):
    """The same without a scheduler, and how many questions are asked."""
    begun = process_time()
    asked = sum(alone(strategy, docs) for _ in range(queries))
    return 1e6 * (process_time() - begun) / asked, asked


def test_the_scheduler_spends_microseconds_on_a_question():
    rows = []
    docs = [Doc(str(place), f"{place} text " * 50) for place in range(100)]
    for name, queries in QUERIES.items():
        size = STRATEGIES[name], docs, queries
        with garbage.left_alone():
            own, asked = min(played(*size) for _ in range(TURNS))
            micro = min(driven(*size, asked) for _ in range(TURNS))
        outside = min(driven(*size, asked) for _ in range(TURNS))
        rows.append({"strategy": name, "queries": queries, "questions": asked})
        rows[-1] |= {"in all, us": micro, "scheduler, us": micro - own}
        rows[-1] |= {"questions/s": round(1e6 / micro), "outside a run, us": outside}
    note = (
        "CPU time for each question of 100 candidates a query, with a judge that answers at once:"
        " in all, and without what strategy and judge take by themselves; the least of three"
        " turns. Python looks for garbage as seldom as in `rerank run`; outside a run it looks as"
        " often as it likes. The goals are 20 us and 100 000 questions/s."
    )
    record("Host: the scheduler", rows, note)


def test_ten_thousand_queries_fit_in_memory():
    rows = []
    for method in ("listwise", "setwise-heapsort", "yes-no"):
        script = Path(__file__).with_name("many_queries.py")
        ran = subprocess.run([sys.executable, script, method], capture_output=True, check=True)
        rows.append({"method": method} | json.loads(ran.stdout))
    note = (
        "A million candidates, 10 000 queries with 100 each and every text another, reranked by the"
        " oracle: the process's memory in MiB with the candidates loaded, its peak, and what it"
        " kept at the end: rankings and runs. The goal is 1500."
    )
    record("Host: memory", rows, note)
