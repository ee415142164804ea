"""Webhooks: each finished request is told to its receiver, at least once, over real sockets."""

import asyncio
import contextlib
import hashlib
import http.client
import json
import math
import queue
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from valar_batch.local.api.intake import NewBatch, Request
from valar_batch.local.rehearsal.fate import Odds
from valar_batch.local.state.callbacks import Webhook, webhook_of
from valar_batch.local.state.idempotency import Arrival
from valar_batch.local.state.store import Store
from valar_batch.local.webhooks import Webhooks

QUICK = {"webhook_pauses": [0.01, 0.02, 0.04]}
TOKEN = "s3cret"  # noqa: S105 - made up
SECONDS = 60
"""Longer than anything here takes, on a busy machine too."""


class Receiver:
    """Takes callbacks.

    `answer` is the status it answers with, None to close without one, or "never".
    """

    def __init__(self):
        self.calls = queue.Queue()
        self.answer = 204
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = receiver.answer
                receiver.calls.put((self.path, dict(self.headers), body))
                if answer == "never":
                    receiver.released.wait(SECONDS)
                if not isinstance(answer, int):
                    self.close_connection = True
                    return
                self.send_response(answer)
                if answer == 307:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}/done"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def next(self):
        """Wait for a callback: its path, headers and body."""
        return self.calls.get(timeout=SECONDS)

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver():
    with contextlib.closing(Receiver()) as made:
        yield made


@pytest.fixture
def asking(params, receiver):
    """Make params that ask for a webhook of the receiver."""

    def make(text="Is it good?", url=receiver.url, token=TOKEN, **more):
        metadata = {"completion_webhook": url}
        if token is not None:
            metadata["webhook_token"] = token
        return params(text, metadata=metadata, **more)

    return make


