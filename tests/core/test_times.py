"""Times as text: datetime's own form where datetime can hold them, and no digit less elsewhere."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valar_batch.core.template import Template
from valar_batch.core.times import (
    MICROSECOND,
    date_text,
    duration_text,
    time_text,
    timedelta_text,
    timestamp_text,
)

EPOCH = datetime.datetime(1970, 1, 1)
BERLIN, UTC = ZoneInfo("Europe/Berlin"), datetime.UTC


@given(st.datetimes())
def test_timestamps_that_datetime_knows(moment) -> None:
    """They are as datetime writes them, whatever the unit."""
    count = (moment - EPOCH) // MICROSECOND
    assert timestamp_text(count, "us") == moment.isoformat()
    assert timestamp_text(count * 1000, "ns") == moment.isoformat()
    assert timestamp_text(count, "us", UTC) == moment.replace(tzinfo=UTC).isoformat()


@given(st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2300, 1, 1)))
def test_zones(moment) -> None:
    """A time with a zone is its wall clock and its offset."""
    known = moment.replace(tzinfo=UTC).astimezone(BERLIN)
    count = (moment - EPOCH) // MICROSECOND
    assert timestamp_text(count, "us", BERLIN) == known.isoformat()


@pytest.mark.parametrize(
    ("count", "unit", "zone", "text"),
    [
        (1, "ns", None, "1970-01-01T00:00:00.000000001"),
        (-1, "ns", UTC, "1969-12-31T23:59:59.999999999+00:00"),
        (1_750_000_000_123_456_789, "ns", BERLIN, "2025-06-15T17:06:40.123456789+02:00"),
        (-(2**63), "ns", None, "1677-09-21T00:12:43.145224192"),
        (253_402_300_800, "s", None, "10000-01-01T00:00:00"),
        (2**63 - 1, "us", None, "294247-01-10T04:00:54.775807"),
        (-62_135_596_801, "s", None, "0000-12-31T23:59:59"),
        (-(2**63), "ms", None, "-292275055-05-16T16:47:04.192000"),
    ],
)
def test_timestamps_beyond_datetime(count, unit, zone, text) -> None:
    """Nanoseconds and any year are written in full."""
    assert timestamp_text(count, unit, zone) == text


@given(st.dates())
def test_dates(day) -> None:
    """A date is as Python writes it; 400 years later it is the same day of the year."""
    days = (day - EPOCH.date()).days
    assert date_text(days) == day.isoformat()
    assert date_text(days + 146_097 * 25) == f"{day.year + 10_000}{day.isoformat()[4:]}"


@given(st.times())
def test_times_of_day(time) -> None:
    """A time of day is as Python writes it, with nanoseconds where there are any."""
    count = (datetime.datetime.combine(EPOCH, time) - EPOCH) // MICROSECOND
    assert time_text(count, "us") == time.isoformat()
    assert time_text(count * 1000 + 7, "ns") == f"{time.isoformat('microseconds')}007"


@pytest.mark.parametrize(
    ("count", "unit", "text"),
    [
        (0, "s", "P0D"),
        (86_400, "s", "P1D"),
        (-1, "ms", "-PT0.001S"),
        (93_784_500, "ms", "P1DT7384.5S"),
        (1, "ns", "PT0.000000001S"),
        (-(2**63), "s", "-P106751991167300DT55808S"),
    ],
)
def test_durations(count, unit, text) -> None:
    """A duration is days and seconds, the sign before all."""
    assert duration_text(count, unit) == text


@given(st.timedeltas())
def test_durations_of_python(duration) -> None:
    """A duration of Python's says all of it."""
    sign, _, rest = timedelta_text(duration).rpartition("P")
    days, _, seconds = rest.partition("T")
    whole, _, fraction = seconds.removesuffix("S").partition(".")
    back = datetime.timedelta(
        int(days.removesuffix("D") or 0), int(whole or 0), int(fraction.ljust(6, "0"))
    )
    assert (-back if sign else back) == duration


def test_durations_in_a_prompt() -> None:
    """A prompt has the same text, by itself and within a list."""
    row = {"d": datetime.timedelta(1, 7384), "l": [datetime.timedelta(0)]}
    assert Template("{{ d }} {{ l }}", "prompt", None).render(row) == 'P1DT7384S ["P0D"]'
