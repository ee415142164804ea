"""Values of every type, as data: each case in the forms in which the input formats can hold it."""

from __future__ import annotations

import datetime
import json
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = 4
ABSENT = object()
"""The row has no such field."""


@dataclass(frozen=True)
class Case:
    """A column of values; None for a form that cannot hold it.

    `json` are texts of JSON or ABSENT, `text` the fields of a CSV, `arrow` the values of a type,
    `dicts` the values of Python. Each has as many values as there are rows.
    """

    group: str
    name: str
    json: list[Any] | None = None
    text: list[str] | None = None
    arrow: pa.Array[Any] | None = None
    dicts: list[Any] | None = None


def filled(values: Sequence[Any]) -> list[Any]:
    """Repeat the values so that there is one for each row."""
    return [values[row % len(values)] for row in range(ROWS)]


def text(name: str, *values: str) -> Case:
    """Make a case of text, which every format can hold."""
    all_rows = filled(values)
    return Case("Text", name, list(map(json.dumps, all_rows)), all_rows, pa.array(all_rows),
        all_rows)  # fmt: skip


def json_only(group: str, name: str, *texts: Any) -> Case:
    """Make a case that only JSON can hold as it stands."""
    return Case(group, name, json=filled(texts))


def plain(group: str, name: str, kind: pa.DataType, *values: Any) -> Case:
    """Make a case of what JSON and Arrow both have a type for."""
    all_rows = filled(values)
    return Case(group, name, [json.dumps(v) for v in all_rows], None, pa.array(all_rows, kind),
        all_rows)  # fmt: skip


def typed(group: str, name: str, kind: pa.DataType, *values: Any, dicts: bool = False) -> Case:
    """Make a case of an Arrow type that JSON has not; `dicts` if Python's values can be given."""
    all_rows = filled(values)
    return Case(group, name, arrow=pa.array(all_rows, kind), dicts=all_rows if dicts else None)


def python(group: str, name: str, *values: Any) -> Case:
    """Make a case of Python values alone."""
    return Case(group, name, dicts=filled(values))


def other(name: str, array: pa.Array[Any]) -> Case:
    """Make a case of one of Arrow's types that are seldom met."""
    return Case("Other types of Arrow", name, arrow=array)


def dictionary(values: pa.Array[Any], *, ordered: bool = False) -> pa.Array[Any]:
    """Give a dictionary of the values."""
    found = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(found.indices, found.dictionary, ordered=ordered)


DAY = datetime.date(2024, 2, 29)
MOMENT = datetime.datetime(2024, 3, 31, 1, 59, 59, 123456)
INSTANT = datetime.datetime(2024, 3, 31, 0, 59, 59, 123456, tzinfo=datetime.UTC)
LONG = "a long line, 漢字; " * 20_000
WORDS = pa.array(["red", "green", None, "red"])
BOOLEANS = (True, False, None)
BYTES = (b"\xff\x00\xfe", b"", None)
NULL = None

