"""A vLLM that cannot start, or whose process has died, is an error in one line and no wait."""

import queue
import sys
import threading
from types import SimpleNamespace

import pytest
from yardstick import runs_vllm

from rerank.engines.vllm import VLLM, _wake_on_death
from rerank.errors import EngineError, MissingExtra, UsageError


@runs_vllm
def test_an_unknown_option_is_named():
    with pytest.raises(UsageError, match="no option gpu_memory, max_len"):
        VLLM("tiny", max_len=3, gpu_memory=0.9)


@runs_vllm
def test_a_model_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(EngineError, match=r"^vLLM cannot serve .*nowhere") as refused:
        VLLM(str(tmp_path / "nowhere"))
    assert "\n" not in str(refused.value)


def test_without_vllm_the_line_that_installs_it_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingExtra, match=r"pip install .*\[vllm\]'"):
        VLLM("tiny")


def test_a_killed_process_of_vllm_wakes_who_waits_for_it():
    stopped = threading.Event()
    outputs = queue.Queue()
    resources = SimpleNamespace(engine_manager=SimpleNamespace(manager_stopped=stopped))
    _wake_on_death(SimpleNamespace(resources=resources, outputs_queue=outputs))
    assert outputs.empty()
    stopped.set()
    assert isinstance(outputs.get(timeout=10), EngineError)
