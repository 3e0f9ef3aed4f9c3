"""A server in this process whose engine says what a test has it say."""

import pytest
from fakes import ScriptedEngine, counted
from serving import Client

from rerank import Reranker
from rerank.server.app import Service, application
from rerank.server.limits import Limits


@pytest.fixture
def served(monkeypatch):
    """A function that gives a client of a server whose engine replies `reply`."""
    rerankers = []

    def start(reply=counted, *, method="scorer", engine=None, key=None, on_error="raise", **limits):
        engine = engine or ScriptedEngine(reply)
        monkeypatch.setattr("rerank.library.reranker.open_engine", lambda *_: engine)
        reranker = Reranker("any", method=method, on_error=on_error)
        rerankers.append(reranker)
        app = application(Service(reranker, "our-model", Limits(**limits), key))
        return Client(app)

    yield start
    for reranker in rerankers:
        reranker.close()
