"""The state: written in one step, the same after a restart, and without any key in clear."""

import hashlib
import itertools
import json
import math
import sqlite3
from contextlib import closing

import pytest

from valar_batch.core.identity import params_hash
from valar_batch.core.wire import Batch
from valar_batch.errors import NotFound, RequestRefused, StateError
from valar_batch.local.api.intake import NewBatch, Request
from valar_batch.local.ids import item_response_id
from valar_batch.local.rehearsal.fate import FAILS, QUEUED_SHARE, Odds, fate, settling_delay
from valar_batch.local.state.idempotency import Arrival
from valar_batch.local.state.records import StoredRequest, Unsettled
from valar_batch.local.state.store import Executions, Repeated, Store

RESPONSE_WORDS = {
    "PENDING": "queued",
    "RUNNING": "in_progress",
    "COMPLETED": "completed",
    "FAILED": "failed",
}
"""The words of `request_status`, and what a response object says."""
ONE, TWO, THREE = (b'{"input":"%d"}' % n for n in (1, 2, 3))
REQUESTS = [Request(f"r-{n}", b'{"n":%d}' % n) for n in range(40)]


def arrival(body=b"body", key=None, api_key="fingerprint", endpoint="/v1/batches"):
    return Arrival(api_key, endpoint, hashlib.sha256(body).digest(), key)


def add(store, requests, by, now=1000.5, **rehearsal):
    rehearsal = {"latency": 0.0, "odds": Odds(), **rehearsal}
    return store.add_batch(NewBatch(requests, "a-label"), by, now=now, **rehearsal)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.sqlite"


@pytest.fixture
def store(path):
    with closing(Store(path)) as opened:
        yield opened


def expected_status(now, latency, share):
    words = {}
    for position, (name, content) in enumerate(REQUESTS):
        digest = params_hash(content)
        delay = settling_delay(digest, position, latency)
        if 1000.5 + delay * QUEUED_SHARE > now:
            words[name] = "PENDING"
        elif 1000.5 + delay > now:
            words[name] = "RUNNING"
        else:
            words[name] = "FAILED" if fate(digest, Odds(share)) == FAILS else "COMPLETED"
    return {name: {"status": word} for name, word in words.items()}


@pytest.mark.parametrize("now", [1000.5, 1002.0, 1005.0, 1010.0, 1020.5])
def test_progress_goes_by_the_clock_and_survives_a_restart(path, now):
    """Where each request stands follows from the time, before and after the file is reopened."""
    with closing(Store(path)) as store:
        batch_id = add(store, REQUESTS, arrival(), latency=10.0, odds=Odds(0.3))
        before = json.loads(store.request_status(batch_id, now))
    with closing(Store(path)) as store:
        after = json.loads(store.request_status(batch_id, now))
        single = {name: store.item(batch_id, name, now).status for name in before}
    assert before == after == expected_status(now, 10.0, 0.3)
    assert single == {name: RESPONSE_WORDS[entry["status"]] for name, entry in before.items()}


def test_all_words_occur_in_that_table():
    """The test above sees every status word."""
    words = itertools.chain.from_iterable(
        (entry["status"] for entry in expected_status(now, 10.0, 0.3).values())
        for now in (1002.0, 1010.0)
    )
    assert set(words) == set(RESPONSE_WORDS)


def test_a_request_is_kept_byte_by_byte(store):
    """Params come back as the bytes that came, with when they were created and are due."""
    batch_id = add(store, [Request("a", b'{ "b" : 1.0 }')], arrival())
    item = store.item(batch_id, "a", 2000.0)
    assert item == StoredRequest(
        id=item_response_id(batch_id, 0),
        endpoint="/v1/responses",
        params=b'{ "b" : 1.0 }',
        params_hash=params_hash(b'{ "b" : 1.0 }'),
        created=1000.5,
        due=1000.5,
        status="completed",
        answer=None,
    )
    assert store.batch(batch_id) == Batch(batch_id, 1, 1000, "a-label")


