"""A draft's bodies are exact bytes, also after requests were taken out again."""

from __future__ import annotations

import hashlib
import json

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from valar_batch.core.identity import RunId
from valar_batch.core.problems import Problem
from valar_batch.core.wire import request_bytes
from valar_batch.errors import StateError
from valar_batch.runs.draft import Draft, PreparedRows
from valar_batch.runs.home import Home

RUN = RunId("ab" * 32)


def params_of(number: int) -> bytes:
    return json.dumps({"model": "m", "input": f"line {number}\\n,é"}).encode()


def prepared(numbers: list[int], valid: list[bool]) -> PreparedRows:
    requests = [
        request_bytes(f"r-{n}", params_of(n)) if ok else None
        for n, ok in zip(numbers, valid, strict=True)
    ]
    return PreparedRows(
        [f"r-{n}" for n in numbers], requests, [None if ok else "null" for ok in valid]
    )


def fill(draft: Draft, valid: list[bool], chunk: int):
    batch = draft.new_batch(1, pa.large_binary())
    for start in range(0, len(valid), chunk):
        part = valid[start : start + chunk]
        numbers = list(range(start + 1, start + 1 + len(part)))
        kept = pa.array([b'{"n":%d}' % (n - 1) for n in numbers], pa.large_binary())
        batch.add(kept, prepared(numbers, part))
    batch.close()
    return batch


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(1, 5), st.data())
@settings(max_examples=40, deadline=None)
def test_withdrawn_requests_leave_an_exact_body(tmp_path_factory, valid, chunk, data) -> None:
    """Taking requests out gives the very bytes of a body that never had them."""
    out = (
        data.draw(st.sets(st.sampled_from([n for n, ok in enumerate(valid, 1) if ok])))
        if any(valid)
        else set()
    )
    home = Home(tmp_path_factory.mktemp("home"))
    problem = Problem("duplicate id", "id", "row 1 has the same id")
    with Draft(home) as draft:
        batch = fill(draft, valid, chunk)
        taken: list[bytes] = []
        batch.withdraw(dict.fromkeys(out, problem), taken.append)
        (record,) = draft.finish(RUN)
        body = b"".join(batch.folder.body())
        kept = [row for batches in batch.folder.rows() for row in batches.to_pylist()]
    assert (hashlib.sha256(body).hexdigest(), len(body)) == (record.sha256, record.bytes)
    left = [n for n, ok in enumerate(valid, 1) if ok and n not in out]
    assert json.loads(body) == {
        "endpoint": "/v1/responses",
        "requests": [{"custom_id": f"r-{n}", "params": json.loads(params_of(n))} for n in left],
        "label": f"{RUN}-1-0",
    }
    assert record.requests == len(left)
    assert taken == [params_of(number) for number in sorted(out)]
    assert [row["row"] for row in kept] == list(range(1, len(valid) + 1))
    assert [row["row"] for row in kept if row["problem"] is None] == left


def test_a_draft_that_fails_leaves_nothing(tmp_path) -> None:
    """An error in the middle of preparing removes all of it."""
    home = Home(tmp_path / "home")

    def prepare_and_fail() -> None:
        with Draft(home) as draft:
            fill(draft, [True], 1)
            raise StateError("in the middle")

    with pytest.raises(StateError):
        prepare_and_fail()
    assert list(home.runs_path.iterdir()) == []


def test_the_home_is_private(tmp_path) -> None:
    """Prompts and answers are for their owner's eyes."""
    home = Home(tmp_path / "home")
    home.create()
    assert home.path.stat().st_mode & 0o777 == 0o700


def test_the_fingerprint_of_a_key(tmp_path) -> None:
    """One key has one mark in one home, which is not the key's in another, and never the key."""
    one, other = Home(tmp_path / "one"), Home(tmp_path / "other")
    mark = one.fingerprint("secret-key")
    assert mark == Home(one.path).fingerprint("secret-key")
    assert mark != one.fingerprint("another-key")
    assert mark != other.fingerprint("secret-key")
    assert "secret" not in mark


DAMAGES = {
    "another byte": lambda body: body[:-40] + b"~" + body[-39:],
    "a byte less": lambda body: body[:-1],
    "a byte more": lambda body: body + b"}",
    "more pieces": lambda body: body + b" " * (3 << 20),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_body_is_never_given_whole(tmp_path, damage) -> None:
    """What comes before the error is short of its last piece, however much there is."""
    ids = [f"r-{n}" for n in range(250)]
    requests = [request_bytes(one, b'{"input":"%s"}' % (b"x" * 9000)) for one in ids]
    rows = PreparedRows(ids, requests, [None] * len(ids))
    with Draft(Home(tmp_path / "home")) as draft:
        batch = draft.new_batch(1, pa.large_binary())
        batch.add(pa.array([b"{}"] * len(rows), pa.large_binary()), rows)
        batch.close()
        folder = batch.folder
        (record,) = draft.finish(RUN)
        whole = b"".join(folder.body())
        assert b"".join(folder.checked_body()) == whole
        folder.body_path.write_bytes(zstandard.compress(DAMAGES[damage](whole)))
        given: list[bytes] = []
        with pytest.raises(StateError, match="is not what was prepared"):
            given.extend(folder.checked_body())
    assert 1 << 20 <= len(b"".join(given)) < record.bytes
