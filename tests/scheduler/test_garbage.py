"""A run sets how Python looks for garbage, and leaves it as it was."""

import gc

import pytest

from rerank import garbage
from rerank.judges import Oracle
from rerank.pipeline import rerank_task
from rerank.recipes import Recipe
from rerank.records import Doc, Query
from rerank.tasks import Task


@pytest.fixture(autouse=True)
def thawed():
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def settings():
    return gc.get_threshold(), gc.get_freeze_count() > 0


def test_a_block_is_left_alone_and_then_all_is_as_before():
    before = settings()
    with garbage.left_alone():
        assert settings() == ((garbage.THRESHOLD, *before[0][1:]), True)
    assert settings() == before == (before[0], False)


def test_the_last_of_several_blocks_takes_back_what_the_first_has_set():
    before = settings()
    one, other = garbage.left_alone(), garbage.left_alone()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert settings() != before
    other.__exit__(None, None, None)
    assert settings() == before


def test_an_error_in_a_block_takes_it_back_too():
    before = settings()
    with pytest.raises(ZeroDivisionError), garbage.left_alone():
        raise ZeroDivisionError
    assert settings() == before


def test_a_collector_that_was_off_stays_off_and_what_was_frozen_stays_frozen():
    gc.freeze()
    gc.set_threshold(0)
    with garbage.left_alone():
        assert settings()[0][0] == 0
    assert settings()[0][0] == 0
    assert gc.get_freeze_count() > 0


def test_a_threshold_that_is_higher_stays():
    gc.set_threshold(10 * garbage.THRESHOLD)
    with garbage.left_alone():
        assert gc.get_threshold()[0] == 10 * garbage.THRESHOLD


def test_a_run_is_such_a_block():
    seen, before = [], settings()
    task = Task("t", {Query("1", "q"): [Doc("a", "x"), Doc("b", "y")]}, {"1": {"b": 1}})
    recipe = Recipe(method="listwise", judge="oracle", first="candidates.jsonl")
    rerank_task(recipe, task, Oracle(task.qrels), lambda *_: seen.append(settings()))
    assert seen == [((garbage.THRESHOLD, *before[0][1:]), True)]
    assert settings() == before