CASES = [
    text("plain", "hello", "x"),
    text("letters of any script", "naïve Ω 漢字 עברית", "e\u0301"),
    text("emoji", "👩‍👩‍👧‍👦 🇩🇪 👍🏽"),
    text("line breaks", "a\nb", "c\r\nd", "e\rf", "\n"),
    text("quotes, delimiters, backslashes", '"', 'say "yes", \'no\'', "a,b;c\td|e", "\\n\\"),
    text("white space around", "  x\t", " ", "\u00a0x\u3000", "\u2028\u2029\u0085"),
    text("empty", ""),
    text("control characters", "\x00", "a\x00b", "\x1b[0m", "\x7f\ufeff"),
    text("what looks like another type", "007", "1.10", "null", "NaN"),
    text("very long (400,000 characters)", LONG),
    Case("Nulls", "null beside empty text", ['""', "null", '"x"', "null"], None,
        pa.array(["", None, "x", None]), ["", None, "x", None]),
    Case("Nulls", "only nulls", filled(["null"]), None, pa.nulls(ROWS), filled([None])),
    Case("Nulls", "absent in some rows", ["1", ABSENT, "2", ABSENT], None, None,
        [1, ABSENT, 2, ABSENT]),
    plain("Numbers", "integers", pa.int64(), 0, -7, 42, None),
    plain("Numbers", "integers beyond 2^53", pa.int64(), 9007199254740993, -(2**63), 2**63 - 1),
    plain("Numbers", "integers up to 2^64", pa.uint64(), 2**64 - 1, 0),
    Case("Numbers", "integers beyond 64 bits", filled(["1" + "0" * 30, "-7"]),
        dicts=filled([10**30, -7])),
    plain("Numbers", "fractions", pa.float64(), 0.1, -2.5, 1e300, None),
    json_only("Numbers", "`1.10`, `1e5`, `1E+2`", "1.10", "1e5", "1E+2"),
    json_only("Numbers", "more digits than a double has", "0.10000000000000000555", "1e-400"),
    json_only("Numbers", "beyond a double's range", "1e400", "2"),
    json_only("Numbers", "integers and fractions", "1", "1.5", "-3"),
    json_only("Numbers", "integers beyond 2^53 and fractions", "9007199254740993", "1.5"),
    plain("Numbers", "-0.0", pa.float64(), -0.0, 0.0),
    typed("Numbers", "nan, inf", pa.float64(), math.nan, math.inf, -math.inf, 1.5, dicts=True),
    typed("Numbers", "small integers (int8, …)", pa.int8(), -128, 127, None),
    typed("Numbers", "single precision", pa.float32(), 0.1, 1e30, None, -0.0),
    typed("Numbers", "half precision", pa.float16(), 1.5, -0.0, None, 65504.0),
    typed("Numbers", "decimals", pa.decimal128(20, 2), Decimal("1.10"), Decimal("-0.05"), None),
    typed("Numbers", "decimals of 60 digits", pa.decimal256(60, 10), Decimal("1." + "0" * 10),
        Decimal("9" * 50 + ".5")),
    python("Numbers", "decimals", Decimal("1.10"), Decimal("-0.050"), None),
    plain("Booleans", "booleans", pa.bool_(), *BOOLEANS),
    typed("Times", "dates", pa.date32(), DAY, datetime.date(1, 1, 1), None, dicts=True),
    typed("Times", "times of day", pa.time64("us"), datetime.time(23, 59, 59, 999999),
        datetime.time(0), None, dicts=True),
    typed("Times", "times of day, nanoseconds", pa.time64("ns"), 1, 86_399_999_999_999, None),
    typed("Times", "timestamps", pa.timestamp("us"), MOMENT, datetime.datetime(1, 1, 1), None,
        dicts=True),
    typed("Times", "timestamps, nanoseconds", pa.timestamp("ns"), 1, -1, None, 2**62),
    typed("Times", "timestamps in UTC", pa.timestamp("us", "UTC"), INSTANT, None, dicts=True),
    typed("Times", "timestamps in a zone", pa.timestamp("us", "Europe/Berlin"), INSTANT, None),
    typed("Times", "the same, nanoseconds", pa.timestamp("ns", "Asia/Kathmandu"), 1, -1, None),
    typed("Times", "timestamps beyond the year 9999", pa.timestamp("ms"), 2**50, -(2**50), None),
    typed("Times", "durations", pa.duration("us"), datetime.timedelta(1, 7384, 5),
        datetime.timedelta(microseconds=-1), None, datetime.timedelta(0), dicts=True),
    typed("Times", "durations, nanoseconds", pa.duration("ns"), 1, -(2**62), None),
    typed("Binary", "bytes", pa.binary(), *BYTES, dicts=True),
    typed("Binary", "bytes of one length", pa.binary(2), b"ab", b"\xff\x00", None),
    typed("Binary", "UUIDs", pa.uuid(), b"\x01" * 16, None),
    python("Binary", "UUIDs", UUID(int=7), None),
    plain("Lists and objects", "lists of integers", pa.list_(pa.int64()), [1, 2], [], None, [3]),
    plain("Lists and objects", "lists of text", pa.list_(pa.string()), ["a", None, ""],
        ['"', "a\nb"], [], ["é,"]),
    plain("Lists and objects", "objects", pa.struct([("a", pa.int64()), ("b", pa.string())]),
        {"a": 1, "b": "x"}, {"a": None, "b": ""}, None),
    Case("Lists and objects", "objects that differ",
        filled(['{"a":1}', '{"b":[1.10]}']), dicts=filled([{"a": 1}, {"b": [1.1]}])),
    json_only("Lists and objects", "empty objects", "{}"),
    plain("Lists and objects", "lists of objects of lists",
        pa.list_(pa.struct([("x", pa.list_(pa.struct([("y", pa.float64())])))])),
        [{"x": [{"y": 0.5}, {"y": None}]}, {"x": None}], [], None),
    typed("Lists and objects", "maps", pa.map_(pa.string(), pa.int64()), [("k", 1), ("k", 2)], [],
        None),
    typed("Lists and objects", "objects of times, decimals and bytes",
        pa.struct([("d", pa.list_(pa.date32())), ("n", pa.decimal128(9, 2)), ("b", pa.binary()),
            ("t", pa.timestamp("ns", "UTC"))]),
        {"d": [DAY, None], "n": Decimal("1.10"), "b": b"\xff", "t": 1}, None),
    typed("Lists and objects", "lists of nan", pa.list_(pa.float64()), [math.nan, 1.5], [math.inf]),
    json_only("Mixed", "text, numbers, booleans, objects", "1.10", '"x"', "true", '{"a":[1e5]}'),
    json_only("Mixed", "lists of unlike items", '[1,"x",null]', "[[]]", "[{}]"),
    json_only("Mixed", "escapes and spaces in nested values", '{"\\u00e9": [1,  2.0]}', '"\\/"'),
    Case("Dictionaries", "of text", arrow=dictionary(WORDS)),
    Case("Dictionaries", "of text, in an order", arrow=dictionary(WORDS, ordered=True)),
    Case("Dictionaries", "of integers", arrow=dictionary(pa.array([5, 6, None, 5]))),
    Case("Dictionaries", "of dates", arrow=dictionary(pa.array([DAY, None, DAY, DAY]))),
    Case("Dictionaries", "of bytes", arrow=dictionary(pa.array(filled(BYTES)))),
    Case("Dictionaries", "in objects",
        arrow=pa.StructArray.from_arrays([dictionary(WORDS)], names=["d"])),
    other("large text", WORDS.cast(pa.large_string())),
    other("views of text", WORDS.cast(pa.string_view())),
    other("lists of one length", pa.array([[1, 2], None, [3, 4], [5, 6]], pa.list_(pa.int8(), 2))),
    other("views of lists", pa.array([[1], [], None, [2, 3]], pa.list_view(pa.int64()))),
    other("runs", pc.run_end_encode(WORDS)),
    other("unions", pa.UnionArray.from_dense(pa.array([0, 1, 0, 1], pa.int8()),
        pa.array([0, 0, 1, 1], pa.int32()), [pa.array([1, None]), pa.array(["x", "y"])])),
    other("intervals", pa.array([(1, 2, 3), None, (0, 0, 0), (-1, 0, 9)],
        pa.month_day_nano_interval())),
    other("JSON", pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1.0}', None] * 2))),
    other("objects of no fields", pa.array([{}, None, {}, {}], pa.struct([]))),
]  # fmt: skip
