"""The fan-out over real sockets: every key once, whatever the server does."""

from __future__ import annotations

import json
import random
import threading
import time
from email.utils import formatdate

import pytest
from conftest import CERTIFICATE, KEY
from scripted_origin import CUT_BODY, HANG_UP, STALL, Reply, refusal, reply

from valar_batch import __version__
from valar_batch.client.connection import Connection
from valar_batch.client.fanout import Fanout
from valar_batch.errors import (
    BillingRefused,
    ConnectionFailed,
    KeyRefused,
    RemoteError,
    RequestRefused,
    ServerFault,
    UnreadableAnswer,
    UsageError,
)


class Collector:
    """Takes what is terminal, and keeps everything that it was told."""

    def __init__(self):
        self.taken = []
        self.lost = []
        self.refused = []
        self.unusable = 0

    def accept(self, key, body):
        try:
            usable = json.loads(body)["status"] == "completed"
        except (ValueError, KeyError, TypeError):
            usable = False
        if usable:
            self.taken.append((key, json.loads(body)["id"]))
        else:
            self.unusable += 1
        return usable

    def not_found(self, key):
        self.lost.append(key)

    def failed(self, key, error):
        self.refused.append((key, error))

    def fanout(self, connection, **more):
        callbacks = {"accept": self.accept, "not_found": self.not_found, "failed": self.failed}
        return Fanout(connection, **{**callbacks, "jitter": lambda: 0.0, **more})


@pytest.fixture
def collector():
    return Collector()


def fetch(fanout, *jobs):
    """Put the jobs and wait until they are finished."""
    with fanout:
        fanout.put(jobs)
        assert fanout.wait()


def result(request, status="completed"):
    return reply({"id": request.target.rpartition("/")[2], "status": status})


def once_then(first, then=result):
    """The first time a target is asked for, `first`; then the result."""
    seen = set()

    def script(request):
        if request.target in seen:
            return then(request)
        seen.add(request.target)
        return first

    return script


def test_what_is_sent(origin, connection, collector):
    """A GET below the base URL with the key and who we are, and no more."""
    origin.script = result
    with collector.fanout(connection) as fanout:
        fanout.put([("/batches/b/a", "key")])
        assert fanout.wait()
    [request] = origin.requests
    assert (request.method, request.target) == ("GET", "/v1/batches/b/a")
    assert request.headers == {
        "host": connection.base_url.removeprefix("http://").removesuffix("/v1"),
        "user-agent": f"valar-batch/{__version__}",
        "accept": "application/json",
        "authorization": f"Bearer {KEY}",
    }
    assert collector.taken == [("key", "a")]


def test_every_key_once_under_faults(origin, connection, collector):
    """2,000 jobs under seeded faults of every kind: each result exactly once, to its own key."""
    dice = random.Random(7)  # noqa: S311 - faults that repeat
    faults = [
        Reply(fault=HANG_UP),
        Reply(200, b'{"id": "x", "status": "completed"}', fault=CUT_BODY),
        refusal(500),
        refusal(429),
        Reply(503, b"<html>"),
        Reply(200, b"<html>"),
        Reply(302),
        reply({"id": "x", "status": "RUNNING"}),
    ]
    origin.script = lambda request: dice.choice(faults) if dice.random() < 0.1 else result(request)
    with collector.fanout(connection, most=40) as fanout:
        for start in range(0, 2000, 500):
            fanout.put((f"/batches/b/{i}", i) for i in range(start, start + 500))
        assert fanout.wait()
        assert fanout.pending == 0
    assert sorted(collector.taken) == [(i, str(i)) for i in range(2000)]
    assert (collector.lost, collector.refused) == ([], [])


