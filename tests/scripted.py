"""A server that says what a test tells it to, and an engine that asks it."""

import json
import threading
import time
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import tenacity

from rerank.engines.http import HTTP
from rerank.engines.remote import connection
from rerank.wants import Labels, Message, Request, Text

KEY = "sk-secret-0123456789"
FIVE = Text(5)
AB = Labels(("A", "B"))


class Scripted(ThreadingHTTPServer):
    """A server that answers what a function says, and keeps what it was asked."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Answering)
        self.answer, self.lock = answer, threading.Lock()
        self.asked, self.connections, self.at_once, self.most_at_once = [], 0, 0, 0
        self.pause = 0.0  # seconds after each byte of an answer
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def bodies(self, path="/v1/chat/completions"):
        return [body for asked, _, body in self.asked if asked == path]

    def handle_error(self, request, client_address):
        """A client that closes its connection is what some tests are about."""


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with self.server.lock:
            parsed = json.loads(body) if body else None
            self.server.asked.append((self.path, dict(self.headers), parsed))
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        status, answer, *headers = self.server.answer(self.path, parsed)
        with self.server.lock:
            self.server.at_once -= 1
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in dict(*headers, **{"content-length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.say(content)

    def say(self, content):
        if not self.server.pause:
            self.wfile.write(content)
            return
        for place in range(len(content)):
            self.wfile.write(content[place : place + 1])
            time.sleep(self.server.pause)

    do_GET = do_POST

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """A function that starts a scripted server and gives it back."""
    with ExitStack() as stack:

        def start(answer):
            server = Scripted(answer)
            threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return server

        yield start


@contextmanager
def engine(url, **options):
    opened = HTTP(options.pop("model", "tiny"), url, **{"attempts": 3, "timeout": 10, **options})
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def at_once(monkeypatch):
    """Retries without waiting."""
    monkeypatch.setattr(connection, "BACK_OFF", tenacity.wait_none())


def saying(text="Yes", finish="stop", **usage):
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 1, **usage}}


def asking(text="Which?", want=FIVE, **rest):
    return Request((Message("user", text),), want, **rest)


def one(opened, request=None):
    opened.submit("ticket", request or asking())
    [(ticket, reply)] = opened.poll()
    assert ticket == "ticket"
    return reply


def all_of(opened, requests):
    """Ask everything; replies by ticket."""
    for ticket, request in enumerate(requests):
        opened.submit(ticket, request)
    replies = {}
    while len(replies) < len(requests):
        replies.update(opened.poll())
    return replies


def listing(*models):
    return {"data": [{"id": model} for model in models]}


def checked(url, request=None, **options):
    with engine(url, **options) as opened:
        opened.check(request or asking())
