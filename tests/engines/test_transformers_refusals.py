"""What the engine cannot load or answer is one line, and what it can leaves no other."""

import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from plainly import raw

from rerank.engines.models import checkpoints
from rerank.engines.transformers import Transformers
from rerank.errors import EngineError, MissingExtra, UsageError
from rerank.wants import Labels

pytestmark = pytest.mark.slow  # torch alone takes seconds to import


def test_the_name_says_what_decides_a_reply(folder, engine):
    others = [
        Transformers(str(folder), dtype="bfloat16"),
        Transformers(str(folder), max_model_len=100),
        Transformers(str(folder), chat_template_options={"enable_thinking": False}),
        Transformers(str(folder), revision="v2"),
    ]
    assert len({engine.name, *(other.name for other in others)}) == 5
    assert Transformers(str(folder), batch_tokens=7).name == engine.name
    assert "<|im_end|>" in engine.special_tokens


@pytest.mark.parametrize(
    ("options", "wrong", "line"),
    [
        (
            {"model": "no/such-model"},
            EngineError,
            "cannot load 'no/such-model', which is no folder",
        ),
        ({"model": "."}, EngineError, "cannot load '.'"),
        ({"device": "cuda:9"}, EngineError, "torch sees no GPU"),
        ({"device": "nope"}, EngineError, "device 'nope': Expected one of cpu, cuda"),
        ({"device": "cpu:x"}, EngineError, "use auto, cpu or cuda"),
        ({"dtype": "int3"}, UsageError, "use auto, float32"),
        ({"max_model_len": 4096}, EngineError, "has 256 positions"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(folder, monkeypatch, options, wrong, line):
    import huggingface_hub.constants
    import torch

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(wrong) as error:
        Transformers(**{"model": str(folder), **options})
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_scores_that_are_not_numbers_stop_the_run(tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    broken = tiny.checkpoint(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(broken)
    with torch.no_grad():
        model.lm_head.weight[:] = float("nan")
    model.save_pretrained(broken)
    engine = Transformers(str(broken))
    engine.submit(1, raw("A\n", Labels(("A", "B"))))
    with pytest.raises(EngineError, match="not numbers"):
        engine.poll()


def test_a_model_that_writes_no_text_is_refused(tmp_path, plain):
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(tmp_path)
    plain[1].save_pretrained(tmp_path)
    with pytest.raises(EngineError, match="BertForMaskedLM, which writes no text"):
        Transformers(str(tmp_path))


def test_loading_and_writing_leave_stdout_and_stderr_clean(folder):
    script = (
        "import sys; from rerank.engines.transformers import Transformers;"
        "from rerank.wants import *;"
        "engine = Transformers(sys.argv[1]);"
        "engine.submit(1, Request((Message('user', 'cat ' * 400),), Text(4)));"
        "engine.submit(2, Request((Message('user', 'cat'),), Text(4), chat=True));"
        "replies = [*engine.poll(), *engine.poll()];"
        "assert replies[0][1].overflow and replies[1][1].text, replies; engine.close()"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, folder],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=300,
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("module", ["torch", "transformers"])
def test_without_the_extra_the_line_that_installs_it_is_given(monkeypatch, folder, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r"pip install .*\[transformers\]'"):
        Transformers(str(folder))


def test_a_tokenizer_comes_alone(folder, plain):
    assert checkpoints.tokenizer(str(folder)).encode("A cat") == plain[1].encode("A cat")


def test_what_is_cancelled_is_not_computed(engine):
    for ticket in range(6):
        engine.submit(ticket, raw(f"text {ticket}", Labels(("A", "B"))))
    engine.cancel(set(range(5)))
    found = dict(engine.poll())
    assert [*found] == [5] and engine.poll() == []
