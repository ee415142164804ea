"""Delays, Retry-After and concurrency, by tables and by hypothesis."""

from __future__ import annotations

import heapq
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valar_batch.core.backoff import (
    CAP,
    FOUND_SECONDS,
    LONGEST_RETRY_AFTER,
    POLL_CORE_SHARE,
    POLL_LATEST,
    POLL_LATEST_AT_FIRST,
    POLL_SOONEST,
    ROUND,
    Concurrency,
    PollBudget,
    backoff_delay,
    next_poll_delay,
    parse_retry_after,
    spent_in_vain,
)

JITTER = st.floats(0, 1, exclude_max=True)
NOW = 1_780_000_000.0  # Thu, 28 May 2026 20:26:40 GMT


@pytest.mark.parametrize(
    ("attempt", "shortest"), [(1, 0.25), (2, 0.5), (3, 1), (7, 16), (8, 30), (9, 30), (10**9, 30)]
)
def test_delays_double_up_to_a_minute(attempt, shortest):
    """From half a second to a minute; without jitter, the lower half."""
    assert backoff_delay(attempt, jitter=0.0) == shortest


@given(st.integers(1, 10_000), JITTER)
def test_a_delay_is_in_the_upper_half(attempt, jitter):
    """Jitter spreads it over at most a factor of two, and never beyond the cap."""
    least = backoff_delay(attempt, jitter=0.0)
    assert least <= backoff_delay(attempt, jitter=jitter) <= min(2 * least, CAP)


@given(st.integers(1, 10_000), JITTER, st.floats(0, LONGEST_RETRY_AFTER))
def test_retry_after_is_never_undercut(attempt, jitter, retry_after):
    """What the server asks for is the least, and the jitter on top is a few seconds."""
    delay = backoff_delay(attempt, jitter=jitter, retry_after=retry_after)
    assert retry_after <= delay <= retry_after + CAP / 10


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("1e300", LONGEST_RETRY_AFTER),
        ("inf", LONGEST_RETRY_AFTER),
        ("Thu, 28 May 2026 20:27:40 GMT", 60.0),
        ("Thu, 28 May 2026 22:27:40 +0200", 60.0),
        ("Thu, 28 May 2026 20:27:40 -0000", 60.0),
        ("Thu, 28 May 2026 20:00:00 GMT", 0.0),
        ("Thu, 28 May 9999 20:00:00 GMT", LONGEST_RETRY_AFTER),
        ("Thu, 99 May 2026 20:00:00 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +2300", 0.0),
    ],
)
def test_retry_after_in_both_forms(header, seconds):
    """Delta-seconds or an HTTP date (RFC 9110, 10.2.3), from now."""
    assert parse_retry_after(header, date=None, now=NOW) == seconds


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Thu, 28 May 2026 20:26:40 GMT", 60.0),
        ("Wed, 27 May 2026 20:27:00 GMT", LONGEST_RETRY_AFTER),
        ("Thu, 28 May 2026 20:28:40 GMT", 0.0),
        ("yesterday", 60.0),
        (None, 60.0),
    ],
)
def test_a_date_is_read_by_the_servers_clock(date, seconds):
    """Where the answer says when it was written, this machine's clock does not matter."""
    until = "Thu, 28 May 2026 20:27:40 GMT"
    here = NOW + 86_400 * 3 if date and date.endswith("GMT") else NOW
    assert parse_retry_after(until, date=date, now=here) == seconds


@given(st.text(), st.none() | st.text())
def test_retry_after_never_raises(header, date):
    """Whatever a server or proxy writes there."""
    seconds = parse_retry_after(header, date=date, now=NOW)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)


def run(concurrency, marks):
    """Feed a string of answers: . good, x fault."""
    verbs = {".": concurrency.succeeded, "x": concurrency.faulted}
    for mark in marks:
        verbs[mark]()
    return concurrency.limit


@pytest.mark.parametrize(
    ("start", "marks", "limit"),
    [
        (16, "." * 15, 16),
        (16, "." * 16, 32),
        (16, "." * (16 + 32 + 64 + 128), 200),
        (100, "x" * 99, 100),
        (100, "x" * 100, 50),
        (100, "x" * 100 + "." * 50, 51),
        (100, "x" * 12 + "." * 88, 200),
        (100, "x" * 13 + "." * 87, 50),
        (16, "x" * 16 * 10, 1),
        (1, "." * ROUND, 2),
    ],
)
def test_the_limit_follows_the_rounds(start, marks, limit):
    """Doubling until the first setback, then one a round; a bad round halves."""
    assert run(Concurrency(200, limit=start), marks) == limit


