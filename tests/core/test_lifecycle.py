"""What may be done with a batch that is not known to have arrived."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valar_batch.core.lifecycle import (
    DOUBT_LIMIT_SECONDS,
    FAULT_FACTOR,
    FEWEST_ASKED,
    LONGEST_GAP_SECONDS,
    Adopt,
    BatchState,
    Doubt,
    Send,
    Tries,
    Vain,
    before_sending,
)

FRESH = BatchState.PREPARED
DOUBTFUL = BatchState.SUBMITTING


@pytest.mark.parametrize(
    ("state", "found", "same_key", "age", "resend", "step"),
    [
        (FRESH, None, True, 0, False, Send),
        (FRESH, "batch_1", True, 0, False, Adopt),
        (FRESH, "batch_1", True, 0, True, Adopt),
        (FRESH, None, False, 0, False, Send),
        (DOUBTFUL, "batch_1", False, 9e9, False, Adopt),
        (DOUBTFUL, None, True, 0, False, Send),
        (DOUBTFUL, None, True, 3600, False, Send),
        (DOUBTFUL, None, True, 3601, False, Doubt),
        (DOUBTFUL, None, True, -60, False, Send),
        (DOUBTFUL, None, True, -61, False, Doubt),
        (DOUBTFUL, None, False, 0, False, Doubt),
        (DOUBTFUL, None, False, 9e9, True, Send),
    ],
)
def test_before_sending(state, found, same_key, age, resend, step) -> None:
    """What is found is adopted; a doubtful POST is repeated only under its key, within the hour."""
    decided = before_sending(state, found=found, same_key=same_key, intent_age=age, resend=resend)
    assert type(decided) is step
    if step is Adopt:
        assert decided == Adopt("batch_1")


@pytest.mark.parametrize(
    ("state", "intent_age", "words"),
    [
        (DOUBTFUL, 9e9, "the attempt is over an hour old, and Valar may have forgotten its key"),
        (
            DOUBTFUL,
            -9e9,
            "the attempt lies in the future, so the clock was set and its age is unknown",
        ),
    ],
)
def test_a_doubt_gives_its_reason(state, intent_age, words) -> None:
    """A clock that was set back is not called an hour."""
    decided = before_sending(state, found=None, same_key=True, intent_age=intent_age, resend=False)
    assert decided == Doubt(words)


def test_tries_that_never_left_may_be_repeated_for_ever() -> None:
    """Only a try that may have arrived starts the hour, and the first one counts."""
    tries = Tries()
    assert (tries.are_doubtful, tries.age(9e9), tries.may_repeat(9e9)) == (False, 0.0, True)
    tries.may_have_arrived(1000.0)
    tries.may_have_arrived(2000.0)
    last = 1000.0 + DOUBT_LIMIT_SECONDS
    assert (tries.are_doubtful, tries.age(1600.0)) == (True, 600.0)
    assert [tries.may_repeat(now) for now in (1000.0, last, last + 1)] == [True, True, False]


AFTER = 600.0


def asked(*steps: tuple[float, str]) -> Vain:
    """Play what a result was answered: (seconds since the last, `no` or `outage`)."""
    vain, now = Vain(), 0.0
    for wait, answer in steps:
        now += wait
        if answer == "no":
            vain.answered(now)
        else:
            vain.interrupted()
    return vain


@pytest.mark.parametrize(
    ("steps", "is_missing"),
    [
        ([(15, "no")] * 41, True),
        ([(15, "no")] * 40, False),
        ([(0, "no"), (9999, "no")], False),
        ([(9999, "outage")] * 99 + [(0, "no")], False),
        ([(15, "no")] * 20 + [(40_000, "outage")] * 5 + [(15, "no")] * 21, False),
        ([(15, "no")] * 20 + [(40_000, "outage")] * 5 + [(15, "no")] * 22, True),
        ([(36_000, "no")] * 10, False),
        ([(36_000, "no")] * 11, True),
        ([(600, "no"), (600, "no"), (600, "no"), (600, "no")], False),
    ],
    ids=[
        "ten minutes of noes",
        "one no less",
        "a sleep between the first two",
        "an outage from the start",
        "an outage in the middle does not count",
        "and what is around it does",
        "asleep most of the time",
        "awake at last for ten minutes",
        "too few",
    ],
)
def test_only_answers_of_a_well_valar_make_a_result_missing(steps, is_missing) -> None:
    """However long it was since the first question."""
    assert asked(*steps).is_enough(AFTER, is_fault=False) is is_missing


def test_a_fault_is_given_an_hour() -> None:
    """What Valar does not deny is asked for six times as long."""
    assert not asked(*[(60, "no")] * 60).is_enough(AFTER, is_fault=True)
    assert asked(*[(60, "no")] * 61).is_enough(AFTER, is_fault=True)
    assert FAULT_FACTOR * AFTER == 3600.0


@given(st.lists(st.tuples(st.floats(0, 1e6), st.sampled_from(["no", "outage"])), max_size=60))
def test_a_sleep_counts_for_a_minute_at_most(steps) -> None:
    """So many answers make so many minutes, whatever lay between them."""
    vain = asked(*steps)
    noes = sum(answer == "no" for _, answer in steps)
    assert vain.times == noes
    assert 0 <= vain.seconds <= max(0, noes - 1) * LONGEST_GAP_SECONDS
    assert vain.is_enough(0, is_fault=False) is (noes >= FEWEST_ASKED)
