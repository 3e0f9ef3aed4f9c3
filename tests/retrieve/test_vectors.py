"""The store of vectors: what is written stays, what is torn goes, nothing is made twice."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rerank.errors import UsageError
from rerank.retrieve import vectors
from rerank.retrieve.vectors import Store, encoded


class Counting:
    """Makes a vector of a text's length and first letter, and remembers what it was asked."""

    name, width, prompts = "counting", 2, ("", "")

    def __init__(self):
        self.asked = []

    def encode(self, texts):
        self.asked += texts
        return np.array([[len(text), ord(text[0])] for text in texts], np.float32)


def read(store, places):
    return store.rows()["vector"][places].tolist()


def test_each_text_gets_its_own_vector_in_the_order_of_the_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "AT_ONCE", 2)
    store, encoder = Store(tmp_path, "m", 2), Counting()
    texts = ["b", "aaa", "cc", "b", "aaaaa"]
    assert read(store, encoded(texts, encoder, store)) == [
        [1, 98],
        [3, 97],
        [2, 99],
        [1, 98],
        [5, 97],
    ]
    assert encoder.asked == ["aaaaa", "aaa", "cc", "b"]


def test_a_text_is_encoded_once_whoever_asks_for_it(tmp_path):
    encoded(["one", "two"], Counting(), Store(tmp_path, "m", 2))
    again = Counting()
    encoded(["two", "three", "one"], again, Store(tmp_path, "m", 2))
    assert again.asked == ["three"]


def test_another_model_or_width_has_a_file_of_its_own(tmp_path):
    encoded(["one"], Counting(), Store(tmp_path, "m", 2))
    other = Counting()
    encoded(["one"], other, Store(tmp_path, "another", 2))
    assert other.asked == ["one"]
    assert Store(tmp_path, "m", 3).path != Store(tmp_path, "m", 2).path


def test_a_row_that_was_torn_is_made_again_and_the_others_are_kept(tmp_path):
    store = Store(tmp_path, "m", 2)
    encoded(["a", "bb", "ccc"], Counting(), store)
    whole = store.path.read_bytes()
    for torn in range(1, store.row.itemsize):
        store.path.write_bytes(whole[:-torn])
        opened, again = Store(tmp_path, "m", 2), Counting()
        assert read(opened, encoded(["a", "bb", "ccc"], again, opened)) == [
            [1, 97],
            [2, 98],
            [3, 99],
        ]
        assert again.asked == ["a"]  # the last that was written: the longest come first


def test_many_writers_tear_nothing_of_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "AT_ONCE", 3)

    def write(start):
        texts = [chr(97 + start) * n for n in range(1, 40)]
        store = Store(tmp_path, "m", 2)
        return read(store, encoded(texts, Counting(), store)) == [
            [n, 97 + start] for n in range(1, 40)
        ]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write, range(16)))


def test_no_texts_need_no_encoder(tmp_path):
    assert encoded([], Counting(), Store(tmp_path, "m", 2)).tolist() == []


def test_a_folder_that_cannot_be_written_is_named_with_the_mend(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="set RERANK_CACHE"):
        Store(tmp_path / "file", "m", 2)


SLOWLY = """
import sys, time
import numpy as np
from pathlib import Path
from rerank.retrieve import vectors

class Slow:
    name, width, prompts = "slow", 384, ("", "")
    def encode(self, texts):
        time.sleep(0.01)
        return np.array([[float(text)] * 384 for text in texts], np.float32)

vectors.AT_ONCE = 8
store = vectors.Store(Path(sys.argv[1]), "slow", 384)
texts = [str(n) for n in range(2000)]
before = len(store.rows())
places = vectors.encoded(texts, Slow(), store)
assert (store.rows()["vector"][places, 7] == np.arange(2000)).all()
print(before, len(store.rows()))
"""


@pytest.mark.slow
def test_an_encoding_that_is_killed_goes_on_where_it_was(tmp_path):
    command = [sys.executable, "-c", SLOWLY, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    for _ in range(3):
        running = subprocess.Popen(command, env=environment)
        seen, limit = _size(tmp_path), time.monotonic() + 30
        while _size(tmp_path) <= seen + 50_000 and time.monotonic() < limit:
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    before, rows = map(int, done.stdout.split())
    assert before > 90
    assert rows == 2000


def _size(folder):
    return sum(file.stat().st_size for file in folder.glob("*.rows"))
