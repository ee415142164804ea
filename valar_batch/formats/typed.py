"""Typed answers: the Arrow column that follows a schema, and the values in it."""

from __future__ import annotations

import contextlib
import math
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from valar_batch.core.answer_shape import (
    JSON,
    SIGNED,
    UNSIGNED,
    Array,
    Boolean,
    Choice,
    Json,
    Object,
    Real,
    Shape,
    Whole,
    limits,
    shape_of,
)
from valar_batch.core.checks import article, json_type, shorten
from valar_batch.core.template import json_text
from valar_batch.formats.arrow_types import plain_type
from valar_batch.formats.schema import JSON_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_DIGITS = 60

Found: TypeAlias = tuple[str, str] | None
"""Where in a value something is, and what is the matter."""
Check: TypeAlias = "Callable[[Any], Found]"


class AnswerColumn:
    """The column of answers by a JSON Schema; `type` is its Arrow type.

    Objects with properties are structs in the schema's order, arrays lists, enums of strings
    dictionaries that are the same in every array, whole numbers int64 (uint64 where the bounds ask
    for it), other numbers float64. Everything is nullable: an optional property that is absent and
    one that is null are both null. What has no Arrow type is JSON text.
    """

    def __init__(self, schema: dict[str, Any] | Shape) -> None:
        self._shape = shape_of(schema) if isinstance(schema, dict) else schema
        self.type = arrow_type(self._shape)
        self._check = checker(self._shape)
        self._needs_texts = needs_texts(self._shape)

    def field(self, name: str) -> pa.Field[Any]:
        """Give the column as a field of an Arrow schema; JSON text is marked as that."""
        return arrow_field(name, self._shape)

    def fields(self) -> list[tuple[str, AnswerColumn]]:
        """Give a column for each property of the answer; none where it is no plain object.

        Their arrays are those of `array(values).flatten()`.
        """
        if not isinstance(self._shape, Object):
            return []
        return [(name, AnswerColumn(shape)) for name, shape in self._shape.properties.items()]

    def check(self, value: Any) -> str | None:
        """Say in one line what the column could not hold of a value that fits the schema.

        A whole number beyond 64 bits, for one, where the schema sets no bounds.
        """
        found = self._check(value) if self._check else None
        if found is None:
            return None
        path, message = found
        return f"answer does not fit its column{f' at {path[1:]}' if path else ''}: {message}"

    def array(self, values: Sequence[Any]) -> pa.Array[Any]:
        """Give values that fit the schema and have passed `check`; None is null."""
        return with_dictionaries(self._plain_array(values), self._shape)

    def _plain_array(self, values: Sequence[Any]) -> pa.Array[Any]:
        kind = plain_type(self.type)
        if not self._needs_texts:
            # pyarrow takes no whole number beyond 2**53 for a double, exact or not.
            with contextlib.suppress(ValueError):
                return pa.array(values, kind)
        return pa.array([in_arrow(value, self._shape) for value in values], kind)


def arrow_type(shape: Shape) -> pa.DataType:
    """Give the Arrow type of a shape."""
    match shape:
        case Boolean():
            return pa.bool_()
        case Choice():
            return pa.dictionary(pa.int32(), pa.string())
        case Whole():
            return pa.uint64() if limits(shape) == UNSIGNED else pa.int64()
        case Real():
            return pa.float64()
        case Array(items):
            return pa.list_(arrow_field("item", items))
        case Object(properties):
            return pa.struct([arrow_field(name, inner) for name, inner in properties.items()])
    return pa.string()


def arrow_field(name: str, shape: Shape) -> pa.Field[Any]:
    """Give a field of that shape."""
    return pa.field(name, arrow_type(shape), metadata=JSON_TEXT if shape == JSON else None)


def needs_texts(shape: Shape) -> bool:
    """Whether some values of the shape are held as JSON text."""
    match shape:
        case Array(items):
            return needs_texts(items)
        case Object(properties):
            return any(map(needs_texts, properties.values()))
    return shape == JSON


def in_arrow(value: Any, shape: Shape) -> Any:
    """Give a value as pyarrow takes it for the shape's type."""
    if value is None:
        return None
    match shape:
        case Json():
            return json_text(value)
        case Real():
            return float(value)
        case Array(items):
            return [in_arrow(item, items) for item in value]
        case Object(properties):
            return {name: in_arrow(value.get(name), one) for name, one in properties.items()}
    return value


def with_dictionaries(array: pa.Array[Any], shape: Shape) -> pa.Array[Any]:
    """Give the array with every choice as a dictionary of the schema's values."""
    match shape:
        case Choice(values):
            import pyarrow.compute as pc

            dictionary = pa.array(values, pa.string())
            return pa.DictionaryArray.from_arrays(pc.index_in(array, dictionary), dictionary)
        case Array(items):
            inner = with_dictionaries(array.values, items)
            kind = arrow_type(shape)
            nulls = array.is_null() if array.null_count else None
            return pa.ListArray.from_arrays(array.offsets, inner, kind, mask=nulls)
        case Object(properties):
            parts = [
                with_dictionaries(array.field(place), one)
                for place, one in enumerate(properties.values())
            ]
            nulls = array.is_null() if array.null_count else None
            return pa.StructArray.from_arrays(parts, fields=list(arrow_type(shape)), mask=nulls)
    return array


def checker(shape: Shape) -> Check | None:
    """Give the check of values that fit the schema, or None where nothing can be the matter."""
    match shape:
        case Real():
            return check_real
        case Whole(lowest, highest):
            return None if lowest is not None and highest is not None else check_whole
        case Array(items, certain):
            check = checker(items)
            return None if certain and check is None else partial(check_array, check)
        case Object(properties, certain):
            checks = {name: found for name, one in properties.items() if (found := checker(one))}
            return None if certain and not checks else partial(check_object, checks)
    return None


def check_real(value: Any) -> Found:
    """A double holds every fraction to its precision, but not every whole number."""
    if value is None or (isinstance(value, float) and math.isfinite(value)):
        return None
    with contextlib.suppress(OverflowError):
        if isinstance(value, int) and float(value) == value:
            return None
    return "", f"a double cannot hold {shortened(value)}"


def check_whole(value: Any) -> Found:
    """64 bits hold what they hold; a schema without bounds allows more."""
    if value is None or SIGNED[0] <= value <= SIGNED[1]:
        return None
    return "", f"64 bits cannot hold {shortened(value)}"


def shortened(number: float) -> str:
    """Write a number as the answer has it, cut where it is long."""
    text = json_text(number)
    return text if len(text) <= MOST_DIGITS else f"{text[:MOST_DIGITS]}…"


def check_array(check: Check | None, value: Any) -> Found:
    """Check the items; a schema that names no type allows more than arrays."""
    if value is None:
        return None
    if not isinstance(value, list):
        return "", f"{shorten(value)} is {article(json_type(value))}, not an array"
    for place, item in enumerate(value):
        if check and (found := check(item)):
            return f".{place}{found[0]}", found[1]
    return None


def check_object(checks: dict[str, Check], value: Any) -> Found:
    """Check the properties; a schema that names no type allows more than objects."""
    if value is None:
        return None
    if not isinstance(value, dict):
        return "", f"{shorten(value)} is {article(json_type(value))}, not an object"
    for name, check in checks.items():
        if found := check(value.get(name)):
            return f".{name}{found[0]}", found[1]
    return None
