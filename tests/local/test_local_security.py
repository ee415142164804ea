"""Who can reach the local Valar, and what a stranger, a broken client or a fault can do to it."""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from contextlib import ExitStack, closing
from types import SimpleNamespace

import pytest
import uvicorn
from uvicorn.server import ServerState

from tests.conftest import COMMAND
from valar_batch.core.rules import MAX_BATCH_BYTES
from valar_batch.local.api.app import trace_of
from valar_batch.local.api.connection import HEAD_PATIENCE, Connection
from valar_batch.local.api.exchange import MAX_DRAINED

KEY_REFUSED = {
    "message": "the API key is missing or wrong: send it as Authorization: Bearer <key>",
    "type": "authentication_error",
    "param": None,
    "code": None,
}


def refusal(message):
    return {"message": message, "type": "invalid_request_error", "param": None, "code": None}


class Raw:
    """A connection on which anything can be said."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        """Read one answer: status, headers by lower-case name, JSON."""
        answer = http.client.HTTPResponse(self.socket)
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, json.loads(answer.read())

    def is_closed(self):
        """Whether the server hung up, once all that it said was read."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True


@pytest.fixture
def connect(server):
    """Open raw connections to the shared server; they end with the test."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(Raw(server.port)))


def head(server, *lines, call="POST /v1/batches", key=True):
    """Give a request's head, without the empty line at its end."""
    lines = (f"{call} HTTP/1.1", "Host: valar", *lines)
    if key:
        lines = (*lines, f"Authorization: Bearer {server.key}")
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


# Who can reach it.


@pytest.mark.skipif(sys.platform != "linux", reason="only there 127.0.0.2 is loopback, too")
def test_it_listens_on_one_loopback_address(valar):
    """Without --host nothing but 127.0.0.1 is bound, so no other machine comes near."""
    assert valar.get("/local/health")["status"] == "ok"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", valar.port), timeout=20)


def serve_without_a_key(home, *options, **environment):
    return subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", *options],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "VALAR_BATCH_HOME": str(home), **environment},
    )


def ends(process):
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - that is what it is about
def test_a_key_is_made_where_none_is_given(tmp_path, host):
    """There is no server without a key: one that is made and shown is long and random."""
    process = serve_without_a_key(tmp_path, "--host", host)
    try:
        shown = [process.stderr.readline() for _ in range(3 if host == "127.0.0.1" else 4)]
        port = int(re.search(r":(\d+)/v1", shown[1])[1])
        key = re.fullmatch(r"export VALAR_API_KEY=(local-[\w-]{43})\n", shown[2])[1]
        warning = "other machines can reach it, and plain HTTP can be read on the way.\n"
        assert shown[3:] == ([] if host == "127.0.0.1" else [warning])
        statuses = []
        for authorization in ({}, {"Authorization": f"Bearer {key}"}):
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request("GET", "/v1/models", headers=authorization)
                statuses.append(connection.getresponse().status)
        assert statuses == [401, 200]
    finally:
        ends(process)


def test_a_key_from_the_environment(tmp_path, make_cli):
    """A key on the command line can be seen by everyone on the machine; a variable cannot."""
    process = serve_without_a_key(tmp_path, VALAR_SERVE_API_KEY="secret-one secret-two")
    try:
        shown = [process.stderr.readline() for _ in range(2)]
        base_url = shown[1].removeprefix("export VALAR_BASE_URL=").strip()
        for key in ("secret-one", "secret-two"):
            cli = make_cli(VALAR_BASE_URL=base_url, VALAR_API_KEY=key)
            assert "openai/gpt-oss-120b" in cli("models").out
    finally:
        ends(process)


@pytest.mark.parametrize("key", ["", " ", "two words", "trailing ", "schlüssel", "a\tb"])
def test_keys_that_no_header_carries_are_refused(make_cli, key):
    """An empty key would let everyone in, and one with blanks or umlauts nobody."""
    done = make_cli()("serve", "--port", "0", "--api-key", key, code=2)
    assert "the local Valar needs an API key" in done.err


