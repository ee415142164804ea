"""Faults of every kind, over real sockets; and the server's own account of them."""

import http.client
import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

MODELS = "/v1/models"
texts = (f"text {number}" for number in itertools.count())


def plan(server, *faults, **more):
    """Put a plan in the place of the one before."""
    return server.post("/local/faults", {"fault": faults, **more})["faults"]


def struck(server):
    """How often each fault struck."""
    return [fault["struck"] for fault in server.get("/local/faults")["faults"]]


def executed(server):
    return server.get("/local/executions")["total"]


@pytest.fixture
def sent(faulty, params, batch):
    """Send a new batch of so many requests; gives its path."""

    def send(count=1, **options):
        faulty.post("/local/faults", {})
        requests = ((f"r-{number}", params(next(texts))) for number in range(count))
        return f"/v1/batches/{faulty.post('/v1/batches', batch(*requests), **options)['id']}"

    return send


def words(server, path):
    """The status words of a batch."""
    told = server.get(path)["request_status"]
    return {custom_id: entry["status"] for custom_id, entry in told.items()}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "authentication_error"),
        (402, "billing_error"),
        (404, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "api_error"),
    ],
)
def test_errors_have_the_envelope(faulty, status, kind):
    """An error is one as Valar's are, and the next call is well."""
    plan(faulty, {"kind": "status", "status": status, "calls": [1]})
    inside = {"message": f"a fault of the plan: {status}", "type": kind, "param": None}
    assert faulty.call("GET", MODELS).error == (status, {**inside, "code": None})
    assert faulty.get(MODELS)["object"] == "list"
    assert faulty.get("/local/faults")["faults"] == [
        {"fault": 1, "kind": "status", "on": "*", "calls": 2, "struck": 1}
    ]


def test_retry_after(faulty):
    """In seconds, or as a date that is not sooner."""
    fault = {"kind": "status", "status": 429, "retry_after": 30}
    plan(faulty, {**fault, "calls": [1]}, {**fault, "as_date": True})
    assert faulty.raw("GET", MODELS)[1]["retry-after"] == "30"
    began = datetime.now(UTC).timestamp()
    date = parsedate_to_datetime(faulty.raw("GET", MODELS)[1]["retry-after"])
    assert began + 30 <= date.timestamp() <= began + 90


LOST = (http.client.RemoteDisconnected, ConnectionResetError)