def given(server, response_id):
    """The very bytes that GET gives of a response."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    with contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {server.key}"}
        connection.request("GET", f"/v1/responses/{response_id}", headers=headers)
        return connection.getresponse().read()


def owed(folder):
    """What the state says is still to be called."""
    with contextlib.closing(sqlite3.connect(folder / "state.sqlite")) as connection:
        return connection.execute("SELECT * FROM callbacks ORDER BY response").fetchall()


def wait_until_nothing_is_owed(folder):
    deadline = time.monotonic() + SECONDS
    while owed(folder):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["completed", "failed"])
@pytest.mark.parametrize("background", [False, True])
def test_a_finished_response_is_told(start, receiver, asking, share, background):
    """One POST comes, with the token, and with exactly what GET gives."""
    server = start(failure_share=share, latency=0.05)
    made = server.post("/v1/responses", asking(background=background))
    path, headers, body = receiver.next()
    assert body == given(server, made["id"])
    assert json.loads(body)["status"] == ("failed" if share else "completed")
    sent = {name: headers[name] for name in ("Authorization", "Content-Type", "Host")}
    assert (path, sent) == (
        "/done",
        {
            "Authorization": "Bearer s3cret",
            "Content-Type": "application/json",
            "Host": receiver.host,
        },
    )


def test_every_item_of_a_batch_is_told_once(start, tmp_path, receiver, asking, params, batch):
    """Items that ask for it are told by their response ids, others are not."""
    server = start(latency=0.2, failure_share=0.3)
    names = [f"n-{n}" for n in range(150)]
    body = batch(*((name, asking(name)) for name in names), ("quiet", params()))
    batch_id = server.post("/v1/batches", body)["id"]
    bodies = [receiver.next()[2] for _ in names]
    wait_until_nothing_is_owed(tmp_path)
    items = [server.get(f"/v1/batches/{batch_id}/{name}") for name in names]
    assert sorted(bodies) == sorted(given(server, item["id"]) for item in items)
    assert {item["status"] for item in items} == {"completed", "failed"}
    assert receiver.calls.empty()


def test_a_repeated_post_is_told_once(start, tmp_path, receiver, asking):
    """The same POST under the same key is the same request, and owes nothing more."""
    server = start()
    made = [server.post("/v1/responses", asking(), idempotency_key="k") for _ in range(3)]
    last = server.post("/v1/responses", asking("last"))
    told = [json.loads(receiver.next()[2])["id"] for _ in range(2)]
    wait_until_nothing_is_owed(tmp_path)
    assert sorted(told) == sorted({made[0]["id"], last["id"]})
    assert receiver.calls.empty()


@pytest.mark.parametrize("answer", [500, 404, 307, None])
def test_a_failing_receiver_is_tried_four_times(start, tmp_path, receiver, asking, answer):
    """Three more tries, then it is left alone; the record stays as it is."""
    server = start(**QUICK)
    receiver.answer = answer
    made = server.post("/v1/responses", asking())
    calls = [receiver.next() for _ in range(4)]
    wait_until_nothing_is_owed(tmp_path)
    assert [(path, json.loads(body)) for path, _, body in calls] == [("/done", made)] * 4
    assert receiver.calls.empty()
    assert json.loads(given(server, made["id"])) == made


def test_a_receiver_that_recovers_is_told_once_more(start, tmp_path, receiver, asking):
    """After the first good answer there is no other try."""
    server = start(webhook_pauses=[0.5, 0.5, 0.5])
    receiver.answer = 500
    server.post("/v1/responses", asking())
    first = receiver.next()
    receiver.answer = 200
    assert receiver.next() == first
    wait_until_nothing_is_owed(tmp_path)
    assert receiver.calls.empty()


def test_a_receiver_that_never_answers_is_given_up(start, tmp_path, receiver, asking):
    """No answer in time counts as a failed try."""
    server = start(webhook_patience=0.5, **QUICK)
    receiver.answer = "never"
    server.post("/v1/responses", asking())
    first = receiver.next()
    assert [receiver.next() for _ in range(3)] == [first] * 3
    wait_until_nothing_is_owed(tmp_path)
    assert receiver.calls.empty()


def test_nobody_there_is_given_up(start, tmp_path, asking, capfd):
    """A receiver that cannot be reached is given up, and the log says so without its address."""
    server = start(**QUICK)
    with contextlib.closing(Receiver()) as gone:
        url = f"http://user:passw0rd@{gone.host}/hidden"
    made = server.post("/v1/responses", asking(url=url))
    wait_until_nothing_is_owed(tmp_path)
    lines = capfd.readouterr().err.splitlines()
    words = ["tried again"] * 3 + ["given up"]
    assert lines == [f"the webhook of {made['id']} is {word}: ConnectError" for word in words]


def test_a_killed_server_tells_after_its_restart(start, tmp_path, receiver, asking, batch):
    """What was not due yet, and what was under way, is told by the next server."""
    receiver.answer = "never"
    server = start()
    under_way = server.post("/v1/responses", asking("under way"))["id"]
    assert json.loads(receiver.next()[2])["id"] == under_way
    server.kill()
    server = start(latency=2.0)
    later = server.post("/v1/responses", asking("later", background=True))["id"]
    batch_id = server.post("/v1/batches", batch(("a", asking("item"))))["id"]
    server.kill()
    receiver.answer = 200
    receiver.released.set()
    while not receiver.calls.empty():
        receiver.next()
    server = start()
    item = server.get(f"/v1/batches/{batch_id}/a")["id"]
    told = set()
    while len(told) < 3:
        told.add(receiver.next()[2])
    wait_until_nothing_is_owed(tmp_path)
    assert told == {given(server, name) for name in (under_way, later, item)}


def test_a_server_that_is_stopped_lets_go(start, tmp_path, receiver, asking):
    """Calls under way do not hold up the end, and stay owed."""
    receiver.answer = "never"
    server = start()
    made = server.post("/v1/responses", asking())
    receiver.next()
    assert server.stop() == 0
    assert [row[0] for row in owed(tmp_path)] == [made["id"]]


def test_a_proxy_is_not_asked_for_this_machine(start, receiver, asking, monkeypatch):
    """A proxy in the environment does not come between the server and a receiver beside it."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server = start(webhook_pauses=[])
    made = server.post("/v1/responses", asking())
    assert json.loads(receiver.next()[2]) == made


