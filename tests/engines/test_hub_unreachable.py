"""A model's name that is nowhere here: refused soon where there is no network, else left alone."""

import pytest
import servers

from rerank.engines import hub
from rerank.engines.hub import refuse_unreachable
from rerank.engines.models.checkpoints import Files
from rerank.errors import EngineError

NOBODY = "http://127.0.0.1:1"


CONSTANTS = "huggingface_hub.constants"


def at(monkeypatch, address):
    """A hub that is there, as $HF_ENDPOINT would have it."""
    monkeypatch.setattr(f"{CONSTANTS}.ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(f"{CONSTANTS}.HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture(autouse=True)
def online(tmp_path, monkeypatch):
    """A cache of our own, a hub that nobody is at, and no pause."""
    pytest.importorskip("transformers")
    monkeypatch.delenv("VLLM_USE_MODELSCOPE", raising=False)
    monkeypatch.setattr(f"{CONSTANTS}.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(f"{CONSTANTS}.HF_HUB_CACHE", str(tmp_path / "cache"))
    at(monkeypatch, NOBODY)
    pauses = []
    monkeypatch.setattr(hub, "sleep", pauses.append)
    return pauses


def test_a_name_that_is_nowhere_is_refused_after_two_tries(online):
    """It was 26 seconds."""
    with pytest.raises(EngineError) as said:
        Files("nosuchmodel")
    line = str(said.value)
    assert line.startswith("cannot load 'nosuchmodel', which is no folder here: the hub's cache")
    assert f"{NOBODY} cannot be reached ([Errno 111]" in line and "\n" not in line
    assert online == [hub.PAUSE, 0]


def test_a_folder_a_model_that_ships_and_one_in_the_cache_ask_nobody(tmp_path, online):
    (tmp_path / "cache/models--owner--name/snapshots").mkdir(parents=True)
    for model in (str(tmp_path), "boxed", "owner/name"):
        refuse_unreachable(model)
    assert not online


def test_what_a_hub_answers_is_left_to_who_loads(monkeypatch, online):
    with servers.archives({}) as server:
        at(monkeypatch, server.address)
        refuse_unreachable("owner/nothing", "v1")
        refuse_unreachable("no/name/of/the/hubs")
    assert not online


def test_who_wants_no_hub_is_not_told_of_one(monkeypatch, online):
    monkeypatch.setenv("VLLM_USE_MODELSCOPE", "True")
    refuse_unreachable("owner/name")
    monkeypatch.delenv("VLLM_USE_MODELSCOPE")
    monkeypatch.setattr(f"{CONSTANTS}.HF_HUB_OFFLINE", True)
    refuse_unreachable("owner/name")
    assert not online
