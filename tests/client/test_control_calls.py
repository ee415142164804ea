"""The control calls over real sockets: what is sent, retried, paged and raised."""

from __future__ import annotations

import json
import random
import time
from email.utils import formatdate

import httpx
import pytest
from conftest import CERTIFICATE, KEY
from scripted_origin import CUT_BODY, HANG_UP, STALL, Reply, refusal, reply

from valar_batch import __version__
from valar_batch.client.api import Seen, Valar, oldest_of, result_path
from valar_batch.client.connection import Connection
from valar_batch.client.exchange import FOREIGN, error_from_httpx
from valar_batch.core.wire import Batch, BatchStatus, Model, RequestStatus
from valar_batch.errors import (
    ApiError,
    BillingRefused,
    ConnectionFailed,
    KeyRefused,
    NotFound,
    RateLimited,
    RemoteError,
    RequestRefused,
    ServerFault,
    StateError,
    UnreadableAnswer,
    UsageError,
    ValarBatchError,
)

BATCH = {"id": "batch_1", "request_counts": 2, "created_at": 1780000000, "label": "run-1-1-0"}


class Simulated:
    """A clock that only waiting moves; `slept` are the waits."""

    def __init__(self):
        self.now = 0.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def seams(self):
        return {"clock": self, "sleep": self.sleep, "jitter": lambda: 0.0}


THREE_TRIES = 0.75
"""Seconds of patience for which a call without a Retry-After is tried three times."""


@pytest.fixture
def clock():
    return Simulated()


@pytest.fixture
def slept(clock):
    return clock.slept


@pytest.fixture
def valar(connection, clock):
    with Valar(connection, patience=THREE_TRIES, **clock.seams()) as calls:
        yield calls


def body(*pieces):
    return lambda: iter(pieces)


def test_create_batch_sends_exactly_this(origin, valar):
    """A POST of the streamed bytes with their length, the idempotency key, and who we are."""
    origin.replies(reply(BATCH))
    assert valar.create_batch(body(b'{"a', b'":1}'), 7, "key-1") == Batch(**BATCH)
    [request] = origin.requests
    assert (request.method, request.target, request.body) == ("POST", "/v1/batches", b'{"a":1}')
    wanted = {
        "authorization": f"Bearer {KEY}",
        "user-agent": f"valar-batch/{__version__}",
        "content-length": "7",
        "content-type": "application/json",
        "idempotency-key": "key-1",
    }
    assert {name: request.headers.get(name) for name in wanted} == wanted
    assert "transfer-encoding" not in request.headers


def test_every_try_is_the_same_request(origin, connection, clock):
    """After each kind of transient failure the same bytes go out under the same key."""
    seen = []
    origin.replies(
        refusal(503),
        Reply(fault=HANG_UP),
        Reply(200, b"<html>sign in</html>"),
        Reply(200, json.dumps(BATCH).encode(), fault=CUT_BODY),
        refusal(408),
        refusal(429),
        reply(BATCH),
    )
    with Valar(connection, on_retry=seen.append, **clock.seams()) as valar:
        assert valar.create_batch(body(b"ab", b"cd"), 4, "key-1") == Batch(**BATCH)
    assert [(r.headers["idempotency-key"], r.body) for r in origin.requests] == [
        ("key-1", b"abcd")
    ] * 7
    assert clock.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
    [told] = seen
    assert (told.call, told.attempt, told.delay, told.lasted) == ("POST /batches", 1, 0.25, 0.0)
    assert type(told.error) is ServerFault


def unreachable(clock, **more):
    """Calls to a port where nobody listens."""
    return Valar(Connection("http://127.0.0.1:1/v1", KEY), **clock.seams(), **more)


def test_a_valar_that_never_answered_is_given_up_after_a_minute(clock):
    """However long one that answered would be waited for: a wrong address does not mend itself."""
    with unreachable(clock, patience=9e9) as valar, pytest.raises(ConnectionFailed) as caught:
        valar.models()
    assert (clock.now, len(clock.slept)) == (60.0, 8)
    assert not caught.value.may_have_arrived
    assert caught.value.hint.startswith("check the network, VALAR_BASE_URL and HTTPS_PROXY")


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (reply({"data": []}), 3600.0),
        (refusal(429), 3600.0),
        (Reply(503, b"", {"Retry-After": "0"}), 3600.0),
        (refusal(503), 60.0),
        (Reply(200, b"<html>a sign-in page</html>"), 60.0),
    ],
    ids=["200", "429", "503 with a time", "503", "a page"],
)
def test_one_that_answered_is_waited_for(origin, connection, clock, answer, seconds):
    """For as long as patience lasts, by time; only Valar's own words tell that it was there."""
    origin.replies(answer, refusal(502))
    with Valar(connection, patience=3600.0, **clock.seams()) as valar:
        if answer.status == 200 and seconds > 60:
            valar.models()
        with pytest.raises(RemoteError):
            valar.models()
    assert clock.now == pytest.approx(seconds, abs=1)


