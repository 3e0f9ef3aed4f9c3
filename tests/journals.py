"""An engine that says what it was asked, and runs on a journal in processes of their own."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from scripted import asking

from rerank.engines.journal import Journal
from rerank.errors import EngineError
from rerank.records import Usage
from rerank.wants import Labels, Reply, Text


class Fake:
    """Replies with what it was asked, last asked first, and counts."""

    def __init__(self, name="fake", reply=None, at_once=100):
        self.name, self.wants, self.special_tokens = name, (Text, Labels), ("<end>",)
        self.cut = None
        self.out, self.seen, self.closed = [], [], False
        self.reply, self.at_once = reply or echo, at_once

    def check(self, request):
        raise EngineError("checked")

    def submit(self, ticket, request):
        self.seen.append(request)
        self.out.append((ticket, request))

    def poll(self):
        finished, self.out = self.out[-self.at_once :], self.out[: -self.at_once]
        return [(ticket, self.reply(request)) for ticket, request in reversed(finished)]

    def close(self):
        self.closed = True


def echo(request):
    return Reply(text=f"said {request.messages[0].content}", usage=Usage(11, 7, 3))


def python(script, **options):
    folders = Path(__file__).resolve().parents[:2]  # the tests' and the project's
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, **options)


class Logged(Fake):
    """Writes down what it is asked, and finishes a few at a time, in an order of its own."""

    def __init__(self, log):
        super().__init__()
        self.log, self.chance = (
            os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY),
            random.Random(),
        )

    def submit(self, ticket, request):
        os.write(self.log, f"{request.messages[0].content}\n".encode())
        super().submit(ticket, request)

    def poll(self):
        self.chance.shuffle(self.out)
        self.at_once = self.chance.randint(1, 5)
        time.sleep(0.001)
        return super().poll()


def ask_four_hundred(folder):
    """A run: at most 20 out at once, each delivery written down after it has come back."""
    delivered = os.open(folder / "delivered", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    journal = Journal(Logged(folder / "asked"), folder / "journal.db")
    waiting, out = [str(i) for i in range(400)], set()
    while waiting or out:
        while waiting and len(out) < 20:
            out.add(waiting[-1])
            journal.submit(waiting[-1], asking(waiting.pop()))
        for ticket, reply in journal.poll():
            assert reply == echo(asking(ticket))
            out.remove(ticket)
            os.write(delivered, f"{ticket}\n".encode())
    os.write(delivered, json.dumps({"asked": journal.asked}).encode() + b"\n")
    journal.close()