@pytest.mark.parametrize(
    "other",
    [
        "x-api-key: {key}",
        "Authorization: {key}",
        "Authorization: Basic {key}",
        "Authorization: Bearer\t{key}x",
        "Authorization: Bearer ",
        "Cookie: key={key}",
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/models?api_key={key}&key={key}"])
def test_a_key_is_read_from_one_place(server, connect, path, other):
    """Authorization: Bearer, and nothing else: no other header, no query, no cookie."""
    raw = connect()
    line, path = other.format(key=server.key), path.format(key=server.key)
    raw.send(head(server, line, call=f"GET {path}", key=False) + b"\r\n")
    status, _, error = raw.answer()
    assert (status, error["error"]["type"]) == (401, "authentication_error")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/batches", "/local/health", "/nowhere"])
@pytest.mark.parametrize("method", ["OPTIONS", "GET", "POST"])
def test_pages_of_other_origins_are_let_in_nowhere(server, connect, method, path):
    """No answer has a header that would let a browser's page read it or send a key with a call."""
    raw = connect()
    asked = ("Origin: http://localhost:3000", "Access-Control-Request-Headers: authorization")
    raw.send(head(server, *asked, "Content-Length: 0", call=f"{method} {path}") + b"\r\n")
    _, headers, _ = raw.answer()
    assert sorted(headers) == ["content-length", "content-type", "x-request-id"]


def test_a_page_can_post_nothing_without_the_key(server, connect):
    """What a page can send without asking (text/plain, no Authorization) does nothing."""
    raw = connect()
    body = json.dumps({"model": "openai/gpt-oss-120b", "input": "x"}).encode()
    lines = ("Origin: http://evil.example", "Content-Type: text/plain")
    length = f"Content-Length: {len(body)}"
    call = "POST /v1/responses"
    raw.send(head(server, *lines, length, call=call, key=False) + b"\r\n" + body)
    status, _, error = raw.answer()
    assert (status, error["error"]) == (401, KEY_REFUSED)


def test_the_open_health_check_tells_nothing_private(server):
    """Whether it is up, which version and which process: no path, no key, no count."""
    assert sorted(server.get("/local/health", key=None)) == ["pid", "status", "version"]


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_state_is_for_its_owner_alone(valar, params):
    """The folder is 0700 and each file in it 0600, whatever the umask."""
    valar.get("/v1/batches")
    folder = valar.home / "local"
    modes = {
        path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in folder.rglob("*")
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes.pop("serve") == 0o700
    assert set(modes.values()) == {0o600}
    assert "serve/state.sqlite" in modes


# Bodies.


def test_a_declared_size_over_the_limit_is_refused_unread(server, connect):
    """The head alone is enough for a 413; a client that waits to be told to go on never is."""
    raw = connect()
    raw.send(head(server, f"Content-Length: {10**12}", "Expect: 100-continue") + b"\r\n")
    status, headers, error = raw.answer()
    message = "the body has 1,000,000,000,000 bytes; it must stay under 256,000,000"
    assert (status, error["error"]) == (413, refusal(message))
    assert headers["connection"] == "close"


def test_a_body_without_end_is_cut_off(server, connect):
    """A client that never stops sending is answered at the limit, and then hung up on."""
    raw = connect()
    chunk = b"%x\r\n%s\r\n" % (2**20, b" " * 2**20)
    raw.send(head(server, "Transfer-Encoding: chunked") + b"\r\n")
    sent = 0
    with pytest.raises(ConnectionError):  # noqa: PT012 - it is the loop that must end
        while sent < 3 * (MAX_BATCH_BYTES + MAX_DRAINED):
            raw.send(chunk)
            sent += 2**20
    assert sent >= MAX_BATCH_BYTES


def test_a_body_that_ends_soon_after_the_limit_gets_its_answer(server, connect):
    """An ordinary client sends all it has before it looks for the answer; and sees it."""
    raw = connect()
    raw.send(head(server, "Transfer-Encoding: chunked") + b"\r\n")
    chunk = b"%x\r\n%s\r\n" % (10**6, b" " * 10**6)
    for _ in range(300):
        raw.send(chunk)
    raw.send(b"0\r\n\r\n")
    status, headers, error = raw.answer()
    assert (status, error["error"]["type"]) == (413, "invalid_request_error")
    assert re.fullmatch(
        r"the body has at least 256,\d\d\d,\d\d\d bytes; it must stay under 256,000,000",
        error["error"]["message"],
    )
    assert headers["connection"] == "close"
    assert raw.is_closed()


def test_a_body_without_a_key_is_not_wanted(server, connect):
    """Who has no key is told before a byte of the body is asked for."""
    raw = connect()
    lines = ("Content-Length: 1000000", "Expect: 100-continue")
    raw.send(head(server, *lines, key=False) + b"\r\n")
    status, headers, error = raw.answer()
    assert (status, error["error"], headers["connection"]) == (401, KEY_REFUSED, "close")


def test_a_body_that_is_cut_off_makes_nothing(server, connect):
    """Half a body is no batch."""
    before = server.get("/v1/batches")
    raw = connect()
    raw.send(head(server, "Content-Length: 1000") + b'\r\n{"endpoint": "/v1/responses"')
    raw.close()
    assert server.get("/v1/batches") == before


def test_a_refusal_with_its_body_read_keeps_the_connection(server, connect):
    """Only an unread body ends the connection."""
    raw = connect()
    for _ in range(3):
        raw.send(head(server, "Content-Length: 1") + b"\r\n{")
        status, headers, _ = raw.answer()
        assert (status, "connection" in headers) == (400, False)


def test_pipelined_calls_are_answered_in_order(server, connect, batch, params):
    """Results, which are answered at once, never overtake what was asked before them."""
    made = server.post("/v1/batches", batch(("a", params("in order")), ("b", params("and whole"))))
    path = f"/v1/batches/{made['id']}"
    results = [server.get(f"{path}/{name}") for name in "ab"]
    calls = ("a", "b", "", "a", "nobody", "b")
    lines = [(), (), (), (), (), ("Connection: close",)]
    raw = connect()
    raw.send(
        b"".join(
            head(server, *more, call=f"GET {path}/{name}".rstrip("/")) + b"\r\n"
            for name, more in zip(calls, lines, strict=True)
        )
    )
    bodies = []
    with raw.socket.makefile("rb") as stream:
        while stream.readline():
            headers = http.client.parse_headers(stream)
            bodies.append(json.loads(stream.read(int(headers["content-length"]))))
    a, b = results
    status = {"a": {"status": "COMPLETED"}, "b": {"status": "COMPLETED"}}
    missing = {"error": refusal(f"there is no request 'nobody' in a batch {made['id']!r}")}
    assert bodies == [a, b, {**made, "request_status": status}, a, missing, b]


# Heads.


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"GET /v1/models HTTP/9.9\r\n\r\n",
        b"GET /v1/mod\xc3\xa4ls HTTP/1.1\r\nHost: v\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: v\r\nX: a\x00b\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: v\r\nno colon\r\n\r\n",
        b"CONNECT valar:80 HTTP/1.1\r\nHost: v\r\n\r\n",
        b"POST /v1/batches HTTP/1.1\r\nHost: v\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/batches HTTP/1.1\r\nHost: v\r\nContent-Length: 1e3\r\n\r\n",
        # What two servers in a row could read differently.
        (
            b"POST /v1/batches HTTP/1.1\r\nHost: v\r\nContent-Length: 5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        (
            b"POST /v1/batches HTTP/1.1\r\nHost: v\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Length: 5\r\n\r\n0\r\n\r\n"
        ),
        b"POST /v1/batches HTTP/1.1\r\nHost: v\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/batches HTTP/1.1\r\nHost: v\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        b"POST /v1/batches HTTP/1.1\r\nHost: v\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/batches HTTP/1.1\r\nHost: v\r\nContent-Length: 1\r\n folded: 2\r\n\r\nx",
    ],
)
def test_what_is_no_http_is_a_400_and_the_end(connect, request_bytes):
    """What cannot be read, or in two ways, is refused in the envelope and never guessed at."""
    raw = connect()
    raw.send(request_bytes)
    status, headers, error = raw.answer()
    assert (status, error) == (400, {"error": refusal("this is not HTTP/1.1")})
    assert headers["connection"] == "close"
    assert headers["x-request-id"]
    assert raw.is_closed()


@pytest.mark.parametrize(
    "endless", [b"GET /" + b"a" * 8192, b"GET / HTTP/1.1\r\nX: " + b"a" * 8192]
)
def test_a_head_without_end_is_a_431_and_the_end(connect, endless):
    """No client makes the server hold more than 64 KB of path or headers and what came with it."""
    raw = connect()
    raw.send(endless)
    status = None
    try:
        for _ in range(1000):
            raw.send(b"a" * 8192)
    except ConnectionError:
        status = 431
    else:
        status = raw.answer()[0]
    assert status == 431


def test_a_head_at_the_limit_is_read(server, connect):
    """Long paths and headers below the limit are nothing special."""
    raw = connect()
    lines = (f"X-Long: {'a' * 30_000}",)
    raw.send(head(server, *lines, call=f"GET /v1/responses/{'b' * 30_000}") + b"\r\n")
    status, _, error = raw.answer()
    assert (status, error["error"]["type"]) == (404, "invalid_request_error")


class Wire:
    """A transport that keeps what is written to it."""

    def __init__(self):
        self.written, self.is_open = b"", True

    def get_extra_info(self, _name):
        return None

    def is_closing(self):
        return not self.is_open

    def write(self, data):
        self.written += data

    def close(self):
        self.is_open = False


async def app(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_a_head_has_half_a_minute(tmp_path):
    """A connection that says nothing, or half a head, is told so and ended when its time is up."""
    timers = []

    def call_later(delay, callback):
        timers.append((delay, callback))
        return SimpleNamespace(cancel=lambda: timers.remove((delay, callback)))

    async def talk():
        loop = SimpleNamespace(
            call_later=call_later, create_task=asyncio.get_running_loop().create_task
        )
        config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None)
        for said in (b"", b"GET /v1/models HTTP/1.1\r\nHost"):
            connection = Connection(config, ServerState(), {}, loop)
            wire = Wire()
            connection.connection_made(wire)
            connection.data_received(said)
            [(delay, ring)] = timers
            assert (delay, wire.written) == (HEAD_PATIENCE, b"")
            ring()
            assert wire.written.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert wire.written.endswith(
                b'{"error":{"message":"a request\'s headers arrive within 30 seconds",'
                b'"type":"invalid_request_error","param":null,"code":null}}'
            )
            assert not wire.is_open
            timers.clear()
        # A whole head stops the clock; the next head starts it again.
        connection = Connection(config, ServerState(), {}, loop)
        connection.connection_made(Wire())
        connection.data_received(b"GET / HTTP/1.1\r\nHost: v\r\n\r\n")
        assert timers == []
        connection.data_received(b"GET")
        assert [delay for delay, _ in timers] == [HEAD_PATIENCE]
        connection.connection_lost(None)
        assert timers == []

    asyncio.run(talk())


def test_slow_clients_hold_up_nobody(server, connect, params):
    """Hundreds of clients that stop half-way through head or body keep no other one waiting."""
    for number in range(200):
        half = b"POST /v1/batches HTTP/1.1\r\nHost" if number % 2 else b"\r\n{"
        start = b"" if number % 2 else head(server, "Content-Length: 100")
        connect().send(start + half)
    assert server.post("/v1/responses", params())["status"] == "completed"


# Ids.

ODD_IDS = [
    "'",
    "''; DROP TABLE batches; --",
    '" OR "1"="1',
    "%",
    "_",
    "..",
    ".",
    "../../../../etc/passwd",
    "..\\..\\state.sqlite",
    "state.sqlite",
    "a\0b",
    "\0",
    "\r\nX-Injected: 1",
    "é中\U0001f600",
    "\u202e",
    "\ufffd",
    "a" * 20_000,
    "{}",
    "%s%n%x",
    "/",
    "//",
    "?",
    "#",
    " ",
]


def quoted(text):
    """Percent-encode every byte, slashes and dots included."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


@pytest.mark.parametrize("odd", ODD_IDS, ids=range(len(ODD_IDS)))
def test_odd_ids_are_not_found(server, params, batch, odd):
    """No id is ever read as SQL, as a pattern or as a path: it names nothing, and is a 404."""
    known = server.post("/v1/batches", batch(("a", params())))["id"]
    for path in (
        f"batches/{quoted(odd)}",
        f"batches/{known}/{quoted(odd)}",
        f"batches/{quoted(odd)}/a",
        f"responses/{quoted(odd)}",
    ):
        status, error = server.call("GET", f"/v1/{path}").error
        assert (status, error["type"], error["param"]) == (404, "invalid_request_error", None)
    for name in ("after_id", "before_id"):
        status, error = server.call("GET", f"/v1/batches?{name}={quoted(odd)}").error
        assert (status, error["type"], error["param"]) == (400, "invalid_request_error", name)
    assert server.get(f"/v1/batches/{known}/a")["status"] == "completed"


@pytest.mark.parametrize(
    "raw_id", ["%", "%zz", "%C3", "%ED%A0%80", "%FF%FE", "..%2f..%5c", "%2e%2e"]
)
def test_broken_escapes_are_not_found(server, raw_id):
    """Escapes that are none, and bytes that are no UTF-8, name nothing either."""
    for path in (f"batches/{raw_id}", f"batches/{raw_id}/a", f"responses/{raw_id}"):
        status, error = server.call("GET", f"/v1/{path}").error
        assert (status, error["type"]) == (404, "invalid_request_error")


# Schemas.


def answer_by(server, schema):
    """Ask for an answer, and for a tool's arguments, by a schema."""
    tool = {"type": "function", "name": "look", "parameters": schema}
    text_format = {"type": "json_schema", "name": "n", "schema": schema}
    params = {"model": "openai/gpt-oss-120b", "input": "x"}
    asked = ({"text": {"format": text_format}}, {"tools": [tool], "tool_choice": "required"})
    return [server.post("/v1/responses", {**params, **more})["status"] for more in asked]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "minProperties": 10**9},
        {"type": "array", "minItems": 10**9, "items": {"type": "string"}},
        {"type": "string", "minLength": 10**9},
        {"type": "string", "pattern": "((a{1000}){1000}){1000}"},
        {"type": "string", "pattern": "^(a+)+$", "minLength": 100},
        {"type": "integer", "minimum": 10**400},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}},
            "minProperties": 2,
        },
        {"type": "array", "minItems": 1000, "items": {"type": "array", "minItems": 1000}},
        {"$ref": "#"},
        {"type": {"a": 1}, "required": 5, "properties": [1]},
    ],
    ids=range(11),
)
def test_schemas_that_ask_for_too_much(server, schema):
    """What no rehearsal can meet is answered with text, without a fault and without end."""
    assert answer_by(server, schema) == ["completed", "completed"]


