"""The judge of values: is what came out what went in, and by which of the documented conversions.

Values are trees: text, booleans, None, lists and objects as in Python; a Token for a number as
JSON writes it, int and float for others; Pairs for a map; ABSENT; and a pyarrow scalar for what
JSON has no form for. Nothing of valar_batch is used: texts are read back by numpy, pandas, and the
standard library.
"""

from __future__ import annotations

import base64
import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa

from tests.value_types.cases import ABSENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WORDS: Mapping[str, str] = {
    "same": "the same value; where the format has types, in the same type",
    "plain": "the same value in a plainer type: without the dictionary, the runs, or the views "
    "that held it",
    "double": "the nearest double, as Arrow has no exact type for such numbers: `1.10` is 1.1",
    "JSON": "the exact JSON text of the value",
    "text": "the exact text of the value, from which it can be read again: numbers as they were "
    "written, decimals with all digits, times and durations in ISO 8601",
    "base64": "its bytes in base64",
    "parts": "what it consists of: a map is a list of `[key, value]`, an interval an object",
    "null": "null: for what was absent, and for nan and inf, which JSON does not know",
}
"""What a cell says, in the order in which a cell says it."""

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Unfaithful(AssertionError):
    """What came out is not what went in."""


class Token(str):
    """A number as JSON writes it."""

    __slots__ = ()


class Pairs(list[Any]):
    """The pairs of a map."""


def of_json(text: str) -> Any:
    """Read JSON, its numbers as they are written."""
    return json.loads(text, parse_int=Token, parse_float=Token, parse_constant=refused)


def refused(name: str) -> Any:
    raise Unfaithful(f"{name} is not JSON")


def of_arrow(scalar: pa.Scalar[Any]) -> Any:
    """Read a scalar."""
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if isinstance(kind, pa.MapType):
        entries = scalar.values
        keys, items = entries.field(0), entries.field(1)
        return Pairs([of_arrow(k), of_arrow(i)] for k, i in zip(keys, items, strict=True))
    if isinstance(kind, pa.StructType):
        return {field.name: of_arrow(scalar[place]) for place, field in enumerate(kind)}
    if hasattr(scalar, "values"):
        return [of_arrow(item) for item in scalar.values]
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind) or pa.types.is_union(kind):
        return of_arrow(scalar.value if not pa.types.is_run_end_encoded(kind) else run(scalar))
    if kind == pa.uuid():
        return scalar
    if isinstance(kind, pa.BaseExtensionType):
        return of_arrow(scalar.value)
    native = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    is_text = kind in (pa.string(), pa.large_string(), pa.string_view())
    return scalar.as_py() if native or is_text else scalar


def run(scalar: pa.Scalar[Any]) -> pa.Scalar[Any]:
    """Give the value of a run."""
    return pa.scalar(scalar.as_py(), scalar.type.value_type)


def of_python(value: Any) -> Any:
    """Read a value of Python: what JSON has no form for as the scalar that Arrow makes of it."""
    if isinstance(value, list):
        return [of_python(item) for item in value]
    if isinstance(value, dict):
        return {name: of_python(item) for name, item in value.items()}
    if value is None or value is ABSENT or isinstance(value, str | bool | int | float):
        return value
    return pa.scalar(value.bytes, pa.uuid()) if isinstance(value, UUID) else pa.scalar(value)


def verdict(went: Sequence[Any], came: Sequence[Any], *, as_text: bool, more: set[str]) -> str:
    """Say how a column came out. `as_text`: the output holds nothing but text.

    `more` are words that hold for the column as a whole. Raises Unfaithful.
    """
    if len(went) != len(came):
        raise Unfaithful(f"{len(went)} rows went in, {len(came)} came out")
    judge = textual if as_text else words
    found = set(more).union(*map(judge, went, came))
    if as_text and all(value is None for value in went):
        found.add("null")
    return ", ".join(word for word in WORDS if word in found) or "same"


def words(went: Any, came: Any) -> set[str]:
    """Name the conversions that make `came` of `went`. Raises Unfaithful."""
    match went, came:
        case _ if went is ABSENT or came is ABSENT:
            is_null = went is ABSENT and came is None
            return when(went is came or is_null, went, came, {"null"} if is_null else set())
        case (Pairs(), list()):
            inner = [words([*a], [*b]) for a, b in both(went, came)]
            return set().union(*inner, set() if isinstance(came, Pairs) else {"parts"})
        case (list(), list()) if not isinstance(came, Pairs):
            return set().union(*[words(a, b) for a, b in both(went, came)])
        case (dict(), dict()):
            names = [name for name in came if name in went or came[name] is not None]
            when(set(went) == set(names), went, came)
            return set().union(*[words(went.get(name, ABSENT), came[name]) for name in came])
        case (pa.Scalar(), _):
            return words_of_scalar(went, came)
        case (float(), None):
            return when(not math.isfinite(went), went, came, {"null"})
        case _:
            return words_of_plain(went, came)