def test_an_outage_is_told_once_and_so_is_its_end(origin, connection, clock):
    """The first failure, a word every ten minutes, and how long it was: no line for each try."""
    told, back = [], []
    away = 25 * 60
    origin.script = lambda _: refusal(503) if clock.now < away else reply({"data": []})
    with Valar(
        connection,
        on_retry=lambda retry: told.append(round(retry.lasted)),
        on_return=back.append,
        patience=9e9,
        **clock.seams(),
    ) as valar:
        clock.now = away
        valar.models()
        clock.now = 0.0
        valar.models()
    assert told == [0, 602, 1202]
    assert back == [clock.now]
    assert away <= clock.now < away + 30


def test_a_wait_longer_than_usual_is_told(origin, connection, clock):
    """A Retry-After of an hour is not passed over because a failure was told of before."""
    told = []
    busy = Reply(429, b"", {"Retry-After": "3600"})
    origin.replies(refusal(500), busy, refusal(500), reply({"data": []}))
    with Valar(connection, on_retry=told.append, **clock.seams(), patience=9e9) as valar:
        valar.models()
    assert [round(retry.delay) for retry in told] == [0, 3600, 1]


def test_the_caller_may_forbid_another_try(origin, valar):
    """Then the error comes out that would have been tried again."""
    heard = []
    origin.replies(refusal(500))
    with pytest.raises(ServerFault):
        valar.create_batch(body(b"{}"), 2, "key-1", lambda error: bool(heard.append(error)))
    assert [(type(error), error.may_have_arrived) for error in heard] == [(ServerFault, True)]
    assert len(origin.requests) == 1


def test_a_404_in_other_words_is_a_gateways(origin, connection, clock):
    """Once Valar has answered, it is asked again; before, the address is wrong and said so."""
    page = Reply(404, b"default backend - 404")
    origin.replies(page, reply({"data": []}), page, page, reply({"data": []}))
    with Valar(connection, **clock.seams()) as valar:
        with pytest.raises(NotFound):
            valar.models()
        assert valar.models() == []
        assert valar.models() == []
    assert clock.slept == [0.25, 0.5]


def test_the_last_error_is_raised_when_patience_ends(origin, valar, slept):
    """Not the first, and not a wrapper of a retry library."""
    origin.replies(refusal(500), refusal(502), refusal(504, "upstream is away"))
    with pytest.raises(ServerFault) as caught:
        valar.models()
    assert caught.value.status == 504
    assert caught.value.message == "Valar answered 504: upstream is away (request req_1)"
    assert slept == [0.25, 0.5]


ONCE = [
    (400, RequestRefused, "Valar refused the request (400): no (request req_1)", ""),
    (409, RequestRefused, "Valar refused the request (409): no (request req_1)", ""),
    (
        401,
        KeyRefused,
        "Valar refused the key in VALAR_API_KEY: no (request req_1)",
        "set VALAR_API_KEY to a valid key and repeat the command",
    ),
    (
        403,
        KeyRefused,
        "Valar refused the key in VALAR_API_KEY: no (request req_1)",
        "set VALAR_API_KEY to a valid key and repeat the command",
    ),
    (
        402,
        BillingRefused,
        "Valar refused to bill this key: no (request req_1)",
        "nothing is lost: add credits or enable the key, then repeat the command",
    ),
    (
        404,
        NotFound,
        "Valar has nothing there for this key: no (request req_1)",
        "check the id, VALAR_API_KEY and VALAR_BASE_URL",
    ),
    (
        413,
        RequestRefused,
        "the batch is too large for Valar: no (request req_1)",
        "lower --batch-bytes",
    ),
]


@pytest.mark.parametrize(("status", "kind", "message", "hint"), ONCE)
def test_a_refusal_is_raised_at_once(origin, valar, slept, status, kind, message, hint):
    """A 4xx that no repetition mends costs one call and names the next step."""
    origin.replies(refusal(status))
    with pytest.raises(RemoteError) as caught:
        valar.create_batch(body(b"{}"), 2, "key-1")
    error = caught.value
    assert (type(error), error.message, error.hint) == (kind, message, hint)
    assert (len(origin.requests), slept) == (1, [])