def test_unknown_things_are_not_found(store):
    """What was never stored raises NotFound."""
    batch_id = add(store, REQUESTS, arrival())
    for ask in (
        lambda: store.batch("batch_0"),
        lambda: store.item(batch_id, "r-40", 0),
        lambda: store.item("batch_0", "r-1", 0),
        lambda: store.response("resp_0", 0),
    ):
        with pytest.raises(NotFound):
            ask()


def test_a_reservation_gives_the_record_again(store):
    """The same POST is recognised, for the same key alone, and another body is refused."""
    first = add(store, REQUESTS, arrival(key="k"))
    assert add(store, REQUESTS, arrival(key="k")) == first
    assert store.reserved(arrival(key="k")) == first
    assert store.reserved(arrival(key="k", api_key="another")) is None
    assert store.reserved(arrival(key="another")) is None
    assert store.reserved(arrival()) is None
    with pytest.raises(RequestRefused) as caught:
        add(store, REQUESTS, arrival(b"other", key="k"))
    assert (caught.value.status, caught.value.type) == (400, "idempotency_error")
    assert store.batches(200) == [Batch(first, 40, 1000, "a-label")]


def test_ids_follow_from_what_was_sent(tmp_path):
    """The same POSTs in the same order give the same ids anywhere, and no id twice."""

    def ids(folder):
        folder.mkdir()
        with closing(Store(folder / "state.sqlite")) as store:
            bodies = (b"one", b"one", b"two", b"one")
            return [add(store, REQUESTS, arrival(body)) for body in bodies]

    here, there = ids(tmp_path / "a"), ids(tmp_path / "b")
    assert here == there
    assert len(set(here)) == 4


def test_creation_never_goes_back(store):
    """Batches are created in the order of their list, even when the clock is set back."""
    for body, now in ((b"1", 1000.0), (b"2", 900.0), (b"3", 1001.0)):
        add(store, REQUESTS, arrival(body), now=now)
    assert [batch.created_at for batch in store.batches(200)] == [1001, 1000, 1000]


def test_a_post_is_stored_whole_or_not_at_all(store):
    """A failure in the middle of a batch leaves no batch, no request and no reservation."""
    torn = itertools.chain(REQUESTS, [Request("bad", object())])
    requests = list(torn)
    with pytest.raises(TypeError):
        add(store, requests, arrival(key="k"))
    assert store.batches(200) == []
    assert store.executions() == Executions(0, 0, [])
    assert store.reserved(arrival(key="k")) is None


def test_the_judge_counts_by_custom_id_and_params(store):
    """What ran twice is named, whatever batch and key it came in; a single has no custom_id."""
    add(store, [Request("a", ONE), Request("b", ONE)], arrival(b"x", key="k"))
    add(store, [Request("a", ONE), Request("b", TWO)], arrival(b"y"))
    add(store, [Request("a", ONE)], arrival(b"z"))
    for endpoint in ("/v1/responses", "/v1/chat/completions"):
        by = arrival(ONE, endpoint=endpoint)
        store.add_single(ONE, by, now=0.0, latency=0.0, odds=Odds())
    digest = params_hash(ONE).hex()
    repeated = [Repeated(None, digest, 2), Repeated("a", digest, 3)]
    assert store.executions() == Executions(7, 4, repeated)


def test_a_newer_file_is_refused(path):
    """A state file of a newer version is left alone, with a hint."""
    with closing(Store(path)):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StateError, match="newer version") as caught:
        Store(path)
    assert caught.value.hint


ELSEWHERE = {"latency": math.inf, "odds": Odds()}


def add_single(store, params, endpoint="/v1/responses", *, now=1000.5, **more):
    by = arrival(params, endpoint=endpoint)
    return store.add_single(params, by, now=now, **{**ELSEWHERE, **more})


