"""Ages, durations and sizes, read as a user writes them."""

from __future__ import annotations

import pytest

from valar_batch.core.quantities import parse_age, parse_duration, parse_size
from valar_batch.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30d", 2_592_000), ("12h", 43_200), ("90min", 5400), ("2w", 1_209_600), (" 1.5 H ", 5400)],
)
def test_ages(text, seconds) -> None:
    """A number and a unit, as seconds."""
    assert parse_age(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5m", 90), ("30min", 1800), ("8h", 28_800), ("1d", 86_400)],
)
def test_durations(text, seconds) -> None:
    """A number, with a unit where it is not seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "s", "-5", "0", "0h", "5y", "1h30m"])
def test_what_is_no_duration(text) -> None:
    """Anything else is refused, and so is no time at all."""
    with pytest.raises(UsageError, match=r"is (not a|no) time") as raised:
        parse_duration(text)
    assert "90s" in raised.value.hint


@pytest.mark.parametrize(
    ("text", "size"), [("1GB", 10**9), ("1.5gb", 1.5e9), ("500 MB", 5e8), ("10kB", 1e4), ("0B", 0)]
)
def test_sizes(text, size) -> None:
    """A number and a unit, as bytes."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "30 days", "1m", "1e3d", "30d12h"])
def test_what_is_no_age(text) -> None:
    """Anything else is refused, with an example."""
    with pytest.raises(UsageError, match="is not an age") as raised:
        parse_age(text)
    assert "30d" in raised.value.hint
