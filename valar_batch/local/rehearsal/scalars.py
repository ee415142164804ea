"""Strings and numbers that fit a schema; strings are marked where nothing else is asked."""

from __future__ import annotations

import math
import string
import uuid
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from valar_batch.local.rehearsal.patterns import Pattern, TooHard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valar_batch.local.rehearsal.draws import Draws

BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
SPAN = 100
"""How many steps a number goes from its only bound, or from 0."""
STEPS = 1_000
"""How many steps there are between two bounds, at least."""

MOST_LENGTH = 100_000
"""Characters beyond which no text is made, whatever a schema asks for."""

MARK = "[rehearsal] "
"""Begins every text that stands for an answer."""

FORMATS: Mapping[str, Callable[[Draws], str]] = {
    "date": lambda d: f"20{d.below(90) + 10}-{d.below(12) + 1:02}-{d.below(28) + 1:02}",
    "time": lambda d: f"{d.below(24):02}:{d.below(60):02}:{d.below(60):02}Z",
    "date-time": lambda d: f"{FORMATS['date'](d)}T{FORMATS['time'](d)}",
    "duration": lambda d: f"P{d.below(30) + 1}D",
    "email": lambda d: f"rehearsal-{d.below(1000)}@example.com",
    "idn-email": lambda d: f"rehearsal-{d.below(1000)}@example.com",
    "hostname": lambda d: f"rehearsal-{d.below(1000)}.example.com",
    "idn-hostname": lambda d: f"rehearsal-{d.below(1000)}.example.com",
    "ipv4": lambda d: f"192.0.2.{d.below(255)}",
    "ipv6": lambda d: f"2001:db8::{d.below(65_536):x}",
    "uri": lambda d: f"https://example.com/rehearsal/{d.below(1000)}",
    "uri-reference": lambda d: f"/rehearsal/{d.below(1000)}",
    "uri-template": lambda d: f"/rehearsal/{d.below(1000)}/{{name}}",
    "iri": lambda d: f"https://example.com/rehearsal/{d.below(1000)}",
    "iri-reference": lambda d: f"/rehearsal/{d.below(1000)}",
    "json-pointer": lambda d: f"/rehearsal/{d.below(1000)}",
    "relative-json-pointer": lambda d: f"{d.below(10)}/rehearsal",
    "regex": lambda d: f"^rehearsal{d.below(1000)}$",
    "uuid": lambda d: str(uuid.UUID(int=d.below(2**128), version=4)),
}


def fitting_string(schema: Mapping[str, Any], draws: Draws, *, spread: int) -> str:
    """Give a string by `pattern`, `format`, `minLength` and `maxLength`.

    `spread` is how far the open repetitions of a pattern may go beyond what they must; above 0, a
    text that is too short for its mark is letters. Such a text may not fit: that is checked later.
    """
    least, most = min(int(schema.get("minLength", 0)), MOST_LENGTH), schema.get("maxLength")
    if "pattern" in schema:
        try:
            return Pattern(schema["pattern"], draws.below, least + spread).write()
        except TooHard:
            pass
    write = FORMATS.get(schema.get("format", ""))
    if write is not None:
        return write(draws)
    text = f"{MARK}text {draws.below(1000)}"
    if most is not None and most < len(text) and spread:
        text = "".join(draws.one_of(string.ascii_lowercase) for _ in range(int(most)))
    text += " rehearsal" * (-(-(least - len(text)) // len(" rehearsal")))
    return text if most is None else text[: int(most)]


class NoNumber(Exception):
    """The bounds leave none."""


def fitting_whole(schema: Mapping[str, Any], draws: Draws) -> int:
    """Give a whole number by its bounds and `multipleOf`. Raises NoNumber."""
    # Of the multiples of 3/2, the whole ones are those of 3.
    step = fraction(schema.get("multipleOf", 1)).numerator
    return step * steps(schema, Fraction(step), draws)


def fitting_number(schema: Mapping[str, Any], draws: Draws) -> float:
    """Give a number by its bounds and `multipleOf`, with few decimals. Raises NoNumber."""
    step = fraction(schema.get("multipleOf", "0.1"))
    ends = [fraction(schema[name]) for name in BOUNDS if is_number(schema.get(name))]
    if "multipleOf" not in schema and len(ends) > 1:
        span = max(ends) - min(ends)
        step = (
            Fraction(10) ** math.floor(math.log10(span / STEPS)) if span else abs(ends[0]) or step
        )
    return float(step * steps(schema, step, draws))


def steps(schema: Mapping[str, Any], step: Fraction, draws: Draws) -> int:
    """Draw how many times a step a number is, within the schema's bounds. Raises NoNumber."""
    ends = {name: fraction(schema[name]) / step for name in BOUNDS if is_number(schema.get(name))}
    lows = [math.ceil(ends["minimum"])] if "minimum" in ends else []
    highs = [math.floor(ends["maximum"])] if "maximum" in ends else []
    # In draft 4 the exclusive bounds are booleans beside the others.
    for name, beside in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        end = ends.get(beside if schema.get(name) is True else name)
        if end is not None and beside == "minimum":
            lows.append(math.floor(end) + 1)
        elif end is not None:
            highs.append(math.ceil(end) - 1)
    last = min(highs, default=None)
    first = max(lows, default=0 if last is None or last >= 0 else last - SPAN)
    last = first + SPAN if last is None else last
    if first > last:
        raise NoNumber
    return first + draws.below(last - first + 1)


def fraction(number: float | str) -> Fraction:
    """Give a number as its text says it: 0.1 is a tenth."""
    return Fraction(str(number))


def is_number(value: Any) -> bool:
    """Tell numbers from the booleans that exclusive bounds are in draft 4."""
    return isinstance(value, int | float) and not isinstance(value, bool)
