"""A run that is killed resumes from its journal and ends with the same bytes."""

import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from running import without_times
from small import beir

pytestmark = pytest.mark.usefixtures("here")

ROOT = Path(__file__).resolve().parents[2]


class Listing(ThreadingHTTPServer):
    """An OpenAI-compatible server that orders lists by a hash and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, seconds):
        super().__init__(("127.0.0.1", 0), Answering)
        self.seconds, self.asked, self.lock = seconds, [], threading.Lock()

    def handle_error(self, request, client_address):
        """A client that was killed."""


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        shown = body["messages"][-1]["content"]
        with self.server.lock:
            self.server.asked.append(shown)
        time.sleep(self.server.seconds)
        places = [f"[{i + 1}]" for i in range(shown.count("\n["))]
        random.Random(hashlib.sha256(shown.encode()).hexdigest()).shuffle(places)
        message = {"role": "assistant", "content": " > ".join(places)}
        usage = {"prompt_tokens": len(shown), "completion_tokens": len(places)}
        self.answer({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

    def do_GET(self):
        self.answer({"data": [{"id": "tiny"}]})

    def answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def replayed(result):
    """Takes out, and gives, how many calls a journal answered: in all, and for the dataset."""
    return [part["cost"].pop("replayed") for part in (result, result["datasets"]["small"])]


@contextmanager
def listing(seconds=0.0):
    server = Listing(seconds)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def questions(server):
    """What was asked for the ranking's sake: all but the check of a model at the start."""
    return [shown for shown in server.asked if "what is checked here" not in shown]


def start(folder, server):
    """The command that ranks with this server, in a process of its own."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{server.server_port}/v1"
    Path(folder, "recipe.toml").write_text(
        'dataset = "small"\nmethod = "listwise"\nmodel = "tiny"\n'
        f'base_url = "{url}"\nengine_options = {{ concurrency = 4 }}\n'
        "options = { window = 6, stride = 3, passes = 4, k = 10 }\n"
    )
    return subprocess.Popen(
        [sys.executable, "-m", "rerank.cli", "run", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def remembered(folder):
    """What the journal of a killed run holds, read from a copy: the original stays as it is."""
    copy = Path("copy")
    shutil.copytree(folder, copy)
    try:
        rows = sqlite3.connect(copy / "journal.sqlite").execute("SELECT request FROM reply")
        return {json.loads(request)["messages"][-1][1] for (request,) in rows}
    finally:
        shutil.rmtree(copy)


def killed(folder, server, after):
    """Start the command, and kill it once the server has been asked `after` questions in all.

    Gives what the journal holds by then, and how much the server had been asked.
    """
    process = start(folder, server)
    while len(questions(server)) < after:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not Path(folder, "run.trec.gz").exists()
    time.sleep(0.1)  # what was still under way comes in
    return remembered(folder), len(questions(server))


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes_and_asks_nothing_twice(here):
    beir(here / "small", queries=8, docs=30)
    with listing() as server:
        process = start("whole/it", server)
        assert process.wait() == 0
        whole = questions(server)
    assert len(set(whole)) == len(whole) > 100
    moments = (1, len(whole) // 5, len(whole) // 2, 9 * len(whole) // 10)
    with listing(0.05) as server:  # so slow that what it has answered is on disk at once
        kills = [killed("torn/it", server, after) for after in moments]
        process = start("torn/it", server)
        assert process.wait() == 0
        asked = questions(server)
    for known, before in kills:
        assert known <= {*asked[:before]} and not known & {*asked[before:]}
    assert [len(known) for known, _ in kills] == sorted(len(known) for known, _ in kills)
    assert 0 < len(kills[1][0]) < len(kills[-1][0])
    assert {*asked} == {*whole} and len(asked) - len(whole) <= 4 * len(moments)  # four at once
    assert Path("torn/it/run.trec.gz").read_bytes() == Path("whole/it/run.trec.gz").read_bytes()
    torn, sound = (json.loads(Path(f, "it/result.json").read_text()) for f in ("torn", "whole"))
    for found in (torn, sound):  # the servers' ports differ, and what the journal gave
        del found["recipe_sha256"], found["recipe"]["base_url"]
    assert replayed(torn) == [len(kills[-1][0])] * 2 and replayed(sound) == [0, 0]
    assert without_times(torn) == without_times(sound)
