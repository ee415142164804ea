"""Arrow types and the values in them: how columns become Python values without loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Give a type with every dictionary replaced by its values."""
    return replaced(kind, lambda t: t.value_type if pa.types.is_dictionary(t) else t)


def python_values(array: pa.Array[Any]) -> list[Any]:
    """Give Python values: decimals as Decimal, times as datetime.

    Times that datetime cannot hold (nanoseconds, years beyond 9999) turn the array's times into
    text, exactly.
    """
    values: list[Any]
    try:
        values = cast(array, replaced(array.type, without_nanoseconds)).to_pylist()
    except (ValueError, OverflowError):  # pa.ArrowInvalid is a ValueError
        values = cast(array, replaced(array.type, as_text)).to_pylist()
    return values


def cast(array: pa.Array[Any], kind: pa.DataType) -> pa.Array[Any]:
    """Give the array in another type, itself where it has that type. Raises pa.ArrowInvalid."""
    return array if array.type == kind else array.cast(kind)


def without_nanoseconds(kind: pa.DataType) -> pa.DataType:
    """Give the type with microseconds: Python knows nothing finer."""
    if isinstance(kind, pa.TimestampType) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if isinstance(kind, pa.DurationType) and kind.unit == "ns":
        return pa.duration("us")
    return pa.time64("us") if kind == pa.time64("ns") else kind


def as_text(kind: pa.DataType) -> pa.DataType:
    """Give the type in which a time is text."""
    return pa.string() if pa.types.is_temporal(kind) else kind


def replaced(kind: pa.DataType, replace: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """Apply `replace` to a type and to the types nested in it."""

    def inside(field: pa.Field[Any]) -> pa.Field[Any]:
        return field.with_type(replaced(field.type, replace))

    if isinstance(kind, pa.StructType):
        return pa.struct([inside(field) for field in kind])
    if isinstance(kind, pa.MapType):
        return pa.map_(inside(kind.key_field), inside(kind.item_field))
    if isinstance(kind, pa.FixedSizeListType):
        return pa.list_(inside(kind.value_field), kind.list_size)
    if isinstance(kind, pa.LargeListType):
        return pa.large_list(inside(kind.value_field))
    if isinstance(kind, pa.ListType):
        return pa.list_(inside(kind.value_field))
    return replace(kind)
