"""The rate that is learned from refusals, against a server that is only arithmetic."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valar_batch.core.rate import CUT, CUT_AGAIN, LEAST, PLATEAU, ROUND, TOLERATED, LearnedRate

STEP = 0.01


def refuse(rate, now, *, sent=None, reach=1000.0, times=TOLERATED + 1, pause=0.0):
    for _ in range(times):
        rate.refused(now, now if sent is None else sent, reach, pause)
    return rate.rate


def wait_for_it(rate, start, seconds):
    """Let requests wait for nothing but the rate."""
    for step in range(round(seconds / STEP)):
        rate.take(start + (step + 1) * STEP, 10**9)
    return rate.rate


def test_without_refusals_there_is_no_bound():
    """All that is wanted may go, at once."""
    rate = LearnedRate()
    assert (rate.take(0.0, 10**9), rate.wait, rate.rate) == (10**9, 0.0, inf)


@pytest.mark.parametrize(
    ("refusals", "answers", "pause", "reached"),
    [
        (TOLERATED, 0, 0.0, inf),  # a few are not worth it
        (TOLERATED + 1, 0, 0.0, 1000 * CUT),
        (TOLERATED, ROUND, 0.0, inf),  # the next round begins anew
        (1, 0, 1.0, 1000 * CUT),  # a pause costs more than the call
        (1, 0, 0.001, inf),
    ],
)
def test_more_than_a_few_of_a_round_cut_it(refusals, answers, pause, reached):
    """The first cut is taken from what the connections allow."""
    rate = LearnedRate()
    refuse(rate, 0.0, times=refusals, pause=pause)
    for _ in range(answers):
        rate.succeeded()
    if answers:
        refuse(rate, 0.0, times=TOLERATED)
    assert rate.rate == reached


def test_what_was_sent_before_a_cut_counts_no_more():
    """A burst of refusals is one word, and what is sent after it tells of the new rate."""
    rate = LearnedRate()
    cut = refuse(rate, 1.0)
    assert refuse(rate, 2.0, sent=0.9, times=500) == cut
    assert refuse(rate, 2.0, sent=1.5) == cut * CUT_AGAIN
    assert refuse(rate, 10.0, sent=9.0) == cut * CUT_AGAIN * CUT


def test_it_climbs_to_where_it_was_and_beyond():
    """Slowly around the place of the refusals, then ever faster; only while it is waited for."""
    rate = LearnedRate()
    cut = refuse(rate, 0.0)
    for step in range(1000):
        rate.take(step * STEP, 0)
    assert rate.rate == cut
    assert wait_for_it(rate, 10.0, PLATEAU) == pytest.approx(1000, rel=0.001)
    assert wait_for_it(rate, 10.0 + PLATEAU, PLATEAU) == pytest.approx(1200, rel=0.01)
    assert wait_for_it(rate, 10.0 + 2 * PLATEAU, 2 * PLATEAU) > 2500


def test_it_permits_what_it_says():
    """Over a second as many as the rate, and no more than a moment's worth at once."""
    rate = LearnedRate()
    refuse(rate, 0.0)
    taken = [rate.take(step * STEP, 10**9) for step in range(1, 101)]
    assert CUT * 1000 <= sum(taken) + 1 <= 1000
    assert rate.take(100.0, 10**9) <= 100


def met(permitted, latency, retry_after, seconds, *, most=200):
    """Fetch for so long from a server with a bucket of tokens: per second, served and refused."""
    rate, under_way, tally = LearnedRate(), [], [[0, 0] for _ in range(seconds)]
    tokens, held_until, step = permitted / 10, 0.0, 0.002
    for turn in range(int(seconds / step)):
        now = turn * step
        tokens = min(permitted / 10, tokens + permitted * step)
        while under_way and under_way[0][0] <= now:
            _, sent, served = under_way.pop(0)
            if served:
                rate.succeeded()
                continue
            rate.refused(now, sent, most / latency, retry_after)
            held_until = max(held_until, now + retry_after)
        for _ in range(rate.take(now, most - len(under_way)) if now >= held_until else 0):
            served = tokens >= 1
            tokens -= served
            tally[int(now)][not served] += 1
            under_way.append((now + latency, now, served))
    return tally


@pytest.mark.parametrize("latency", [0.004, 0.1])
@pytest.mark.parametrize("permitted", [500, 2000])
@pytest.mark.parametrize(("retry_after", "share"), [(0.0, 0.9), (1.0, 0.7)])
def test_it_settles_near_what_a_server_permits(permitted, latency, retry_after, share):
    """A minute: nearly all that is permitted comes, and few calls are lost to refusals."""
    tally = met(permitted, latency, retry_after, 60)
    served, refused = (sum(counts) for counts in zip(*tally, strict=True))
    most = min(permitted, 200 / latency)
    assert served >= share * 60 * most
    assert refused <= 0.03 * served


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["take", "good", "refused"]),
            st.floats(0, 100),
            st.floats(0, 10),
            st.floats(1, 1e6),
            st.sampled_from([0.0, 0.5, 3600.0]),
        ),
        max_size=200,
    )
)
def test_it_stays_in_bounds(steps):
    """Never under the least, never more than wanted, and never without an end of waiting."""
    rate, now = LearnedRate(), 0.0
    for verb, later, age, reach, pause in steps:
        now += later
        if verb == "take":
            assert 0 <= rate.take(now, 7) <= 7
        elif verb == "good":
            rate.succeeded()
        else:
            rate.refused(now, now - age, reach, pause)
            now += pause
        assert rate.rate >= LEAST
        assert 0 <= rate.wait <= 1 / LEAST
