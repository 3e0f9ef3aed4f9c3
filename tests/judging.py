"""A judge over a scripted engine, documents for it, and what it answers."""

from fakes import ScriptedEngine

from rerank.judges import LLMJudge
from rerank.prompts import read_prompt
from rerank.records import Doc, Query
from rerank.wants import Reply

QUERY = Query("q", "why?")
A, B, C, D = (Doc(name, f"text {name}") for name in "abcd")


def told(judge, *questions):
    """The answers to questions that are asked together, in their order."""
    for ticket, question in enumerate(questions):
        judge.submit(ticket, QUERY, question)
    answers = {}
    while len(answers) < len(questions):
        answers |= dict(judge.poll())
    return [answers[ticket] for ticket in range(len(questions))]


def values(judge, *questions):
    return [answer.value for answer in told(judge, *questions)]


def scripted_judge(prompt="listwise/rank-zephyr", reply=None, **options):
    """A judge over a scripted engine, and the engine."""
    engine = ScriptedEngine(reply or (lambda request: Reply("[2] > [1]")), **options)
    return LLMJudge(read_prompt(prompt), engine), engine


def long(doc_id, words, word="wordy"):
    return Doc(doc_id, " ".join([word] * words))


def words_shown(request, count, word="wordy"):
    lines = request.messages[-1].content.splitlines()[2 : 2 + count]
    return [line.count(word) for line in lines]