@pytest.mark.parametrize(
    ("status", "kind"),
    [(408, ServerFault), (429, RateLimited), (500, ServerFault), (503, ServerFault)],
)
def test_a_transient_error_is_tried_to_the_end(origin, valar, slept, status, kind):
    """For as long as patience lasts, with growing waits between."""
    origin.replies(refusal(status))
    with pytest.raises(RemoteError) as caught:
        valar.models()
    assert (type(caught.value), caught.value.status) == (kind, status)
    assert (len(origin.requests), slept) == (3, [0.25, 0.5])


def test_the_envelope_is_kept_whole(origin, valar):
    """Message, param and request id are in the text; every field is on the error."""
    origin.replies(refusal(400, "unknown model", type="x_error", param="params.model", code=7))
    with pytest.raises(ApiError) as caught:
        valar.models()
    error = caught.value
    assert error.message == (
        "Valar refused the request (400): unknown model (param params.model, request req_1)"
    )
    assert (error.type, error.param, error.code) == ("x_error", "params.model", "7")
    assert (error.status, error.request_id) == (400, "req_1")


def test_a_reused_idempotency_key_is_explained(origin, valar):
    """The hint says that it is a changed input or a bug."""
    origin.replies(refusal(400, type="idempotency_error"))
    with pytest.raises(RequestRefused) as caught:
        valar.create_batch(body(b"{}"), 2, "key-1")
    assert caught.value.hint == (
        "the same batch was sent before with other bytes: the input changed, or it is a bug"
    )


def test_an_error_page_is_shown_shortened(origin, valar):
    """A body that is not the envelope appears on one line, cut."""
    origin.replies(Reply(400, b"<h1>\n  Bad\x00 gateway </h1>" + b"x" * 9000))
    with pytest.raises(RequestRefused) as caught:
        valar.models()
    shown = "<h1> Bad? gateway </h1>"
    assert caught.value.message == (
        f"Valar refused the request (400): {shown}{'x' * (200 - len(shown))}…"
    )


@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, b"<html>sign in</html>"),
        Reply(200, b""),
        Reply(200, b'{"object": "list"}'),
        Reply(200, b'\xff\xfe{"data": []}'),
        Reply(200, b'{"data": [{"id": "\xff"}]}'),
        Reply(200, b"[" * 100_000),
        Reply(302, b"", {"Location": "https://portal.example/"}),
        Reply(200, b"not gzip", {"Content-Encoding": "gzip"}),
    ],
)
def test_what_is_not_valars_json_is_transient(origin, valar, answer):
    """A proxy's page, a redirect, a damaged body: tried again, then said so."""
    origin.replies(answer)
    with pytest.raises((UnreadableAnswer, ConnectionFailed)) as caught:
        valar.models()
    assert caught.value.is_transient
    assert len(origin.requests) == 3


def test_a_redirect_is_named_and_not_followed(origin, valar):
    """The key never goes where a redirect points."""
    origin.replies(Reply(302, b"", {"Location": origin.base_url + "/elsewhere"}))
    with pytest.raises(UnreadableAnswer) as caught:
        valar.models()
    assert caught.value.message == (
        f"not an answer of Valar (status 302 to {origin.base_url}/elsewhere): empty"
    )
    assert {request.target for request in origin.requests} == {"/v1/models"}


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds(origin, valar, slept, status):
    """The wait is what the server asks for, and a little more."""
    busy = Reply(status, b"", {"Retry-After": "7"})
    origin.replies(busy, reply({"data": []}))
    assert valar.models() == []
    assert slept == [7.025]


def test_retry_after_as_a_date(origin, valar, slept):
    """An HTTP date is a wait until then."""
    date = formatdate(time.time() + 100, usegmt=True)
    origin.replies(Reply(429, b"", {"Retry-After": date}), reply({"data": []}))
    assert valar.models() == []
    [wait] = slept
    assert 60 < wait <= 100.025


def test_retry_after_by_the_servers_clock(origin, valar, slept):
    """A clock here that is wrong by days changes nothing."""
    when = {"Date": "Thu, 28 May 2026 20:26:40 GMT"}
    when["Retry-After"] = "Thu, 28 May 2026 20:26:47 GMT"
    origin.replies(Reply(429, b"", when), reply({"data": []}))
    assert valar.models() == []
    assert slept == [7.025]


