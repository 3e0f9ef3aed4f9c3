"""A model's folder: a path that leads nowhere, and weights that are not what they were."""

import json
import os

import pytest

from rerank import Reranker
from rerank.engines.folders import PACKED, refuse_missing, refuse_packed, state
from rerank.engines.opening import ENGINES, open_engine
from rerank.errors import EngineError, InputError


@pytest.mark.parametrize("engine", sorted(set(ENGINES) - {"http"}))
@pytest.mark.parametrize("path", ["./nowhere", "/no/where", "../nowhere", "~/nowhere"])
def test_a_path_that_leads_nowhere_is_refused_before_anything_is_imported(engine, path):
    with pytest.raises(InputError, match=rf"model '{path}': no such folder"):
        open_engine(engine, path, {})


@pytest.mark.parametrize("method", ["auto", "scorer"])
def test_a_path_that_leads_nowhere_is_told_from_a_name_whatever_the_method(method):
    """Where the method was to be found, it was a name that the hub cannot have."""
    with pytest.raises(InputError, match=r"model './nowhere': no such folder"):
        Reranker("./nowhere", method=method)


def test_packed_weights_are_refused_for_vllm_before_it_starts():
    """`rerank rank --method listwise` ended so with half a minute and a nested weight."""
    with pytest.raises(EngineError, match=r"^boxed has packed weights, which vLLM"):
        open_engine("vllm", "boxed", {})


def test_a_name_may_be_on_the_hub_and_a_folder_is_where_it_is(tmp_path):
    refuse_missing("owner/model")
    refuse_missing(str(tmp_path))


def test_a_folder_is_in_another_state_when_its_weights_change_and_back_when_they_do_not(tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"1")
    os.utime(weights, ns=(5, 5))
    before = state(str(tmp_path))
    weights.write_bytes(b"2")
    assert state(str(tmp_path)) != before
    weights.write_bytes(b"1")
    os.utime(weights, ns=(5, 5))
    assert state(str(tmp_path)) == before and len(before) == 12
    (tmp_path / "adapter.json").touch()
    assert state(str(tmp_path)) != before


def test_what_is_no_folder_has_no_state():
    assert state("owner/model") == ""


def test_packed_weights_are_for_transformers_or_an_encoders_for_the_scorer(tmp_path):
    mends = {"BertModel": "it rates pairs: take method scorer", "QwenForCausalLM": "take engine tr"}
    for kind, mend in mends.items():
        (tmp_path / "config.json").write_text(json.dumps({PACKED: True, "architectures": [kind]}))
        with pytest.raises(EngineError, match=mend):
            refuse_packed(str(tmp_path))