@pytest.mark.parametrize(
    "first",
    [
        Reply(fault=HANG_UP),
        Reply(200, b"0123456789", fault=CUT_BODY),
        Reply(200, b"<html>"),
        Reply(204),
        Reply(301, headers={"Location": "/v1/elsewhere"}),
        reply({"id": "x", "status": "in_progress"}),
        refusal(408),
        refusal(429),
        refusal(500),
        refusal(504),
    ],
)
def test_each_transient_fault_is_asked_again(origin, connection, collector, first):
    """One fault, one more request for the same, one result."""
    origin.script = once_then(first)
    fanout = collector.fanout(connection)
    fetch(fanout, ("/batches/b/a", 1))
    assert fanout.trouble is None
    assert collector.taken == [(1, "a")]
    assert [request.target for request in origin.requests] == ["/v1/batches/b/a"] * 2


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_holds_the_whole_fanout(origin, connection, collector, status):
    """Nothing is asked for before the time that the server named."""
    times = []
    busy = Reply(status, b"", {"Retry-After": "1"})

    def script(request):
        times.append(time.monotonic())
        return busy if len(times) == 1 else result(request)

    origin.script = script
    with collector.fanout(connection, most=1) as fanout:
        fanout.put((f"/{i}", i) for i in range(5))
        assert not fanout.wait(0.3)
        assert fanout.paused > 0
        assert fanout.wait()
    assert sorted(collector.taken) == [(i, str(i)) for i in range(5)]
    assert times[1] - times[0] >= 1.0


def test_retry_after_as_a_date(origin, connection, collector):
    """An HTTP date pauses as seconds do."""
    origin.replies(Reply(429, b"", {"Retry-After": formatdate(time.time() + 300, usegmt=True)}))
    with collector.fanout(connection) as fanout:
        fanout.put([("/a", 1)])
        assert not fanout.wait(0.3)
        assert 200 < fanout.paused < 301
    assert len(origin.requests) == 1


def test_refusals_set_the_rate(origin, connection, collector):
    """A server that permits so many a second is asked for little more, and gives every result."""
    permitted, asked, refused = 200.0, [], []

    def script(request):
        now = time.monotonic()
        asked.append(now)
        if len(asked) - len(refused) > 20 + permitted * (now - asked[0]):
            refused.append(now)
            return refusal(429)
        return result(request)

    origin.script = script
    with collector.fanout(connection, most=8) as fanout:
        fanout.put((f"/{i}", i) for i in range(600))
        assert fanout.wait()
        assert fanout.concurrency == 8
    assert sorted(collector.taken) == [(i, str(i)) for i in range(600)]
    assert len(refused) < 150


def test_a_404_is_the_callers_to_decide(origin, connection, collector):
    """It names the seconds until the next question, or gives the key up."""
    answers = {"a": [0.01, 0.01, None], "b": [0.01]}
    script = {"/v1/a": [refusal(404)] * 3, "/v1/b": [refusal(404)]}
    origin.script = lambda request: (
        script[request.target].pop() if script[request.target] else result(request)
    )
    with collector.fanout(connection, not_found=lambda key: answers[key].pop(0)) as fanout:
        fanout.put([("/a", "a"), ("/b", "b")])
        assert fanout.wait()
    assert answers == {"a": [], "b": []}
    assert collector.taken == [("b", "b")]


def test_another_refusal_ends_its_key_alone(origin, connection, collector):
    """A 400 is given to the caller with its error; the rest goes on."""
    origin.script = lambda request: (
        refusal(400, "bad id", param="custom_id") if request.target == "/v1/a" else result(request)
    )
    with collector.fanout(connection) as fanout:
        fanout.put([("/a", "a"), ("/b", "b")])
        assert fanout.wait()
    [(key, error)] = collector.refused
    assert (key, type(error), error.message) == (
        "a",
        RequestRefused,
        "Valar refused the request (400): bad id (param custom_id, request req_1)",
    )
    assert collector.taken == [("b", "b")]