def words_of_scalar(went: pa.Scalar[Any], came: Any) -> set[str]:
    """Name the conversions of what JSON has no form for. Raises Unfaithful."""
    match came:
        case pa.Scalar():
            return when(exact(went) == exact(came), went, came)
        case str():
            return read_back(went, came)
        case dict() if isinstance(went, pa.MonthDayNanoIntervalScalar):
            counts = [int(value) for value in came.values()]
            return when(counts == list(went.as_py()), went, came, {"parts"})
        case _:
            return when(False, went, came)  # noqa: FBT003


def words_of_plain(went: Any, came: Any) -> set[str]:
    """Name the conversions of numbers, text, booleans and null. Raises Unfaithful."""
    if isinstance(went, Token) and type(came) in (int, float):
        value = type(came)(went)
        is_exact = not went.removeprefix("-").isdigit() or int(went) == came
        written = type(came) is int or repr(came) == went
        return when(alike(value, came) and is_exact, went, came, set() if written else {"double"})
    if isinstance(came, Token) and type(went) in (int, float):
        return when(alike(went, type(went)(came)), went, came)
    return when(type(went) is type(came) and alike(went, came), went, came)


def textual(went: Any, came: str | None) -> set[str]:
    """Name the conversions that make a text of a value; None is an empty field. Raises Unfaithful.

    In a text format a text is itself.
    """
    if went is None or went is ABSENT:
        return when(came is None, went, came, set() if went is None else {"null"})
    if came is None and isinstance(went, float) and not math.isfinite(went):
        return {"null"}
    if came is None:
        raise Unfaithful(f"{went!r} came out as nothing")
    match went:
        case Token():
            return when(went == came, went, came, {"text"})
        case str():
            return when(went == came, went, came)
        case bool():
            return when(came == str(went).lower(), went, came, {"text"})
        case int() | float():
            return when(alike(went, type(went)(came)), went, came, {"text"})
        case pa.Scalar() if not isinstance(went, pa.MonthDayNanoIntervalScalar):
            return read_back(went, came)
        case _:
            return {"JSON", *words(went, of_json(came))}


def when(holds: bool, went: Any, came: Any, then: set[str] | None = None) -> set[str]:  # noqa: FBT001
    """Give the words, if so. Raises Unfaithful."""
    if not holds:
        raise Unfaithful(f"{went!r:.200} came out as {came!r:.200}")
    return then or set()


def both(went: list[Any], came: list[Any]) -> list[tuple[Any, Any]]:
    """Pair the items of two lists."""
    when(len(went) == len(came), went, came)
    return list(zip(went, came, strict=True))


def alike(one: Any, other: Any) -> bool:
    """Whether two values are equal: nan is itself, and -0.0 is not 0.0."""
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    return bool(one == other)


def exact(scalar: pa.Scalar[Any]) -> Any:
    """Give a scalar's value in full, so that it can be compared."""
    kind = scalar.type
    if pa.types.is_timestamp(kind):
        return scalar.value * (10**9 // PER_SECOND[kind.unit]), kind.tz
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return scalar.value * (10**9 // PER_SECOND[kind.unit])
    if pa.types.is_date(kind):
        return scalar.value if kind == pa.date32() else scalar.value // 86_400_000
    return str(scalar.as_py()) if pa.types.is_decimal(kind) else scalar.as_py()


def read_back(went: pa.Scalar[Any], text: str) -> set[str]:
    """Read a text with other tools than ours. Raises Unfaithful unless it is the value."""
    kind, value = went.type, exact(went)
    if pa.types.is_timestamp(kind):
        form = r"(-?\d+-\d\d-\d\dT[\d:.]+)([+-]\d\d:\d\d)?"
        moment, offset = re.fullmatch(form, text.replace("Z", "+00:00")).groups()
        count = int(np.datetime64(moment, kind.unit).astype("int64"))
        if offset is not None:
            hours, minutes = int(offset[1:3]), int(offset[4:])
            sign = -1 if offset[0] == "-" else 1
            count -= sign * (hours * 3600 + minutes * 60) * PER_SECOND[kind.unit]
        nanoseconds = count * (10**9 // PER_SECOND[kind.unit])
        return when(value[0] == nanoseconds and (offset is None) == (kind.tz is None), went, text,
            {"text"})  # fmt: skip
    if pa.types.is_time(kind):
        found = np.datetime64(f"1970-01-01T{text}", "ns").astype("int64")
    elif pa.types.is_date(kind):
        found = np.datetime64(text, "D").astype("int64")
    elif pa.types.is_duration(kind):
        found = pd.Timedelta(text).value
    elif pa.types.is_decimal(kind):
        return when(Decimal(text) == went.as_py() and text == value, went, text, {"text"})
    elif kind == pa.uuid():
        found = UUID(text)
    else:
        return when(base64.b64decode(text, validate=True) == value, went, text, {"base64"})
    return when(found == value, went, text, {"text"})
