"""The state: written in one step, the same after a restart, and without any key in clear."""

import hashlib
import itertools
import json
import sqlite3
from contextlib import closing

import pytest

from valar_batch.core.identity import params_hash
from valar_batch.core.wire import Batch
from valar_batch.errors import NotFound, RequestRefused, StateError
from valar_batch.local.fate import fails, settling_delay
from valar_batch.local.idempotency import Arrival
from valar_batch.local.intake import NewBatch, Request
from valar_batch.local.store import Executions, Repeated, Store

REQUESTS = [Request(f"r-{n}", b'{"n":%d}' % n) for n in range(40)]


def arrival(body=b"body", key=None, api_key="fingerprint"):
    return Arrival(api_key, "/v1/batches", hashlib.sha256(body).digest(), key)


def add(store, requests, by, now=1000.5, **rehearsal):
    rehearsal = {"latency": 0.0, "failure_share": 0.0, **rehearsal}
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
        if 1000.5 + settling_delay(digest, position, latency) > now:
            words[name] = "RUNNING"
        else:
            words[name] = "FAILED" if fails(digest, share) else "COMPLETED"
    return {name: {"status": word} for name, word in words.items()}


@pytest.mark.parametrize("now", [1000.5, 1002.0, 1005.0, 1010.0, 1020.5])
def test_progress_goes_by_the_clock_and_survives_a_restart(path, now):
    """Where each request stands follows from the time, before and after the file is reopened."""
    with closing(Store(path)) as store:
        batch_id = add(store, REQUESTS, arrival(), latency=10.0, failure_share=0.3)
        before = json.loads(store.request_status(batch_id, now))
    with closing(Store(path)) as store:
        after = json.loads(store.request_status(batch_id, now))
        single = {name: store.item(batch_id, name, now).status.upper() for name in before}
    assert before == after == expected_status(now, 10.0, 0.3)
    assert single == {name: entry["status"] for name, entry in before.items()}


def test_all_words_occur_in_that_table():
    """The test above sees every status word."""
    words = itertools.chain.from_iterable(
        (entry["status"] for entry in expected_status(now, 10.0, 0.3).values())
        for now in (1005.0, 1010.0)
    )
    assert set(words) == {"RUNNING", "FAILED", "COMPLETED"}


def test_a_request_is_kept_byte_by_byte(store):
    """Params come back as the bytes that came, with when they were created and are due."""
    batch_id = add(store, [Request("a", b'{ "b" : 1.0 }')], arrival())
    assert store.item(batch_id, "a", 2000.0) == (
        b'{ "b" : 1.0 }',
        params_hash(b'{ "b" : 1.0 }'),
        1000.5,
        1000.5,
        "completed",
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
    add(store, [Request("a", b"1"), Request("b", b"1")], arrival(b"x", key="k"))
    add(store, [Request("a", b"1"), Request("b", b"2")], arrival(b"y"))
    add(store, [Request("a", b"1")], arrival(b"z"))
    for _ in range(2):
        store.add_response(b"1", arrival(b"1"), now=0.0, latency=0.0, failure_share=0.0)
    digest = params_hash(b"1").hex()
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