def test_retry_after_is_on_the_error(origin, connection):
    """Who catches RateLimited can tell how long to stay away."""
    origin.replies(Reply(429, b"", {"Retry-After": "7"}))
    with Valar(connection) as valar:
        valar.stop_retrying()
        with pytest.raises(RateLimited) as caught:
            valar.models()
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("status", [401, 413])
def test_a_refusal_during_the_upload_is_that_refusal(origin, valar, status):
    """The server answers and hangs up before it has read: not reported as a broken pipe."""
    origin.replies(Reply(status, refusal(status).body, unread=True))
    with pytest.raises(ApiError) as caught:
        valar.create_batch(body(*[b"x" * 65536] * 200), 65536 * 200, "key-1")
    assert caught.value.status == status


@pytest.mark.parametrize("pieces", [[], [b"ab"], [b"abcd", b"e"], [b"abcdef"]])
def test_a_body_of_another_size_never_arrives_whole(origin, valar, pieces):
    """Too few or too many bytes on disk: an error at once, and the server has no whole body."""
    origin.replies(reply(BATCH))
    with pytest.raises(StateError) as caught:
        valar.create_batch(body(*pieces), 4, "key-1")
    valar.close()
    origin.close()
    assert all(len(request.body) < 4 for request in origin.requests)
    assert caught.value.message == "a batch's body is not the 4 bytes that were prepared"


def test_an_error_of_the_body_is_the_callers(origin, valar, slept):
    """What reading the file raises comes through untouched, and is not tried again."""
    origin.replies(reply(BATCH))

    def broken():
        yield b"ab"
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        valar.create_batch(broken, 4, "key-1")
    assert slept == []


def test_no_server_and_a_silent_server(origin, valar):
    """Nobody listening, and nobody answering, are both ConnectionFailed."""
    origin.replies(Reply(fault=STALL))
    silent = Connection(origin.base_url, KEY, read_timeout=0.05)
    nobody = Connection("http://127.0.0.1:1/v1", KEY)
    for connection in (silent, nobody):
        with (
            Valar(connection, patience=0.25, **Simulated().seams()) as calls,
            pytest.raises(ConnectionFailed) as caught,
        ):
            calls.models()
        assert caught.value.message.startswith("no answer from 127.0.0.1: ")
        assert caught.value.may_have_arrived is (connection is silent)


def test_an_unknown_authority_is_said_once(tls_origin, clock):
    """A certificate that is not trusted is not tried again; with its authority the call works."""
    tls_origin.replies(reply({"data": []}))
    with (
        Valar(Connection(tls_origin.base_url, KEY), **clock.seams()) as valar,
        pytest.raises(ConnectionFailed) as caught,
    ):
        valar.models()
    assert caught.value.message.startswith("the certificate of 127.0.0.1 is not trusted: ")
    assert clock.slept == []
    trusting = Connection(tls_origin.base_url, KEY, ca_bundle=str(CERTIFICATE))
    with Valar(trusting) as valar:
        assert valar.models() == []


