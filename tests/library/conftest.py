"""A reranker whose model says what a test has it say."""

import pytest
from fakes import ScriptedEngine


@pytest.fixture
def opened(monkeypatch):
    """A function that has the next rerankers answered by `reply`; gives what they opened."""

    def scripted(reply, **options):
        opened = []

        def open_engine(name, model, given):
            opened.append((name, model, given, ScriptedEngine(reply, **options)))
            return opened[-1][-1]

        monkeypatch.setattr("rerank.library.reranker.open_engine", open_engine)
        return opened

    return scripted
