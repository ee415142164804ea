"""Lanes make calls in order, pass on what stopped them, and end at once when they are told to."""

from __future__ import annotations

import threading

import pytest

from valar_batch.runs.lanes import Lane


def test_calls_are_made_in_order() -> None:
    """What was given is done in the order in which it was given."""
    lane, made = Lane("test"), []
    for number in range(20):
        lane.call(lambda n=number: made.append(n))
    lane.wait()
    lane.stop()
    assert made == list(range(20))


def test_a_failure_is_passed_on() -> None:
    """Nothing is done after a failure, and whoever waits or gives more is told."""
    lane, made = Lane("test"), []

    def fail() -> None:
        raise OSError(28, "No space left on device")

    lane.call(fail)
    lane._calls.put(lambda: made.append(1))
    with pytest.raises(OSError, match="No space"):
        lane.wait()
    with pytest.raises(OSError, match="No space"):
        lane.call(lambda: None)
    lane.stop()
    assert made == []


def test_what_waits_is_dropped() -> None:
    """A lane that is stopped ends the call that it is at, and makes no other."""
    lane, made = Lane("test"), []
    begun, go = threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        go.wait(10)
        made.append(1)

    lane.call(first)
    begun.wait(10)
    lane.call(lambda: made.append(2))
    threading.Timer(0.1, go.set).start()
    lane.stop()
    assert made == [1]


def test_a_lane_without_calls_stops() -> None:
    """Nothing was begun, so there is nothing to end."""
    lane = Lane("test")
    lane.wait()
    lane.stop()
