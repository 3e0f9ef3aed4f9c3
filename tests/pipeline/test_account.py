"""What a run cost: counted query by query, added up over datasets."""

from rerank.pipeline.account import Account
from rerank.records import Query, Status, Usage
from rerank.scheduler import Job
from rerank.stopwatch import STAGES

NOTHING = dict.fromkeys(STAGES, 0.0)


def job(query, **counts):
    finished = Job(Query(query, "text"), iter(()))
    for name, value in counts.items():
        setattr(finished, name, value)
    return finished


def account(*jobs, seconds=0.0):
    counted = Account(seconds=seconds)
    for one in jobs:
        counted.count(one)
    return counted


def test_an_account_sums_what_queries_cost_and_averages_their_rounds():
    one = job("a", questions=5, calls=3, slots=9, rounds=2, usage=Usage(10, 4, 1))
    two = job(
        "b", questions=2, calls=2, slots=4, rounds=1, usage=Usage(5, 0, 2), truncated=3, cut=70
    )
    one.statuses[Status.OK] += 3
    two.statuses[Status.REPAIRED] += 2
    assert account(one, two, seconds=4.0).summary() == {
        "queries": 2,
        "questions": 7,
        "calls": 5,
        "memo": 2,
        "unasked": 0,
        "stopped_queries": 0,
        "replayed": 0,
        "slots": 13,
        "neighbours": 0,
        "rounds": 1.5,
        "prompt_tokens": 15,
        "cached_tokens": 4,
        "completion_tokens": 3,
        "answers": {"ok": 3, "repaired": 2, "unreadable": 0, "failed": 0},
        "truncated_passages": 3,
        "words_cut": 70,
        "failed_queries": [],
        "seconds": 4.0,
        "stages": dict.fromkeys(STAGES, 0.0),
        "queries_per_second": 0.5,
        "tokens_per_second": 4.5,
    }


def test_stages_of_two_datasets_are_added():
    both = Account(stages={**NOTHING, "wait": 1.0}) + Account(stages={**NOTHING, "wait": 0.5})
    assert both.summary()["stages"] == {**NOTHING, "wait": 1.5}


def test_nothing_counted_is_nothing_and_no_division_by_zero():
    empty = Account().summary()
    assert (empty["queries"], empty["rounds"], empty["queries_per_second"]) == (0, 0.0, 0)


def test_two_datasets_add_up_and_queries_of_one_name_both_fail():
    first = account(job("1", rounds=2), job("2", rounds=4, error="late"), seconds=1.0)
    second = account(job("1", rounds=9, error="lost"), seconds=2.0)
    whole = (first + second).summary()
    assert (whole["queries"], whole["rounds"], whole["seconds"]) == (3, 5.0, 3.0)
    assert whole["failed_queries"] == [
        {"query": "1", "error": "lost"},
        {"query": "2", "error": "late"},
    ]
    assert first.summary()["failed_queries"] == [{"query": "2", "error": "late"}]


def test_failed_queries_are_listed_by_name_in_whatever_order_they_failed():
    jobs = [job(name, error="x") for name in "cab"]
    assert account(*jobs).summary() == account(*sorted(jobs, key=lambda j: j.query.id)).summary()