@settings(deadline=None)
@given(st.integers(1, 2000), st.text(".x", max_size=3000))
def test_the_limit_stays_in_bounds(most, marks):
    """At least one, at most what the user allows."""
    concurrency = Concurrency(most)
    for mark in marks:
        assert 1 <= run(concurrency, mark) <= most


@settings(deadline=None)
@given(st.integers(1, 200), st.text(".x", max_size=500))
def test_it_recovers(most, marks):
    """After any trouble, good answers alone lead back to the top."""
    concurrency = Concurrency(most)
    run(concurrency, marks)
    for _ in range(most + 1):
        run(concurrency, "." * max(ROUND, concurrency.limit))
    assert concurrency.limit == most


@pytest.mark.parametrize(
    ("interval", "moved", "left", "seconds", "delay"),
    [
        (2.0, 0, 100, 0.0, 3.0),  # nothing moves: later
        (2.0, 100, 100, 0.0, 1.0),  # half came in one interval: sooner
        (2.0, 10, 100, 0.0, 2.0),  # a tenth came: as before
        (2.0, 1, 100, 0.0, 3.0),  # slower than that: later
        (2.0, 5, 0, 0.0, 2.0),
        (8.0, 0, 100, 0.3, 15.0),  # a poll of 0.3 s is at most a fiftieth of the time
        (2.0, 10, 100, 0.3, 6.0),  # but one slow answer delays the next poll no more than so
        (8.0, 10_000, 100_000, 0.3, 8.0),  # what it finds pays for a part of it: 0.1 s in vain
        (8.0, 50, 50, 0.3, 4.0),  # the end is near, whatever a poll costs
        (0.5, 100, 100, 0.0, POLL_SOONEST),
        (50.0, 0, 100, 0.0, POLL_LATEST_AT_FIRST),
        (20.0, 0, 100, 60.0, POLL_LATEST_AT_FIRST),
    ],
)
def test_polls_follow_how_fast_a_batch_moves(interval, moved, left, seconds, delay):
    """The pace adapts to what settles and to what a poll costs."""
    assert next_poll_delay(interval, moved, left, seconds) == pytest.approx(delay)


@pytest.mark.parametrize(
    ("seconds", "moved", "left", "spent"),
    [
        (0.1, 0, 10**5, 0.1),
        (0.1, 1000, 10**5, 0.08),
        (0.1, 5000, 10**5, 0.0),
        (0.1, 50_000, 10**5, 0.0),
        (0.1, 1, 2, 0.09998),
        (0.1, 1, 1, 0.0),
        (0.1, 0, 0, 0.0),
    ],
)
def test_what_a_poll_finds_pays_for_it(seconds, moved, left, spent):
    """Each result a little, and all of it where no more are left than came."""
    assert spent_in_vain(seconds, moved, left) == pytest.approx(spent)


@given(
    st.floats(0.5, 300),
    st.integers(0, 10**5),
    st.integers(0, 10**5),
    st.floats(0, 100),
    st.floats(0, 1e6),
)
def test_polls_stay_within_their_bounds(interval, moved, left, seconds, elapsed):
    """Never more often than twice a second; at first once a minute, and once in five at least."""
    delay = next_poll_delay(interval, moved, left, seconds, elapsed)
    assert POLL_SOONEST <= delay <= POLL_LATEST
    assert delay <= max(POLL_LATEST_AT_FIRST, elapsed / 50)


DAY = 86_400.0


def watch(settled, requests, seconds):
    """Watch a batch to its end by a simulated clock; gives the polls and when the last ended.

    `settled(t)` is how many of its requests are settled then; a poll takes `seconds`.
    """
    now, interval, known, polls = 0.0, POLL_SOONEST, 0, 0
    while True:
        seen, polls, now = settled(now), polls + 1, now + seconds
        moved, known = seen - known, seen
        if known == requests or now > 2 * DAY:
            return polls, now
        interval = next_poll_delay(interval, moved, requests - known, seconds, now)
        now += interval