def test_calls_go_on_without_webhooks(start, tmp_path, params, capfd):
    """Where the webhooks break, the log says so, and everything else works."""
    server = start()
    with contextlib.closing(sqlite3.connect(tmp_path / "state.sqlite")) as connection:
        connection.execute("DROP TABLE callbacks")
    made = [server.post("/v1/responses", params()) for _ in range(2)]
    assert [response["status"] for response in made] == ["completed"] * 2
    assert server.stop() == 0
    assert capfd.readouterr().err.count("an errand of the local Valar ended") == 1


UNUSABLE = [
    "",
    "x",
    "ftp://example.com/",
    "http://",
    "//host/",
    "http://[::1",
    "http://a:b/",
    "http:x",
]


@pytest.mark.parametrize("url", UNUSABLE)
def test_an_unusable_url_is_ignored(start, tmp_path, asking, batch, url):
    """The request is taken as if it asked for nothing."""
    server = start(latency=3600.0)
    server.post("/v1/responses", asking(url=url, background=True))
    server.post("/v1/batches", batch(("a", asking(url=url))))
    assert owed(tmp_path) == []


@pytest.mark.parametrize(
    ("metadata", "webhook"),
    [
        ({"completion_webhook": "http://a.b/c?d=e"}, Webhook("http://a.b/c?d=e", None)),
        ({"completion_webhook": "HTTPS://a.b"}, Webhook("HTTPS://a.b", None)),
        ({"completion_webhook": "http://a", "webhook_token": "t"}, Webhook("http://a", "t")),
        ({"completion_webhook": "http://a", "webhook_token": ""}, Webhook("http://a", None)),
        ({"completion_webhook": "http://a", "webhook_token": "a\nb"}, Webhook("http://a", None)),
        ({"completion_webhook": "http://a", "webhook_token": "ä"}, Webhook("http://a", None)),
        ({"completion_webhook": 1}, None),
        ({"webhook_token": "t"}, None),
        ({}, None),
        (None, None),
    ],
)  # fmt: skip
def test_what_asks_for_a_webhook(metadata, webhook):
    """A usable URL is enough; a token that no header can carry is left out."""
    assert webhook_of(json.dumps({"input": "x", "metadata": metadata}).encode()) == webhook
    assert webhook_of(b'{"input":"x"}') is None


@pytest.mark.parametrize(
    ("token", "sent"), [(None, "Basic dXNlcjpwYXNz"), ("s3cret", "Bearer s3cret")]
)
def test_a_name_in_the_url_is_sent_as_a_header(start, receiver, asking, token, sent):
    """A name and a password in the URL are basic authentication, unless there is a token."""
    server = start()
    url = receiver.url.replace("//", "//user:pass@")
    server.post("/v1/responses", asking(url=url, token=token))
    _, headers, _ = receiver.next()
    assert (headers["Authorization"], headers["Host"]) == (sent, receiver.host)


def test_an_answer_from_elsewhere_is_told_when_it_comes(tmp_path, receiver, asking):
    """What settles by word is told then, as it is; a chat completion has no response to tell."""
    content = json.dumps(asking()).encode()
    unsettled = {"now": 1000.0, "latency": math.inf, "odds": Odds()}

    def by(endpoint):
        return Arrival("fingerprint", endpoint, hashlib.sha256(content).digest())

    async def settle_both(store):
        working = asyncio.create_task(Webhooks(store).run())
        add = asyncio.to_thread
        new = NewBatch([Request("a", content)], None)
        await add(store.add_batch, new, by("/v1/batches"), **unsettled)
        for endpoint in ("/v1/responses", "/v1/chat/completions"):
            await add(store.add_single, content, by(endpoint), **unsettled)
        assert receiver.calls.empty()
        for request in store.unsettled(3):
            answer = request.id.encode()
            await add(store.settle, request.id, failed=False, answer=answer, now=1001.0)
        told = [(await add(receiver.next))[2].decode() for _ in range(2)]
        working.cancel()
        await asyncio.wait([working])
        return told

    with contextlib.closing(Store(tmp_path / "state.sqlite")) as store:
        told = asyncio.run(settle_both(store))
    assert [name[:5] for name in told] == ["resp_"] * 2
    assert sorted(map(len, told)) == [29, 35]