def test_the_environment_is_not_read(origin, valar, monkeypatch):
    """Proxies come from the Connection alone."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    origin.replies(reply({"data": []}))
    assert valar.models() == []


def test_the_proxy_of_the_connection_is_used(origin):
    """The call arrives at the proxy with the whole URL."""
    origin.replies(reply({"data": []}))
    proxy = origin.base_url.removesuffix("/v1")
    with Valar(Connection("http://localhost:9/v1", KEY, proxy=proxy)) as valar:
        assert valar.models() == []
    assert origin.requests[0].target == "http://localhost:9/v1/models"


def test_models_and_batch_status(origin, valar):
    """Fields that are not listed are ignored."""
    origin.replies(
        reply({"object": "list", "data": [{"id": "m", "created": 1, "owned_by": "o", "x": 1}]}),
        reply({**BATCH, "x": 1, "request_status": {"a": {"status": "RUNNING", "x": 1}}}),
    )
    assert valar.models() == [Model("m", 1, "o")]
    assert valar.batch_status("batch_1") == BatchStatus(
        **BATCH, request_status={"a": RequestStatus("RUNNING")}
    )


STATUS = {**BATCH, "request_status": {"a": {"status": "RUNNING"}}}
CHANGED = {**BATCH, "request_status": {"a": {"status": "COMPLETED"}}}


def of(status):
    return BatchStatus(**{**status, "request_status": {"a": RequestStatus(
        status["request_status"]["a"]["status"])}})  # fmt: skip


def asked(origin):
    return [request.headers.get("if-none-match") for request in origin.requests]


def test_a_server_without_validators_is_asked_as_ever(origin, valar):
    """The same bytes are known again, and nothing else changes."""
    origin.replies(reply(STATUS), reply(STATUS), reply(CHANGED), reply(STATUS))
    seen = Seen()
    told = [valar.changed_status("batch_1", seen) for _ in range(4)]
    assert told == [of(STATUS), None, of(CHANGED), of(STATUS)]
    assert asked(origin) == [None] * 4


def test_an_etag_is_given_back(origin, valar):
    """A 304 says that nothing changed; the tag is always that of the last whole answer."""
    same = Reply(304)
    origin.replies(
        reply(STATUS, ETag='"1"'),
        same,
        refusal(503),
        same,
        reply(CHANGED, ETag='W/"2"'),
        same,
        reply(STATUS),
        reply(STATUS),
    )
    seen = Seen()
    told = [valar.changed_status("batch_1", seen) for _ in range(7)]
    assert told == [of(STATUS), None, None, of(CHANGED), None, of(STATUS), None]
    assert asked(origin) == [None, '"1"', '"1"', '"1"', '"1"', 'W/"2"', 'W/"2"', None]


def test_no_server_is_believed_for_ever(origin, valar):
    """One whose tag never changes holds a batch up for ten polls, and not to its last day."""
    origin.replies(reply(STATUS, ETag='"1"'), *[Reply(304)] * 10, reply(CHANGED, ETag='"1"'))
    seen = Seen()
    told = [valar.changed_status("batch_1", seen) for _ in range(12)]
    assert told == [of(STATUS), *[None] * 10, of(CHANGED)]
    assert asked(origin) == [None, *['"1"'] * 10, None]


@pytest.mark.parametrize("tag", ["\xe9", "\xa0"])
def test_a_tag_that_cannot_be_sent_back_is_none(origin, valar, tag):
    """It came in bytes that our own headers do not have."""
    origin.replies(reply(STATUS, ETag=tag))
    seen = Seen()
    assert [valar.changed_status("batch_1", seen) for _ in range(2)] == [of(STATUS), None]
    assert asked(origin) == [None, None]


@pytest.mark.parametrize("first", [Reply(304), Reply(200, b"not a status", {"ETag": '"1"'})])
def test_a_304_that_nobody_asked_for_is_no_answer(origin, valar, first):
    """And what could not be read is not what was seen last."""
    origin.replies(first, reply(STATUS))
    seen = Seen()
    assert valar.changed_status("batch_1", seen) == of(STATUS)
    assert asked(origin) == [None, None]


def test_ids_are_quoted(origin, valar):
    """An id given by a user cannot leave its place in the path."""
    origin.replies(refusal(404))
    with pytest.raises(NotFound):
        valar.batch_status("a/b?c#d é")
    assert origin.requests[0].target == "/v1/batches/a%2Fb%3Fc%23d%20%C3%A9"
    assert result_path("a/b", "c d") == "/batches/a%2Fb/c%20d"


class Shelf:
    """A server's list of batches, paged by one of the meanings that the reference leaves open."""

    def __init__(self, batches, *, before, seed=0):
        self.batches = batches
        self.before = before
        self.random = random.Random(seed)  # noqa: S311 - an order that repeats

    def __call__(self, request):
        query = dict(httpx.URL(request.target).params)
        chosen = self.batches
        if cursor := query.get("before_id"):
            place = [batch["id"] for batch in self.batches].index(cursor)
            time_of_cursor = self.batches[place]["created_at"]
            chosen = (
                self.batches[:place]
                if self.before == "place"
                else [batch for batch in chosen if batch["created_at"] < time_of_cursor]
            )
        page = chosen[-int(query["limit"]) :]
        self.random.shuffle(page)
        return reply(page)


