"""Tiny models to train: two encoders, a decoder and one of both."""

import pytest
import tiny
from checkpoints import bert, encoder_decoder, wordpiece


def headless(folder, dropout):
    """A tiny BERT without a head, like MiniLM."""
    import torch

    torch.set_num_threads(1)
    off = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    bert(folder, "BertModel", **off)
    wordpiece(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return headless(tmp_path_factory.mktemp("encoder"), 0.0)


@pytest.fixture(scope="module")
def dropping(tmp_path_factory):
    return headless(tmp_path_factory.mktemp("dropping"), 0.1)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    import torch

    torch.set_num_threads(1)
    return tiny.checkpoint(tmp_path_factory.mktemp("decoder"), hidden=32, context=2048)


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    import torch

    torch.set_num_threads(1)
    return encoder_decoder(tmp_path_factory.mktemp("t5"))[0]
