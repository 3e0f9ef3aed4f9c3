"""Seconds by stage: each second is charged once, to the innermost stage of its own thread."""

from threading import Thread

import pytest

from rerank.stopwatch import STAGES, spent, stage

NOW = [0.0]


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr("rerank.stopwatch.perf_counter", lambda: NOW[0])


def busy(seconds):
    NOW[0] += seconds


def since(before):
    return {name: now - before[name] for name, now in spent().items() if now > before[name]}


def test_a_stage_inside_another_counts_for_itself_alone():
    before = spent()
    with stage("submit"):
        busy(0.01)
        with stage("tokenise"):
            busy(0.02)
        busy(0.01)
    found = since(before)
    assert found["submit"] == pytest.approx(0.02)
    assert found["tokenise"] == pytest.approx(0.02)


def test_what_is_in_no_stage_is_charged_to_none():
    before = spent()
    busy(0.01)
    assert since(before) == {}


def test_a_stage_that_fails_is_over():
    before = spent()
    with pytest.raises(ValueError), stage("read"):
        raise ValueError
    busy(0.01)
    assert since(before) == {}


def test_another_thread_has_seconds_of_its_own():
    before, found = spent(), {}
    thread = Thread(target=lambda: [found.update(spent()), stage("wait").__enter__()])
    thread.start()
    thread.join()
    assert found == dict.fromkeys(STAGES, 0.0) and since(before) == {}