@pytest.mark.parametrize(
    ("status", "kind"), [(401, KeyRefused), (403, KeyRefused), (402, BillingRefused)]
)
def test_a_refused_key_stops_everything(origin, connection, collector, status, kind):
    """The error is raised where the caller waits, and again where it puts."""
    origin.replies(refusal(status, f"no {KEY}"))
    fanout = collector.fanout(connection, most=1)
    with pytest.raises(kind) as caught:
        fetch(fanout, *[(f"/{i}", i) for i in range(100)])
    with pytest.raises(kind):
        fanout.put([("/more", 1)])
    assert (len(origin.requests), collector.taken) == (1, [])
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("callback", ["accept", "not_found", "failed"])
def test_an_exception_in_a_callback_surfaces(origin, connection, collector, callback):
    """It is the very exception, in the caller's thread, and nothing is asked for after it."""
    status = {"accept": 200, "not_found": 404, "failed": 400}[callback]
    origin.replies(refusal(status))
    broken = ZeroDivisionError("in a callback")

    def fail(*_):
        raise broken

    fanout = collector.fanout(connection, most=1, **{callback: fail})
    with pytest.raises(ZeroDivisionError) as caught:
        fetch(fanout, ("/a", 1), ("/b", 2))
    assert caught.value is broken
    assert len(origin.requests) == 1


def test_a_failure_nobody_waited_for_surfaces_at_the_end(origin, connection, collector):
    """Leaving the context does not swallow it."""
    stopped = threading.Event()

    def fail(*_):
        stopped.set()
        raise ZeroDivisionError

    def leave():
        with collector.fanout(connection, accept=fail) as fanout:
            fanout.put([("/a", 1)])
            stopped.wait()

    origin.script = result
    with pytest.raises(ZeroDivisionError):
        leave()


def test_leaving_early_drops_what_is_under_way(origin, connection, collector):
    """The caller's exception passes, the thread ends, no callback comes after."""
    origin.replies(Reply(fault=STALL))

    def interrupted():
        with collector.fanout(connection) as fanout:
            fanout.put((f"/{i}", i) for i in range(50))
            while not origin.requests:
                fanout.wait(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "fanout" not in {thread.name for thread in threading.enumerate()}
    assert (collector.taken, collector.unusable) == ([], 0)


def test_leaving_while_paused_is_prompt(origin, connection, collector):
    """A long Retry-After does not hold the end."""
    origin.replies(Reply(429, b"", {"Retry-After": "3600"}))
    with collector.fanout(connection) as fanout:
        fanout.put([("/a", 1)])
        while not fanout.paused:
            fanout.wait(0.01)
    assert fanout.pending == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(500), ServerFault),
        (Reply(fault=HANG_UP), ConnectionFailed),
        (Reply(200, b"<html>"), UnreadableAnswer),
    ],
)
def test_patience_ends(origin, connection, collector, answer, kind):
    """When nothing but failures comes for that long, the last one is raised."""
    origin.replies(answer)
    with pytest.raises(kind):
        fetch(collector.fanout(connection, patience=0.1), ("/a", 1))
    assert len(origin.requests) == 2


def test_a_silent_server_is_a_timeout(origin, collector):
    """What does not come is given up after the read timeout, and asked for again."""
    origin.script = once_then(Reply(fault=STALL))
    connection = Connection(origin.base_url, KEY, read_timeout=1)
    fetch(collector.fanout(connection), ("/a", 1))
    assert collector.taken == [(1, "a")]
    assert len(origin.requests) == 2


def test_jobs_may_come_while_others_are_finished(origin, connection, collector):
    """An idle fan-out wakes; `wait` says how it stands."""
    origin.script = result
    with collector.fanout(connection) as fanout:
        assert fanout.wait(0)
        for i in range(3):
            fanout.put([(f"/{i}", i)])
            assert fanout.wait()
    assert collector.taken == [(0, "0"), (1, "1"), (2, "2")]


