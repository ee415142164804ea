"""Ages, durations and sizes as a user writes them: 30d, 90s, 1.5GB."""

from __future__ import annotations

import re

from valar_batch.errors import UsageError

QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]+)")
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def parse_age(text: str) -> float:
    """Read an age as seconds: 90min, 12h, 30d, 4w. Raises UsageError."""
    return parsed(text, SECONDS, "an age", "30d; the units are s, min, h, d and w")


def parse_duration(text: str) -> float:
    """Read a duration, above 0, as seconds: 90, 90s, 30m, 8h. Raises UsageError."""
    units, hint = {**SECONDS, "m": 60}, "90s or 8h; the units are s, m, h and d"
    seconds = parsed(f"{text}s" if text[-1:].isdigit() else text, units, "a time", hint)
    if not seconds:
        raise UsageError(f"{text!r} is no time", hint=f"as in {hint}")
    return seconds


def parse_size(text: str) -> float:
    """Read a size as bytes: 500MB, 1.5GB. Raises UsageError."""
    return parsed(text, BYTES, "a size", "1GB; the units are B, kB, MB, GB and TB")


def parsed(text: str, units: dict[str, int], what: str, hint: str) -> float:
    """Read a number with its unit."""
    match = QUANTITY.fullmatch(text.strip())
    unit = units.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise UsageError(f"{text!r} is not {what}", hint=f"as in {hint}")
    return float(match[1]) * unit
