"""custom_ids, run ids, labels and keys follow from content alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valar_batch.core.identity import (
    Label,
    RunId,
    RunIdentity,
    custom_id_for_value,
    idempotency_key,
    parse_label,
)
from valar_batch.core.rules import CUSTOM_ID, LABEL, MAX_IDEMPOTENCY_KEY_LENGTH


@pytest.mark.parametrize(
    ("value", "custom_id"),
    [
        ("a", "a"),
        ("order-17_b", "order-17_b"),
        ("7", "7"),
        ("a" * 64, "a" * 64),
        ("a" * 65, "x-nr434c2zi6tta7g22wuhk65qau"),
        ("R-10001", "x-sfqhlkfxibxuab4r3keq6kzigu"),
        ("x-abc", "x-23hd7q5oxiwf7rmky4d4rbgmaa"),
        ("user@example.org", "x-q56irpwllx2k4padt4shc6jedi"),
        ("-a", "x-4kgm42wsveynk454zxhl4qia5m"),
        ("é", "x-2sy3aibleg5yjzqkhuts5svq3m"),
    ],
)
def test_ids_that_fit_stay_and_others_are_hashed(value: str, custom_id: str) -> None:
    """An id that Valar's pattern takes is itself; any other is x- and a hash of its exact text."""
    assert custom_id_for_value(value) == custom_id


@given(st.sets(st.text(min_size=1), min_size=2, max_size=50))
def test_different_ids_stay_different_and_all_fit(values: set[str]) -> None:
    """Whatever the ids are, they fit Valar's pattern and no two become one."""
    ids = [custom_id_for_value(value) for value in values]
    assert len(set(ids)) == len(values)
    assert all(CUSTOM_ID.fullmatch(custom_id) for custom_id in ids)


@given(st.lists(st.binary().map(lambda b: b.replace(b"\n", b"")), max_size=30), st.data())
def test_identity_does_not_depend_on_how_rows_arrive(
    rows: list[bytes], data: st.DataObject
) -> None:
    """Rows in one piece or in many give one identity; another order gives another."""
    cut = data.draw(st.integers(0, len(rows)))
    whole, pieces = RunIdentity("local", "batch"), RunIdentity("local", "batch")
    whole.add(rows)
    pieces.add(rows[:cut])
    pieces.add(rows[cut:])
    assert whole.hexdigest() == pieces.hexdigest()
    if rows != rows[::-1]:
        other = RunIdentity("local", "batch")
        other.add(rows[::-1])
        assert other.hexdigest() != whole.hexdigest()


def test_identity_knows_target_and_mode() -> None:
    """The same rows for another target are another run."""
    digests = set()
    for target, mode in (("local", "batch"), ("https://a/v1", "batch"), ("local", "background")):
        identity = RunIdentity(target, mode)
        identity.add([b"row"])
        digests.add(identity.hexdigest())
    assert len(digests) == 3


def test_run_ids_and_labels() -> None:
    """The run id is 16 hex digits, a generation is appended, and a label reads back."""
    run = RunId("0123456789abcdef" * 4)
    assert str(run) == "run-0123456789abcdef"
    assert str(run.next(2)) == "run-0123456789abcdef-2"
    for run_id in (run, run.next(12)):
        label = Label(str(run_id), 1, 99_999)
        assert LABEL.fullmatch(str(label))
        assert parse_label(str(label)) == label


@pytest.mark.parametrize("text", ["", "mine", "run-1", "job-abc-1-2", "run-abc-x-2", "run-abc-1-"])
def test_foreign_labels_are_not_ours(text: str) -> None:
    """A label that somebody else chose is never taken for one of ours."""
    assert parse_label(text) is None


def test_idempotency_keys_follow_from_label_and_body() -> None:
    """Another run, attempt, batch or body is another key, and every key has a legal length."""
    keys = {
        idempotency_key(label, body)
        for label in (
            Label("run-a", 1, 0),
            Label("run-b", 1, 0),
            Label("run-a", 2, 0),
            Label("run-a", 1, 1),
        )
        for body in ("00", "11")
    }
    assert len(keys) == 8
    assert all(len(key) <= MAX_IDEMPOTENCY_KEY_LENGTH for key in keys)
