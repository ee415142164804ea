"""One schema for rows of JSON: what types their columns have, settled over the whole input.

What is known of a column is its Shape. Shapes merge associatively, and a conflict absorbs whatever
it meets, so the result does not depend on how the rows were cut into chunks. Types are read off
the final shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from math import isfinite
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from valar_batch.core.template import Number

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_KEYS = 1_000
DEEPEST = 50
EXACT_IN_DOUBLE = 2**53
JSON_TEXT = {b"valar_batch": b"json"}
"""Marks a column of strings that hold JSON text."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Only nulls so far."""


@dataclass(frozen=True, slots=True)
class Plain:
    """Text or booleans."""

    type: pa.DataType


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers: the range of the whole ones (0 is always taken in), and whether others occur."""

    lowest: int
    highest: int
    fractions: bool


@dataclass(frozen=True, slots=True)
class Lists:
    """Arrays of one shape."""

    items: Shape


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects, none of them empty."""

    fields: dict[str, Shape]


@dataclass(frozen=True, slots=True)
class Mixed:
    """No one Arrow type holds these values: they stay JSON text."""


Shape: TypeAlias = Nothing | Plain | Numbers | Lists | Objects | Mixed

NOTHING = Nothing()
MIXED = Mixed()
TEXT = Plain(pa.string())
BOOLEAN = Plain(pa.bool_())


class Settling:
    """The columns of the rows seen so far."""

    def __init__(self) -> None:
        self._columns: dict[str, Shape] = {}

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Take in more rows."""
        self._columns = merge_fields(self._columns, shapes(rows))

    def schema(self) -> pa.Schema:
        """Give the columns in order of first appearance."""
        return pa.schema([field(name, shape) for name, shape in self._columns.items()])


def field(name: str, shape: Shape) -> pa.Field[Any]:
    """Give the Arrow field of a column."""
    if isinstance(shape, Mixed):
        return pa.field(name, pa.string(), metadata=JSON_TEXT)
    return pa.field(name, arrow_type(shape))


def is_json_text(column: pa.Field[Any]) -> bool:
    """Whether the strings of a column are JSON texts."""
    return (column.metadata or {}).get(b"valar_batch") == b"json"


def arrow_type(shape: Shape) -> pa.DataType:
    """Give the Arrow type that holds every value of a shape."""
    match shape:
        case Plain(kind):
            return kind
        case Numbers(_, highest, fractions):
            if fractions:
                return pa.float64()
            return pa.int64() if highest < 2**63 else pa.uint64()
        case Lists(items):
            return pa.list_(arrow_type(items))
        case Objects(fields):
            return pa.struct([(name, arrow_type(inner)) for name, inner in fields.items()])
        case _:
            return pa.string()


def shapes(rows: Sequence[dict[str, Any]], depth: int = 0) -> dict[str, Shape]:
    """Give the shape of every key of these objects."""
    return {name: shape_of(values, depth) for name, values in transposed(rows).items()}


def transposed(rows: Sequence[dict[str, Any]]) -> dict[str, Sequence[Any]]:
    """Give the values by key, without those of rows that lack the key."""
    if len(set(map(tuple, rows))) == 1:
        return dict(zip(rows[0], zip(*map(dict.values, rows), strict=True), strict=True))
    columns: dict[str, list[Any]] = {name: [] for name in chain.from_iterable(rows)}
    for row in rows:
        for name, value in row.items():
            columns[name].append(value)
    return {**columns}


def shape_of(values: Sequence[Any], depth: int) -> Shape:
    """Give the shape of values, a whole column at a time."""
    types = set(map(type, values)) - {NoneType}
    if not types:
        return NOTHING
    if types == {str}:
        return TEXT
    if types == {bool}:
        return BOOLEAN
    if types <= {int, float, Number}:
        return shape_of_numbers(values, types)
    if depth == DEEPEST or len(types) > 1:
        return MIXED
    there = [value for value in values if value is not None]
    if types == {list}:
        return lists(shape_of(list(chain.from_iterable(there)), depth + 1))
    return objects(shapes(there, depth + 1)) if all(there) else MIXED


def shape_of_numbers(values: Sequence[Any], types: set[type]) -> Shape:
    """Give the shape of numbers, some perhaps null."""
    if types == {int}:
        whole = [value for value in values if value is not None] if None in values else values
        return numbers(min(whole), max(whole), fractions=False)
    whole = [value for value in values if type(value) is int]
    if not all(isfinite(value) for value in values if isinstance(value, float)):
        return MIXED
    return numbers(min(whole, default=0), max(whole, default=0), fractions=True)


def numbers(lowest: int, highest: int, *, fractions: bool) -> Shape:
    """Give the shape of numbers in a range, where one type can hold them exactly."""
    lowest, highest = min(lowest, 0), max(highest, 0)
    if fractions:
        fits = max(-lowest, highest) <= EXACT_IN_DOUBLE
    else:
        fits = lowest >= -(2**63) and highest < (2**64 if lowest == 0 else 2**63)
    return Numbers(lowest, highest, fractions) if fits else MIXED


def lists(items: Shape) -> Shape:
    """Give the shape of arrays: a conflict inside is the whole column's."""
    return MIXED if isinstance(items, Mixed) else Lists(items)


def objects(fields: dict[str, Shape]) -> Shape:
    """Give the shape of objects: a conflict inside is the whole column's."""
    conflict = len(fields) > MOST_KEYS or any(isinstance(s, Mixed) for s in fields.values())
    return MIXED if conflict else Objects(fields)


def merge(one: Shape, other: Shape) -> Shape:
    """Give the shape of values of both shapes."""
    if one == other or isinstance(other, Nothing):
        return one
    match one, other:
        case Nothing(), _:
            return other
        case Numbers(), Numbers():
            lowest, highest = min(one.lowest, other.lowest), max(one.highest, other.highest)
            return numbers(lowest, highest, fractions=one.fractions or other.fractions)
        case Lists(), Lists():
            return lists(merge(one.items, other.items))
        case Objects(), Objects():
            return objects(merge_fields(one.fields, other.fields))
        case _:
            return MIXED


def merge_fields(one: dict[str, Shape], other: dict[str, Shape]) -> dict[str, Shape]:
    """Merge key by key, in order of first appearance."""
    merged = dict(one)
    for name, shape in other.items():
        merged[name] = merge(merged.get(name, NOTHING), shape)
    return merged
