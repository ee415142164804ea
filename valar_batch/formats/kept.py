"""Kept rows to what an output needs: Arrow columns, JSON objects, or columns of text.

Rows are kept as raw lines of JSON (binary, null for a line that is no object) or as a struct of
the input's columns; the Arrow type tells which.
"""

from __future__ import annotations

import base64
import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pyarrow as pa

from valar_batch.core.times import timedelta_text
from valar_batch.formats.arrow_types import cast, python_values
from valar_batch.formats.schema import is_json_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

decode_values = msgspec.json.Decoder(dict[str, Any], float_hook=float).decode
"""float_hook lets a number beyond a double's range pass: its column is JSON text."""

decode_texts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
"""Decode an object one level deep: each value as the JSON text that it is in the line."""

EMPTY = b"{}"
LARGE = pa.large_string()
CAST_AS_TEXT = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_integer,
    pa.types.is_boolean,
)
"""Types that Arrow writes as the other outputs do; it would write 1.0 as 1."""


def to_columns(kept: pa.Array[Any], schema: pa.Schema) -> list[pa.Array[Any]]:
    """Give the Arrow columns of the rows, as in `schema`."""
    if isinstance(kept, pa.StructArray):
        return [cast(array, f.type) for array, f in zip(kept.flatten(), schema, strict=True)]
    lines = raw_lines(kept)
    values = list(map(decode_values, lines))
    texts = list(map(decode_texts, lines)) if any(map(is_json_text, schema)) else []
    return [
        pa.array([json_text(row.get(f.name)) for row in texts], f.type)
        if is_json_text(f)
        else pa.array([row.get(f.name) for row in values], f.type)
        for f in schema
    ]


def to_json_objects(kept: pa.Array[Any], schema: pa.Schema) -> Iterator[bytes]:
    """Give each row as one JSON object: a line of JSONL is itself, `{}` where it is no object.

    Other rows are encoded: whole numbers exactly, decimals and times as text, binary as base64.
    """
    if not isinstance(kept, pa.StructArray):
        yield from raw_lines(kept)
        return
    for values in encodable_rows(kept, schema):
        yield encode(dict(zip(schema.names, values, strict=True)))


def json_values(kept: pa.Array[Any], schema: pa.Schema) -> Iterator[Mapping[str, bytes]]:
    """Give each row's values as JSON, by column; a column that a line of JSON lacks is absent."""
    if not isinstance(kept, pa.StructArray):
        for line in raw_lines(kept):
            yield {name: bytes(value) for name, value in decode_texts(line).items()}
        return
    for values in encodable_rows(kept, schema):
        yield dict(zip(schema.names, map(encode, values), strict=True))


def encodable_rows(kept: pa.Array[Any], schema: pa.Schema) -> Iterator[tuple[Any, ...]]:
    """Give the values of rows that are kept as columns, ready for `encode`."""
    columns = [
        list(map(fragment, array.to_pylist())) if is_json_text(field) else python_values(array)
        for array, field in zip(kept.flatten(), schema, strict=True)
    ]
    return zip(*columns, strict=True)


def to_text_columns(kept: pa.Array[Any], schema: pa.Schema) -> list[pa.Array[Any]]:
    """Give the columns as text: text as it is, nested values as JSON, null as null.

    What comes from a line of JSON is written as it stands there, so 1.10 stays 1.10.
    """
    if isinstance(kept, pa.StructArray):
        return [
            pa.array(map(bare, map(raw, array.to_pylist())), LARGE)
            if is_json_text(field)
            else text_column(array)
            for array, field in zip(kept.flatten(), schema, strict=True)
        ]
    texts = list(map(decode_texts, raw_lines(kept)))
    return [pa.array([bare(row.get(name)) for row in texts], LARGE) for name in schema.names]


def raw(text: str | None) -> msgspec.Raw | None:
    """Give JSON text as it would be found in a line."""
    return None if text is None else msgspec.Raw(text.encode())


def fragment(text: str | None) -> orjson.Fragment | None:
    """Give JSON text as what it says."""
    return None if text is None else orjson.Fragment(text)


def raw_lines(kept: pa.Array[Any]) -> list[bytes]:
    """Give the kept lines, an empty object for each that is null."""
    lines = kept.to_pylist()
    return [EMPTY if line is None else line for line in lines] if kept.null_count else lines


def json_text(value: msgspec.Raw | None) -> bytes | None:
    """Give a value's JSON text; None for null and for what is absent."""
    text = b"null" if value is None else bytes(value)
    return None if text == b"null" else text


def bare(value: msgspec.Raw | None) -> bytes | str | None:
    """Give a value as text: a JSON string is what it says, anything else its JSON text."""
    text = json_text(value)
    if text is not None and text.startswith(b'"'):
        return msgspec.json.decode(text, type=str)
    return text


def text_column(array: pa.Array[Any]) -> pa.Array[Any]:
    """Give a column as text."""
    kind = array.type
    if any(test(kind) for test in CAST_AS_TEXT):
        return array.cast(LARGE)
    return pa.array(map(text_value, python_values(array)), LARGE)


def text_value(value: Any) -> str | None:
    """Give a value as text: nested values as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | list | dict):
        return encode(value).decode()
    return plain_text(value)


def plain_text(value: Any) -> str:
    """Give as text what JSON has no form for."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return timedelta_text(value) if isinstance(value, datetime.timedelta) else str(value)


def encode(value: Any) -> bytes:
    """Write JSON."""
    return orjson.dumps(value, default=jsonable, option=orjson.OPT_PASSTHROUGH_DATETIME)


def jsonable(value: Any) -> Any:
    """Give what JSON has a form for: an interval is an object, all else text."""
    if isinstance(value, pa.MonthDayNano):
        return dict(zip(("months", "days", "nanoseconds"), value, strict=True))
    return plain_text(value)