@pytest.mark.parametrize(
    ("fault", "outcome", "executions"),
    [
        ({"kind": "status", "status": 503}, 503, 0),
        ({"kind": "status", "status": 503, "processed": True}, 503, 1),
        ({"kind": "html"}, 200, 0),
        ({"kind": "html", "status": 502, "processed": True}, 502, 1),
        ({"kind": "drop", "when": "before"}, LOST, 0),
        ({"kind": "drop", "when": "after"}, LOST, 1),
        ({"kind": "drop", "when": "inside"}, (http.client.IncompleteRead, *LOST), 1),
        ({"kind": "never"}, TimeoutError, 0),
        ({"kind": "never", "processed": True}, TimeoutError, 1),
        ({"kind": "truncated", "under": "the whole length"}, http.client.IncompleteRead, 1),
        ({"kind": "truncated"}, 200, 1),
        ({"kind": "garbled"}, 200, 1),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_whether_a_call_is_worked_at(faulty, params, fault, outcome, executions):
    """What was processed counts, whatever was said; a repeat under the same key then runs once."""
    before = executed(faulty)
    body, key = params(next(texts)), next(texts)
    plan(faulty, {**fault, "on": "POST /v1/responses", "calls": [1]})
    timeout = 0.5 if outcome is TimeoutError else 60
    if isinstance(outcome, int):
        status, _, content = faulty.raw("POST", "/v1/responses", body, idempotency_key=key)
        assert status == outcome
        if status == 200:
            with pytest.raises(ValueError, match=r"Expecting|Unterminated|Extra"):
                json.loads(content)
    else:
        with pytest.raises(outcome):
            faulty.raw("POST", "/v1/responses", body, idempotency_key=key, timeout=timeout)
    assert executed(faulty) - before == executions
    faulty.post("/v1/responses", body, idempotency_key=key)
    assert executed(faulty) - before == 1
    assert struck(faulty) == [1]


def test_a_proxy_page(faulty):
    """It says that it is HTML, and it is."""
    plan(faulty, {"kind": "html"})
    status, headers, content = faulty.raw("GET", MODELS)
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert content.startswith(b"<!doctype html>")


def test_parts_of_an_answer(faulty):
    """A cut body is the beginning of the whole one; a garbled one has as many bytes."""
    plan(faulty)
    whole = faulty.raw("GET", MODELS)[2]
    plan(faulty, {"kind": "truncated", "part": 0.25})
    assert faulty.raw("GET", MODELS)[2] == whole[: len(whole) // 4]
    plan(faulty, {"kind": "truncated", "under": "the whole length", "part": 0.25})
    with pytest.raises(http.client.IncompleteRead) as raised:
        faulty.raw("GET", MODELS)
    assert raised.value.partial == whole[: len(whole) // 4]
    plan(faulty, {"kind": "garbled"})
    garbled = faulty.raw("GET", MODELS)[2]
    assert (len(garbled), garbled != whole) == (len(whole), True)


@pytest.mark.parametrize(
    ("fault", "least"),
    [({"seconds": 0.3}, 0.3), ({"pause": 0.01, "bytes": 40}, 0.18), ({"pause": 0.0001}, 0)],
    ids=["late", "pieces", "bytes"],
)
def test_slow_answers_are_whole(faulty, fault, least):
    """However slowly it comes, nothing of it is missing, and the connection can be used again."""
    plan(faulty)
    whole = faulty.raw("GET", MODELS)[2]
    assert len(whole) > 700
    plan(faulty, {"kind": "slow", **fault})
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", faulty.port, timeout=60)
    for _ in range(2):
        connection.request("GET", MODELS, headers={"Authorization": f"Bearer {faulty.key}"})
        assert connection.getresponse().read() == whole
    connection.close()
    assert time.monotonic() - began >= 2 * least
    assert struck(faulty) == [2]


def test_a_server_ends_while_a_client_waits_for_ever(start):
    """An answer that never comes does not keep the server up."""
    server = start(faults={"fault": [{"kind": "never"}]})
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(server.raw, "GET", MODELS)
        while struck(server) != [1]:
            time.sleep(0.01)
        assert server.stop() == 0
        with pytest.raises(LOST):
            waiting.result()


@pytest.mark.parametrize("what", ["lacks", "unknown ids", "word", "back"])
def test_wrong_status_maps(faulty, sent, what):
    """Wrong about a share of the requests for so many polls; then as it is."""
    path = sent(40)
    right = words(faulty, path)
    plan(faulty, {"kind": "map", "what": what, "share": 0.25, "polls": 3})
    polls = [words(faulty, path) for _ in range(4)]
    assert polls[3] == right == dict.fromkeys(right, "COMPLETED")
    assert struck(faulty) == [2 if what == "back" else 3]
    if what == "back":
        assert polls[0] == right
        polls[0] = polls[1]
    assert polls[0] == polls[1] == polls[2]
    wrong = polls[0]
    if what == "lacks":
        assert wrong == {name: wrong[name] for name in right if name in wrong}
        assert 1 <= 40 - len(wrong) <= 25
    elif what == "unknown ids":
        strangers = {f"{name}-stranger" for name in right}
        assert wrong.items() >= right.items()
        assert 1 <= len(wrong.keys() - right.keys()) <= 25
        assert wrong.keys() - right.keys() <= strangers
    else:
        word = "PONDERING" if what == "word" else "RUNNING"
        assert wrong.keys() == right.keys()
        assert set(wrong.values()) == {"COMPLETED", word}


def test_late_results(faulty, sent):
    """A share of results is a 404 to the first asks, or for a while; then they are there."""
    path = sent(40)
    paths = [f"{path}/r-{number}" for number in range(40)]
    plan(faulty, {"kind": "late", "asks": 2, "share": 0.25})
    asked = [[faulty.raw("GET", each)[0] for each in paths] for _ in range(3)]
    assert asked[0] == asked[1]
    assert set(asked[0]) == {200, 404}
    assert asked[2] == [200] * 40
    assert struck(faulty) == [2 * asked[0].count(404)]
    plan(faulty, {"kind": "late", "seconds": 0.5})
    began = time.monotonic()
    assert faulty.raw("GET", paths[0])[0] == 404
    while faulty.raw("GET", paths[0])[0] == 404:
        time.sleep(0.05)
    assert time.monotonic() - began >= 0.5


def test_results_that_are_still_running(faulty, sent):
    """The map says COMPLETED, and the result in_progress, without an output."""
    path = sent()
    right = faulty.get(f"{path}/r-0")
    plan(faulty, {"kind": "running", "asks": 2})
    running = {**right, "status": "in_progress", "output": None}
    assert words(faulty, path) == {"r-0": "COMPLETED"}
    assert [faulty.get(f"{path}/r-0") for _ in range(3)] == [running, running, right]


def test_requests_that_fail_or_are_cancelled(faulty, params, batch):
    """The map and the results agree on them; only what completes has an output."""
    plan(faulty, requests={"failed": 0.25, "cancelled": 0.25})
    requests = ((f"r-{number}", params(next(texts))) for number in range(60))
    path = f"/v1/batches/{faulty.post('/v1/batches', batch(*requests))['id']}"
    told = words(faulty, path)
    assert set(told.values()) == {"COMPLETED", "FAILED", "CANCELLED"}
    codes = {"completed": None, "failed": "rehearsal_failure", "cancelled": "rehearsal_cancelled"}
    for custom_id, word in told.items():
        result = faulty.get(f"{path}/{custom_id}")
        assert result["status"] == word.lower()
        assert (result["error"] or {}).get("code") == codes[word.lower()]
        assert (result["output"] is None) == (word != "COMPLETED")


def test_cancelled_single_requests(faulty, params):
    """A response says so, and is not waited for; a chat, which has no status, is an error."""
    plan(faulty, requests={"cancelled": 1})
    assert faulty.post("/v1/responses", params(next(texts)))["status"] == "cancelled"
    chat = {"model": params()["model"], "messages": [{"role": "user", "content": next(texts)}]}
    for more in ({}, {"stream": True}):
        reply = faulty.call("POST", "/v1/chat/completions", {**chat, **more})
        assert reply.status == 500
        assert "drawn to be cancelled" in reply.json["error"]["message"]


def test_a_reservation_expires(faulty, params, batch):
    """After its time the same POST makes another record, and the judge sees it."""
    body, key = batch(("a", params(next(texts)))), next(texts)
    plan(faulty, reservation_seconds=3600)
    first, again = (faulty.post("/v1/batches", body, idempotency_key=key) for _ in range(2))
    assert first == again
    plan(faulty, reservation_seconds=0)
    other = faulty.post("/v1/batches", body, idempotency_key=key)
    assert other["id"] != first["id"]
    repeated = faulty.get("/local/executions")["repeated"]
    assert [entry["count"] for entry in repeated if entry["custom_id"] == "a"] == [2]
    plan(faulty, reservation_seconds=3600)
    assert faulty.post("/v1/batches", body, idempotency_key=key)["id"] == other["id"]
    single = params(next(texts))
    ids = [faulty.post("/v1/responses", single, idempotency_key=key + "s")["id"] for _ in range(2)]
    plan(faulty, reservation_seconds=0)
    ids.append(faulty.post("/v1/responses", single, idempotency_key=key + "s")["id"])
    assert (ids[0] == ids[1], ids[1] == ids[2]) == (True, False)


def test_a_rotated_key(start, params, batch):
    """One key is refused from now on; under the other nothing is known of its reservations."""
    server = start(faults={})
    body = batch(("a", params()))
    first = server.post("/v1/batches", body, idempotency_key="k")
    plan(server, {"kind": "status", "status": 401, "key": server.key})
    assert server.call("POST", "/v1/batches", body, idempotency_key="k").status == 401
    assert server.get("/v1/batches", key=server.other_key) == [first]
    assert executed(server) == 1
    server.post("/v1/batches", body, idempotency_key="k", key=server.other_key)
    assert executed(server) == 2


def test_the_same_seed_strikes_the_same_calls(faulty):
    """However calls are mixed up, the n-th of each path fares the same; another seed differs."""
    paths = [f"/v1/batches/none/{number}" for number in range(60)]
    ones = [
        {"kind": "status", "status": status, "share": 0.3, "on": "GET /v1/batches/*/*"}
        for status in (500, 503)
    ]

    def fates(order, seed):
        plan(faulty, *ones, seed=seed)
        with ThreadPoolExecutor(6) as pool:
            rounds = [
                sorted(pool.map(lambda path: (path, faulty.raw("GET", path)[0]), order))
                for _ in range(2)
            ]
        return rounds, struck(faulty)

    first = fates(paths, 7)
    assert fates(paths[::-1], 7) == first
    assert first[0][0] != first[0][1]
    assert {status for fates in first[0] for _, status in fates} == {404, 500, 503}
    assert fates(paths, 8)[0] != first[0]


def test_several_at_once(faulty, sent):
    """The first in the plan has a call; what changes answers from within adds up beneath it."""
    path = sent()
    plan(
        faulty,
        {"kind": "running", "asks": 3},
        {"kind": "garbled", "calls": [2]},
        {"kind": "status", "status": 500, "calls": [2, 3]},
        {"kind": "late", "asks": 4},
        {"kind": "late", "asks": 5, "most": 1},
    )
    fates = [faulty.raw("GET", f"{path}/r-0") for _ in range(6)]
    assert [fate[0] for fate in fates] == [404, 404, 500, 404, 404, 200]
    assert json.loads(fates[1][2][::-1])["error"]
    assert struck(faulty) == [2, 1, 1, 3, 1]


def test_all_but_the_server_itself(faulty):
    """A fault on everything leaves health, the judge and the plan alone."""
    plan(faulty, {"kind": "drop", "when": "before"})
    with pytest.raises(LOST):
        faulty.raw("GET", MODELS)
    assert faulty.get("/local/health", key=None)["status"] == "ok"
    assert struck(faulty) == [1]
    assert plan(faulty) == []
    assert faulty.get(MODELS)["object"] == "list"


def test_a_plan_that_is_refused(faulty):
    """It leaves the one before at work, and says what is wrong."""
    plan(faulty, {"kind": "status", "status": 503})
    for body, message in [
        ({"fault": [{"kind": "fire"}]}, "the plan: [[fault]] 1: kind: Invalid value 'fire'"),
        ([], "Expected `object`, got `array`"),
    ]:
        reply = faulty.call("POST", "/local/faults", body)
        assert reply.error[0] == 400
        assert reply.error[1]["message"] == message
    assert faulty.raw("GET", MODELS)[0] == 503
    assert faulty.call("POST", "/local/faults", {}, key="wrong").status == 401


def test_what_serve_says(tmp_path, make_cli):
    """It says that it goes wrong, by which plan, and how; a plan that cannot be is refused."""
    path = tmp_path / "plan.toml"
    path.write_text('[requests]\nfailed = 0.5\n[[fault]]\nkind = "garbled"\n')
    process = make_cli().start("serve", "--port", "0", "--faults", path)
    said = [process.stderr.readline().decode() for _ in range(2)]
    process.terminate()
    assert process.wait(20) == 0
    assert said == [
        "the local Valar is up; its answers are rehearsals. Ctrl-C ends it.\n",
        f"it goes wrong on purpose, by {path}: 1 fault, 50% of requests fail.\n",
    ]
    path.write_text('[[fault]]\nkind = "fire"\n')
    done = make_cli()("serve", "--port", "0", "--faults", path, code=2)
    assert f"{path}: [[fault]] 1: kind: Invalid value 'fire'" in done.err.replace("\n", "")
    path.write_text("[requests]\nfailed = 0.5\n")
    options = ("--upstream", "http://localhost:1/v1", "--faults", path)
    done = make_cli()("serve", "--port", "0", *options, code=2)
    assert "an upstream decides what becomes of requests" in " ".join(done.err.split())


def test_without_faults_there_is_no_such_place(server):
    """A server that was not told to go wrong cannot be."""
    assert server.call("GET", "/local/faults").status == 404
    assert server.call("POST", "/local/faults", {}).status == 404