def test_answers_may_come_from_elsewhere(path):
    """An unsettled request is queued, begun by one alone, and gives the answer it was told."""
    with closing(Store(path)) as store:
        batch_id = add(store, REQUESTS, arrival(), latency=math.inf)
        waiting = store.unsettled(100)
        assert waiting == [
            Unsettled(item_response_id(batch_id, place), "/v1/responses", request.params, 1000.5)
            for place, request in enumerate(REQUESTS)
        ]
        well, badly, begun = (request.id for request in waiting[:3])
        assert [store.begin(begun, 1001.0), store.begin(begun, 1002.0)] == [True, False]
        store.settle(well, failed=False, answer=b'{"good":1}', now=1003.0)
        store.settle(badly, failed=True, answer=b'{"bad":1}', now=1003.0)
        store.settle(well, failed=True, answer=b"too late", now=1004.0)
        words = {"r-0": "COMPLETED", "r-1": "FAILED", "r-2": "RUNNING"}
        status = {r.custom_id: {"status": words.get(r.custom_id, "PENDING")} for r in REQUESTS}
        assert json.loads(store.request_status(batch_id, 1003.0)) == status
        items = [store.item(batch_id, name, 1003.0) for name in ("r-0", "r-1", "r-2", "r-3")]
        assert [(item.status, item.answer, item.due) for item in items] == [
            ("completed", b'{"good":1}', 1003.0),
            ("failed", b'{"bad":1}', 1003.0),
            ("in_progress", None, math.inf),
            ("queued", None, math.inf),
        ]
        assert store.response(well, 1003.0) == items[0]
        assert store.unsettled(100) == waiting[3:]
        assert store.unsettled(2) == waiting[3:5]
    with closing(Store(path)) as store:
        assert store.unsettled(100) == waiting[2:]


def test_single_requests_are_answered_first(store):
    """Whoever waits for one answer comes before a batch; what was begun at birth is nobody's."""
    batch_id = add(store, REQUESTS, arrival(), latency=math.inf)
    chat = add_single(store, ONE, "/v1/chat/completions")
    message = add_single(store, TWO, "/v1/messages")
    begun = add_single(store, THREE, "/v1/chat/completions", begun=True)
    found = [(request.id, request.endpoint) for request in store.unsettled(3)]
    assert found == [
        (chat, "/v1/chat/completions"),
        (message, "/v1/messages"),
        (item_response_id(batch_id, 0), "/v1/responses"),
    ]
    assert (chat[:9], message[:4]) == ("chatcmpl-", "msg_")
    assert store.begin(chat, 1001.0)
    assert [store.single(name, 1001.0).status for name in (chat, message, begun)] == [
        "in_progress",
        "queued",
        "in_progress",
    ]
    store.settle(begun, failed=False, answer=b"{}", now=1002.0)
    assert store.single(begun, 1002.0).answer == b"{}"


def test_a_rehearsal_waits_for_nobody(store):
    """What settles by the clock is not offered to those who answer, nor changed by them."""
    batch_id = add(store, REQUESTS, arrival(), latency=10.0)
    before = store.item(batch_id, "r-0", 1000.5)
    assert store.unsettled(100) == []
    assert not store.begin(before.id, 1001.0)
    store.settle(before.id, failed=True, answer=b"{}", now=1001.0)
    assert store.item(batch_id, "r-0", 1000.5) == before


def test_only_responses_are_given_as_responses(store):
    """A chat completion is no response, though it is kept beside them."""
    chat = add_single(store, ONE, "/v1/chat/completions")
    response = add_single(store, ONE)
    assert store.response(response, 1001.0) == store.single(response, 1001.0)
    with pytest.raises(NotFound):
        store.response(chat, 1001.0)
    for ask in (
        lambda: store.begin("resp_0", 0.0),
        lambda: store.settle("resp_0", failed=False, answer=b"", now=0.0),
        lambda: store.single(item_response_id("batch_0", 1), 0.0),
    ):
        with pytest.raises(NotFound):
            ask()