SHAPES = [
    # what, settled by t, requests, seconds of a poll, when it ends, most polls, most seconds late
    ("one, at once", lambda t: int(t >= 2), 1, 0.02, 2, 4, 1),
    ("one, in ten minutes", lambda t: int(t >= 600), 1, 0.02, 600, 25, 61),
    ("one, in a day", lambda t: int(t >= DAY), 1, 0.02, DAY, 400, 301),
    ("evenly in ten minutes", lambda t: min(1000, int(t * 1000 / 600)), 1000, 0.05, 600, 60, 61),
    ("evenly in a day", lambda t: min(1000, int(t * 1000 / DAY)), 1000, 0.05, DAY, 400, 301),
    ("in the last minute", lambda t: min(1000, max(0, int((t - DAY) * 1000 / 60) + 1000)),
     1000, 0.05, DAY, 400, 301),
    ("in hourly bursts", lambda t: 1000 * min(24, int(t / 3600)), 24_000, 0.1, DAY, 400, 301),
    ("100,000 evenly in a day", lambda t: min(10**5, int(t * 10**5 / DAY)), 10**5, 3, DAY, 400,
     305),
    ("100,000 in ten minutes", lambda t: min(10**5, int(t * 10**5 / 600)), 10**5, 3, 600, 20, 65),
    ("nothing for two days", lambda _: 0, 1, 0.02, 2 * DAY, 700, 301),
]  # fmt: skip


@pytest.mark.parametrize(
    ("settled", "requests", "seconds", "end", "most", "late"),
    [shape[1:] for shape in SHAPES],
    ids=[shape[0] for shape in SHAPES],
)
def test_a_batch_is_watched_with_a_sane_number_of_polls(
    settled, requests, seconds, end, most, late
):
    """A day is some 370 polls at most, and its end is noticed within five minutes."""
    polls, ended = watch(settled, requests, seconds)
    assert polls <= most
    assert ended - end <= late


CPU, TOOK = 0.1, 0.3
"""Seconds of a core, and of the clock, for a status of 100,000 requests."""


def watch_many(count, settled, requests, until):
    """Watch many batches by a simulated clock, as one thread does; gives the CPU seconds after the
    first look at each, the results that were found then, and when each end was noticed."""
    budget, now, cpu, found, ends = PollBudget(), 0.0, 0.0, 0, {}
    due = [(0.0, batch, POLL_SOONEST, 0) for batch in range(count)]
    while due and now < until:
        at, batch, interval, known = heapq.heappop(due)
        now = max(now, at, budget.resumes_at if at else 0.0) + TOOK
        seen = settled(batch, now - TOOK)
        moved, left = seen - known, requests - seen
        budget.polled(now, CPU, moved=moved, left=left)
        if at:
            cpu, found = cpu + CPU, found + moved
        if left:
            seconds = TOOK * (len(due) + 1)
            interval = next_poll_delay(interval, moved, left, seconds, now)
            heapq.heappush(due, (now + interval, batch, interval, seen))
        else:
            ends[batch] = now
    return cpu, found, ends


@pytest.mark.parametrize("count", [1, 10, 100, 300])
@pytest.mark.parametrize(
    "requests_by",
    [
        lambda _batch, _t: 0,
        lambda _batch, t: int(10**5 * t / DAY / 2),
        lambda batch, t: 10**5 * int(t >= DAY * (batch + 1) / 400),
    ],
    ids=["nothing moves", "all move", "one after the other"],
)
def test_many_batches_are_polled_within_their_share_of_a_core(count, requests_by):
    """However many there are, over a day; what is found may cost a little more."""
    cpu, found, ends = watch_many(count, requests_by, 10**5, DAY)
    # The last poll of a batch, and those at its end, are as good as paid for.
    assert cpu <= DAY * POLL_CORE_SHARE + found * FOUND_SECONDS + CPU * (len(ends) + 1)
    late = [at - DAY * (batch + 1) / 400 for batch, at in ends.items()]
    assert all(0 <= seconds <= max(301, 2 * count * CPU / POLL_CORE_SHARE) for seconds in late)
    if ends:
        assert len(ends) >= count * 0.95


def test_a_hundred_batches_that_end_at_once_are_seen_to_end_at_once():
    """The first to be seen makes way for the next: no poll of one that ended is waited for."""
    end = DAY / 2
    _, _, ends = watch_many(100, lambda _, t: 10**5 * int(t >= end), 10**5, DAY)
    assert len(ends) == 100
    assert max(ends.values()) - end <= 301 + CPU / POLL_CORE_SHARE + 100 * TOOK
