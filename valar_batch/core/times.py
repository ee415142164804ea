"""Times as text: ISO 8601, every digit of any Arrow time, also where datetime cannot hold it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PER_SECOND: Mapping[str, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
DAY = 86_400
DAYS_OF_400_YEARS = 146_097
"""After them the calendar begins again, weekdays and leap years included."""

KNOWN_SECONDS = range(-62_135_510_400, 253_402_214_400)
"""What datetime can hold in any zone: from the second day of year 1 until the last of 9999."""

FIRST_DAY = datetime.datetime(1970, 1, 1)
MICROSECOND = datetime.timedelta(microseconds=1)


def date_text(days: int) -> str:
    """Write a date, given as days since 1970, of any year."""
    cycles, day = divmod(days, DAYS_OF_400_YEARS)
    date = FIRST_DAY.date() + datetime.timedelta(day)
    return _year(date, cycles) + date.isoformat()[4:]


def timestamp_text(count: int, unit: str, zone: datetime.tzinfo | None = None) -> str:
    """Write a time of any year, given as a count since 1970; in `zone`, it ends in its offset."""
    seconds, fraction = divmod(count, PER_SECOND[unit])
    cycles = 0 if seconds in KNOWN_SECONDS else seconds // (DAYS_OF_400_YEARS * DAY)
    time = FIRST_DAY + datetime.timedelta(seconds=seconds - cycles * DAYS_OF_400_YEARS * DAY)
    if zone is not None:
        time = time.replace(tzinfo=datetime.UTC).astimezone(zone)
    text = time.isoformat(timespec="seconds")
    return _year(time, cycles) + text[4:19] + _fraction(fraction, unit) + text[19:]


def time_text(count: int, unit: str) -> str:
    """Write a time of day, given as a count since midnight."""
    seconds, fraction = divmod(count, PER_SECOND[unit])
    time = (FIRST_DAY + datetime.timedelta(seconds=seconds)).time()
    return time.isoformat(timespec="seconds") + _fraction(fraction, unit)


def duration_text(count: int, unit: str) -> str:
    """Write a duration, as in `P1DT7384.5S`."""
    days, rest = divmod(abs(count), DAY * PER_SECOND[unit])
    seconds, fraction = divmod(rest, PER_SECOND[unit])
    date = f"{days}D" if days or not rest else ""
    time = f"T{seconds}{_fraction(fraction, unit).rstrip('0')}S" if rest else ""
    return f"{'-' if count < 0 else ''}P{date}{time}"


def timedelta_text(duration: datetime.timedelta) -> str:
    """Write a duration of Python's."""
    return duration_text(duration // MICROSECOND, "us")


def _year(date: datetime.date, cycles: int) -> str:
    """Write the year of a date that was moved by cycles of 400 years."""
    year = date.year + 400 * cycles
    return f"{year:04}" if year >= 0 else f"{year:05}"


def _fraction(count: int, unit: str) -> str:
    """Write a fraction of a second as `datetime` does, with nine digits where six are too few."""
    nanoseconds = count * (10**9 // PER_SECOND[unit])
    if not nanoseconds:
        return ""
    whole, rest = divmod(nanoseconds, 1_000)
    return f".{nanoseconds:09}" if rest else f".{whole:06}"
