"""Counts, sizes, amounts of money and foreign text as people read them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from valar_batch.core.statuses import Status

if TYPE_CHECKING:
    from collections.abc import Mapping


CONTROLS = re.compile("[\0-\b\v-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves a terminal's cursor, colours it or turns its text around; all but tab and line end."""


def plural(count: int, one: str, more: str = "") -> str:
    """Write a count with its noun."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def amount(count: float) -> str:
    """Write a count of bytes."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def dollars(amount: float | None) -> str:
    """Write an amount of USD; unknown is not zero."""
    if amount is None:
        return "unknown"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"


def counts(statuses: Mapping[str, int]) -> str:
    """Write counts by status, in the order of the status words."""
    parts = [f"{statuses[s]:,} {s.value}" for s in Status if statuses.get(s)]
    return ", ".join(parts) or "no rows"


def visible(text: str) -> str:
    """Write control characters so that a terminal shows them and does not obey: `\\x1b`."""
    return CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def cell(value: object) -> str:
    """Write a value as a field of a line that tabs separate."""
    return visible(str(value)).replace("\t", "\\t").replace("\n", "\\n")
