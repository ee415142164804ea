"""One schema for the files of an input, where theirs differ only by promotion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from valar_batch.errors import InputError
from valar_batch.formats.arrow_types import LARGE_BINARY, LARGE_TEXT, LIST_VIEWS
from valar_batch.formats.rows import check_same_columns
from valar_batch.formats.schema import is_json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDER = (
    (pa.float16(), pa.float32(), pa.float64()),
    (pa.string(), pa.string_view(), LARGE_TEXT),
    (pa.binary(), pa.binary_view(), LARGE_BINARY),
)
"""Rows of types that hold every value of those before them, exactly and with the same text."""

UNITS = ("s", "ms", "us", "ns")
SIGNED = {kind.bit_width: kind for kind in (pa.int16(), pa.int32(), pa.int64())}


def unify(schemas: Sequence[pa.Schema], names: Sequence[str]) -> pa.Schema:
    """Give the schema that holds the rows of all files; the first one's order of columns counts.

    Types are widened where every value and its text stay the same (int32 to int64, null to
    anything, string to large_string, a dictionary to plain values). Raises InputError, with the
    file and what differs, for columns that are not the same and for types that do not go together.
    """
    first, *others = schemas
    fields = {field.name: field for field in first}
    for schema, name in zip(others, names[1:], strict=True):
        check_same_columns(name, schema.names, names[0], first.names)
        if schema.equals(first, check_metadata=True):
            continue
        for field in schema:
            known = fields[field.name]
            merged = unified_field(known, field)
            if merged is None:
                message = (
                    f"{name}: its column {field.name!r} is {field.type}, that of the files before "
                    f"it {known.type}"
                )
                raise InputError(message, hint="write the files with the same types")
            fields[field.name] = merged
    return pa.schema(list(fields.values()))


def unified_field(one: pa.Field[Any], other: pa.Field[Any]) -> pa.Field[Any] | None:
    """Give a field for the values of both; None where there is none."""
    kind = unified(one.type, other.type)
    if kind is None or is_json_text(one) != is_json_text(other):
        return None
    return one.with_type(kind).with_nullable(one.nullable or other.nullable)


def unified(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Give the type that holds the values of both unchanged; None where there is none."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    for row in WIDER:
        if one in row and other in row:
            return row[max(row.index(one), row.index(other))]
    are_dictionaries = pa.types.is_dictionary(one), pa.types.is_dictionary(other)
    if any(are_dictionaries):
        return unified_dictionaries(one, other) if all(are_dictionaries) else plain(one, other)
    for alike in (
        unified_integers,
        unified_times,
        unified_decimals,
        unified_lists,
        unified_structs,
    ):
        kind = alike(one, other)
        if kind is not None:
            return kind
    return None


def plain(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Give the type of a dictionary's values and of plain values."""
    return unified(
        *(kind.value_type if pa.types.is_dictionary(kind) else kind for kind in (one, other))
    )


def unified_dictionaries(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Give a dictionary that holds the values of both; it has an order only where both have."""
    indices = unified(one.index_type, other.index_type)
    values = plain(one, other)
    if indices is None or values is None:
        return values
    return pa.dictionary(indices, values, one.ordered and other.ordered)


def unified_integers(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Give the integer of more bits; one with a sign needs more than one without has."""
    if not (pa.types.is_integer(one) and pa.types.is_integer(other)):
        return None
    small, large = sorted((one, other), key=lambda kind: kind.bit_width)
    unsigned = [kind for kind in (small, large) if pa.types.is_unsigned_integer(kind)]
    if len(unsigned) != 1:
        return large
    return SIGNED.get(max(large.bit_width, 2 * unsigned[0].bit_width))


def unified_times(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Give the finer of two units."""
    for kind in (pa.TimestampType, pa.DurationType):
        if isinstance(one, kind) and isinstance(other, kind):
            if getattr(one, "tz", None) != getattr(other, "tz", None):
                return None
            return max((one, other), key=lambda kind: UNITS.index(kind.unit))
    return None


def unified_decimals(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Give the decimal of more digits; 1.1 and 1.10 do not go together."""
    if not (pa.types.is_decimal(one) and pa.types.is_decimal(other) and one.scale == other.scale):
        return None
    return max((one, other), key=lambda kind: (kind.precision, kind.bit_width))


def unified_lists(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Give the list that holds the items of both."""
    if isinstance(one, pa.MapType) or isinstance(other, pa.MapType):
        if not (isinstance(one, pa.MapType) and isinstance(other, pa.MapType)):
            return None
        keys = unified_field(one.key_field, other.key_field)
        items = unified_field(one.item_field, other.item_field)
        return pa.map_(keys, items) if keys and items else None
    if isinstance(one, pa.FixedSizeListType) and isinstance(other, pa.FixedSizeListType):
        field = unified_field(one.value_field, other.value_field)
        same = field and one.list_size == other.list_size
        return pa.list_(field, one.list_size) if same else None
    if not (is_list(one) and is_list(other)):
        return None
    field = unified_field(one.value_field, other.value_field)
    make: Callable[[Any], pa.DataType] = pa.list_
    if any(pa.types.is_large_list(k) or pa.types.is_large_list_view(k) for k in (one, other)):
        make = pa.large_list
    return make(field) if field else None


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is a list of any length."""
    tests = (pa.types.is_list, pa.types.is_large_list, *LIST_VIEWS)
    return any(test(kind) for test in tests)


def unified_structs(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Give the struct whose fields hold those of both, of the same names in the same order."""
    if not (isinstance(one, pa.StructType) and isinstance(other, pa.StructType)):
        return None
    if [field.name for field in one] != [field.name for field in other]:
        return None
    fields = [unified_field(a, b) for a, b in zip(one, other, strict=True)]
    return pa.struct(fields) if all(fields) else None