def test_schemas_reach_no_file_and_no_other_server(server):
    """A reference leads to no place outside of its schema."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        url = f"http://127.0.0.1:{other.getsockname()[1]}/schema"
        for schema in (
            {"$ref": url},
            {"$ref": "file:///etc/passwd"},
            {"$schema": url, "type": "string"},
            {"$id": url, "properties": {"a": {"$ref": "other"}}, "required": ["a"]},
        ):
            assert answer_by(server, schema) == ["completed", "completed"]
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.accept()


# Faults and the log.


def break_state_of(valar):
    """Take every table away under a running server, so that it cannot but fail."""
    state = valar.home / "local" / "serve" / "state.sqlite"
    with closing(sqlite3.connect(state)) as connection:
        query = "SELECT type, name FROM sqlite_master WHERE type IN ('view', 'table')"
        for kind, name in connection.execute(query).fetchall():
            if not name.startswith("sqlite_"):
                connection.execute(f"DROP {kind} {name}")
        connection.commit()


def test_nothing_that_was_sent_is_logged(valar):
    """Not even a fault brings a prompt, a key, a token or an idempotency key to light."""
    prompt = "the-secret-prompt"
    params = {
        "model": "openai/gpt-oss-120b",
        "input": prompt,
        "metadata": {
            "completion_webhook": "http://127.0.0.1:9/the-secret-hook",
            "webhook_token": "the-secret-token",
        },
    }
    item = {"custom_id": "the-secret-id", "params": params}
    calls = [
        ("POST", "/v1/responses", params),
        ("POST", "/v1/responses", {**params, "temperature": prompt}),
        ("POST", "/v1/responses", [prompt]),
        ("POST", "/v1/batches", {"endpoint": "/v1/responses", "requests": [item]}),
        ("POST", "/v1/batches", {"endpoint": prompt, "requests": [item]}),
        ("GET", "/v1/batches", None),
    ]

    def statuses(key):
        found = []
        for method, path, body in calls:
            connection = http.client.HTTPConnection("127.0.0.1", valar.port, timeout=60)
            with closing(connection):
                headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "the-secret-intent"}
                content = None if body is None else json.dumps(body)
                connection.request(method, path, content, headers)
                found.append(connection.getresponse().status)
        return found

    assert statuses("the-secret-wrong-key") == [401] * len(calls)
    assert statuses(valar.key) == [200, 400, 400, 400, 400, 200]
    break_state_of(valar)
    assert statuses(valar.key) == [500] * len(calls)
    valar.process.send_signal(signal.SIGTERM)
    _, log = valar.process.communicate(timeout=60)
    assert log.count(b"no such table") == len(calls)
    assert b"secret" not in log
    assert valar.key.encode() not in log


def test_an_error_is_told_without_what_it_quotes():
    """Errors of our own and of decoders may quote a request; those of disk and database do not."""

    assert trace_of(KeyError("secret")) == "KeyError\n"
    told = OSError(28, "No space left")
    assert trace_of(told) == "OSError: [Errno 28] No space left\n"


def test_a_path_in_the_log_stays_on_its_line(valar):
    """A line break in a path cannot make a line of its own in the log."""
    break_state_of(valar)
    with closing(http.client.HTTPConnection("127.0.0.1", valar.port, timeout=60)) as connection:
        headers = {"Authorization": f"Bearer {valar.key}"}
        connection.request("GET", "/v1/responses/a%0D%0AFORGED", headers=headers)
        assert connection.getresponse().status == 500
    valar.process.send_signal(signal.SIGTERM)
    _, log = valar.process.communicate(timeout=60)
    assert b"a\\r\\nFORGED" in log
    assert not re.search(rb"(?m)^FORGED", log)