@pytest.mark.parametrize("before", ["place", "time"])
@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 650])
@pytest.mark.parametrize("per_second", [1, 3, 150])
def test_every_page_is_read(origin, valar, before, count, per_second):
    """Each batch once, in shuffled pages, whatever "before" means among batches of one second."""
    batches = [
        {"id": f"b{i}", "request_counts": 1, "created_at": 1000 + i // per_second}
        for i in range(count)
    ]
    origin.script = Shelf(batches, before=before)
    ids = [batch.id for batch in valar.list_batches()]
    assert sorted(ids) == sorted(batch["id"] for batch in batches)


def test_a_server_that_repeats_itself_ends(origin, valar):
    """A list that ignores the cursor is given once, and not asked for forever."""
    page = [{"id": f"b{i}", "request_counts": 1, "created_at": i} for i in range(200)]
    origin.replies(reply(page))
    assert len(list(valar.list_batches())) == 200
    assert [request.target for request in origin.requests] == [
        "/v1/batches?limit=200",
        "/v1/batches?limit=200&before_id=b1",
    ]


def test_the_cursor_steps_back_over_a_shared_second():
    """The oldest second may go on beyond the page, so the page is continued before the next."""
    page = [Batch("a", 1, 5), Batch("b", 1, 4), Batch("c", 1, 4), Batch("d", 1, 6)]
    assert oldest_of(page).id == "a"
    assert oldest_of(page[1:3]).id == "c"


def heirs(kind):
    return {kind}.union(*(heirs(heir) for heir in kind.__subclasses__()))


def instance_of(kind):
    request = httpx.Request("GET", "http://127.0.0.1/v1")
    if kind is httpx.HTTPStatusError:
        return kind("x", request=request, response=httpx.Response(500, request=request))
    if kind is httpx.StreamError or not issubclass(kind, httpx.StreamError):
        return kind("x")
    return kind()


WHOLE_TREE = sorted(set().union(*(heirs(root) for root in FOREIGN)), key=lambda kind: kind.__name__)


def test_the_roots_cover_all_that_httpx_raises():
    """No exception of httpx's public names escapes the boundary."""
    public = {getattr(httpx, name) for name in httpx.__all__}
    raised = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Exception)}
    assert raised <= set(WHOLE_TREE)


@pytest.mark.parametrize("kind", WHOLE_TREE)
def test_no_httpx_exception_is_unmapped(kind):
    """Each has one class of ours: the way failed, the address is wrong, or the call was."""
    if issubclass(kind, httpx.InvalidURL | httpx.UnsupportedProtocol):
        wanted = UsageError
    elif issubclass(kind, httpx.LocalProtocolError | httpx.StreamError | httpx.CookieConflict):
        wanted = RemoteError
    else:
        wanted = ConnectionFailed
    assert type(error_from_httpx(instance_of(kind), "h")) is wanted


def chain_text(error):
    texts = []
    while error is not None:
        texts += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(texts)


@pytest.mark.parametrize(
    "answer",
    [
        refusal(401, f"wrong key {KEY}", type=KEY, param=KEY, code=KEY),
        refusal(400, KEY),
        Reply(500, f"<p>{KEY}</p>".encode()),
        Reply(200, f"<p>{KEY}</p>".encode()),
        Reply(302, b"", {"Location": f"/?key={KEY}"}),
        Reply(429, b"", {"X-Request-ID": KEY}),
        Reply(fault=HANG_UP),
    ],
)
def test_no_error_tells_the_key(origin, connection, answer):
    """Not even one that a server put into its answer."""
    origin.replies(answer)
    with Valar(connection) as valar:
        valar.stop_retrying()
        with pytest.raises(ValarBatchError) as caught:
            valar.models()
    assert KEY not in chain_text(caught.value)
    assert KEY not in repr(valar)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "sk-é", "tab\t", "\x7f"])
def test_a_key_that_no_header_carries_is_refused(key):
    """Before it is used, and without being quoted."""
    with pytest.raises(UsageError) as caught:
        Valar(Connection("https://127.0.0.1/v1", key))
    assert not key or key not in chain_text(caught.value)
    assert "VALAR_API_KEY" in caught.value.hint


@pytest.mark.parametrize(
    "connection",
    [
        Connection("https://a..b/v1", KEY),
        Connection("https://host:99999/v1", KEY),
        Connection("https://host/v1", KEY, proxy="ftp://user:secret@proxy:1"),
        Connection("https://host/v1", KEY, proxy="http://user:secret@proxy:port"),
        Connection("https://host/v1", KEY, ca_bundle="/nonexistent.pem"),
        Connection("https://host/v1", KEY, ca_bundle=__file__),
    ],
)
def test_settings_that_cannot_work_are_a_usage_error(connection):
    """Said when the client is made, without a password that a proxy's URL holds."""
    with pytest.raises(UsageError) as caught:
        Valar(connection)
    assert "secret" not in chain_text(caught.value)