def test_a_connection_is_used_again(origin, connection, collector):
    """One after another over one connection: the server sees one peer."""
    origin.script = result
    with collector.fanout(connection, most=1) as fanout:
        fanout.put((f"/{i}", i) for i in range(50))
        assert fanout.wait()
    assert len(origin.connections) == 1


def test_a_large_body_arrives_whole(origin, connection):
    """Bodies of many pieces are joined, and the next one begins empty."""
    bodies = []
    sizes = [3_000_000, 1, 0, 500_000]
    origin.script = lambda request: Reply(200, b"x" * sizes[int(request.target[-1])])
    with Fanout(
        connection,
        accept=lambda key, body: bodies.append((key, len(body))) or True,
        not_found=lambda _: None,
        failed=lambda *_: None,
        most=1,
    ) as fanout:
        fanout.put((f"/{i}", i) for i in range(4))
        fanout.wait()
    assert bodies == list(enumerate(sizes))


def test_an_unknown_authority_stops_at_once(tls_origin, collector):
    """A certificate that is not trusted ends the fan-out; with its authority results come."""
    tls_origin.script = result
    with pytest.raises(ConnectionFailed) as caught:
        fetch(collector.fanout(Connection(tls_origin.base_url, KEY)), ("/a", 1))
    assert caught.value.message.startswith("the certificate of 127.0.0.1 is not trusted: ")
    trusting = Connection(tls_origin.base_url, KEY, ca_bundle=str(CERTIFICATE))
    fetch(collector.fanout(trusting), ("/a", 1))
    assert collector.taken == [(1, "a")]


def test_the_environment_is_not_read(origin, connection, collector, monkeypatch):
    """libcurl's own variables do not bend the way."""
    for name in ("http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    origin.script = result
    fetch(collector.fanout(connection), ("/a", 1))
    assert collector.taken == [(1, "a")]


def test_the_proxy_of_the_connection_is_used(origin, collector, monkeypatch):
    """Even where no_proxy in the environment names the host."""
    monkeypatch.setenv("no_proxy", "localhost")
    origin.script = result
    proxy = origin.base_url.removesuffix("/v1")
    with collector.fanout(Connection("http://localhost:9/v1", KEY, proxy=proxy)) as fanout:
        fanout.put([("/a", 1)])
        assert fanout.wait()
    assert origin.requests[0].target == "http://localhost:9/v1/a"


@pytest.mark.parametrize(
    "connection",
    [
        Connection("https://host/v1", "two words"),
        Connection("https://a..b/v1", KEY),
        Connection("https://host:99999/v1", KEY),
    ],
)
def test_settings_that_cannot_work_are_a_usage_error(connection, collector):
    """Said when the fan-out is made, not by its thread."""
    with pytest.raises(UsageError):
        collector.fanout(connection)


def test_an_unreadable_authority_file_stops_at_once(tls_origin, collector):
    """A CA file that is none is no matter of patience."""
    connection = Connection(tls_origin.base_url, KEY, ca_bundle="/nonexistent.pem")
    with pytest.raises(RemoteError) as caught:
        fetch(collector.fanout(connection), ("/a", 1))
    assert not caught.value.is_transient


@pytest.mark.parametrize(
    ("fault", "well"),
    [(Reply(fault=HANG_UP), True), (refusal(503), False)],
    ids=["lost connections", "503 to every call"],
)
def test_an_outage_is_not_run_into_by_every_job(origin, connection, collector, fault, well):
    """Thousands wait for one that is tried now and then, and all go on when it succeeds."""
    ends = time.monotonic() + 1.5
    failed = []

    def script(request):
        if time.monotonic() < ends:
            failed.append(request)
            return fault
        return result(request)

    origin.script = script
    with collector.fanout(connection, most=8, is_well=lambda: well) as fanout:
        fanout.put((f"/{i}", i) for i in range(2000))
        assert fanout.wait()
    assert sorted(collector.taken) == [(i, str(i)) for i in range(2000)]
    assert len(failed) < 50
