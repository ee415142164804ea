"""Arrow types: what of them kept rows and outputs can hold, and their values in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from valar_batch.core.times import date_text, duration_text, time_text, timestamp_text

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE_TEXT, LARGE_BINARY = pa.large_string(), pa.large_binary()
VIEWS = {pa.string_view(): LARGE_TEXT, pa.binary_view(): LARGE_BINARY}
LIST_VIEWS = (pa.types.is_list_view, pa.types.is_large_list_view)
TEXTS = {pa.string(), LARGE_TEXT, pa.binary(), LARGE_BINARY}
UNHELD = (pa.types.is_union, pa.types.is_interval, pa.types.is_run_end_encoded)


def is_held(kind: pa.DataType) -> bool:
    """Whether rows of this type can be kept and written to Parquet, its nested types too.

    What is not (unions, intervals, structs of no fields, run ends within others, dictionaries of
    nested values) is kept as JSON text.
    """
    if pa.types.is_dictionary(kind):
        return not pa.types.is_nested(kind.value_type) and is_held(kind.value_type)
    if any(test(kind) for test in UNHELD) or kind == pa.struct([]):
        return False
    return all(is_held(inner) for inner in inner_types(kind))


def held_type(kind: pa.DataType) -> pa.DataType:
    """Give the type that a column has in the outputs: its own, as far as that can be.

    Runs become their values. A dictionary of text or bytes stays one; of other values, which
    Parquet does not know, they are plain. What lies below list views or extension types is as it
    is, or else these are plain lists and plain storage.
    """
    if pa.types.is_run_end_encoded(kind):
        return held_type(kind.value_type)
    if pa.types.is_dictionary(kind):
        values = VIEWS.get(kind.value_type, kind.value_type)
        if values not in TEXTS:
            return held_type(values)
        return pa.dictionary(kind.index_type, values, kind.ordered)
    if isinstance(kind, pa.BaseExtensionType):
        return kind if kept_type(kind.storage_type) == kind.storage_type else kind.storage_type
    if any(test(kind) for test in LIST_VIEWS) and kept_type(kind.value_type) != kind.value_type:
        return list_of_views(kind, held_type(kind.value_type))
    return rebuilt(kind, held_type)


def kept_type(kind: pa.DataType) -> pa.DataType:
    """Give the type that the run folder keeps for a held type.

    An Arrow stream takes one dictionary per column, so dictionaries are kept as their values. A
    slice of views would be kept with all that the views point to, so they are kept as plain text.
    """
    if pa.types.is_dictionary(kind):
        return kept_type(kind.value_type)
    return rebuilt(VIEWS.get(kind, kind), kept_type)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Give a type with every dictionary replaced by its values."""
    return replaced(kind, lambda t: t.value_type if pa.types.is_dictionary(t) else t)


def kept_array(array: pa.Array[Any], kind: pa.DataType) -> pa.Array[Any]:
    """Give a column as it is kept, with the kept type `kind`. Raises pa.ArrowInvalid."""
    if pa.types.is_run_end_encoded(array.type):
        import pyarrow.compute as pc

        array = pc.run_end_decode(array)
    if isinstance(array, pa.ExtensionArray) and array.type != kind:
        array = array.storage
    if any(test(array.type) for test in LIST_VIEWS):
        if array.type == kind:
            return pa.concat_arrays([array, array.slice(0, 0)])  # leaves out what is not in it
        array = in_order(array)
    if array.type == kind:
        return array
    return cast(cast(array, replaced(array.type, dictionary_without_view)), kind)


def in_order(views: pa.Array[Any]) -> pa.Array[Any]:
    """Give list views as lists; Arrow's own cast is wrong where views are not in order."""
    import pyarrow.compute as pc

    lengths = pc.fill_null(views.value_lengths(), 0)
    ends = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([pa.array([0], ends.type), ends])
    make = pa.ListArray if pa.types.is_list_view(views.type) else pa.LargeListArray
    return make.from_arrays(offsets, views.flatten(), mask=views.is_null())


def dictionary_without_view(kind: pa.DataType) -> pa.DataType:
    """Give a dictionary without views, which Arrow cannot decode."""
    if pa.types.is_dictionary(kind) and kind.value_type in VIEWS:
        return pa.dictionary(kind.index_type, VIEWS[kind.value_type], kind.ordered)
    return kind


def python_values(array: pa.Array[Any]) -> list[Any]:
    """Give Python values: decimals as Decimal, times as datetime.

    Times that datetime cannot hold (nanoseconds, years beyond 9999) turn the array's times into
    text, exactly.
    """
    values: list[Any]
    try:
        values = cast(array, replaced(array.type, without_nanoseconds)).to_pylist()
    except (ValueError, OverflowError):  # pa.ArrowInvalid is a ValueError
        counts = cast(array, replaced(array.type, as_count))
        values = [with_times_as_text(value, array.type) for value in counts.to_pylist()]
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


def as_count(kind: pa.DataType) -> pa.DataType:
    """Give the type in which a time is a number of its units."""
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return pa.int32() if kind.bit_width == 32 else pa.int64()
    return kind


def with_times_as_text(value: Any, kind: pa.DataType) -> Any:
    """Give a value of a type, whose times are counts, with text in their place."""
    if value is None:
        return None
    match kind:
        case pa.TimestampType():
            zone = None if kind.tz is None else pa.lib.string_to_tzinfo(kind.tz)
            return timestamp_text(value, kind.unit, zone)
        case pa.Time32Type() | pa.Time64Type():
            return time_text(value, kind.unit)
        case pa.DurationType():
            return duration_text(value, kind.unit)
        case pa.StructType():
            return {f.name: with_times_as_text(value[f.name], f.type) for f in kind}
        case pa.MapType():
            kinds = kind.key_type, kind.item_type
            return [tuple(map(with_times_as_text, pair, kinds)) for pair in value]
        case _ if pa.types.is_date(kind):
            return date_text(value if kind == pa.date32() else value // 86_400_000)
        case _ if isinstance(value, list):
            return [with_times_as_text(item, kind.value_type) for item in value]
        case _:
            return value


def replaced(kind: pa.DataType, replace: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """Apply `replace` to a type and to the types nested in it."""
    return replace(rebuilt(kind, lambda inner: replaced(inner, replace)))


def inner_types(kind: pa.DataType) -> list[pa.DataType]:
    """Give the types that are nested in a type, one level deep."""
    if isinstance(kind, pa.BaseExtensionType):
        return [kind.storage_type]
    return [kind.field(place).type for place in range(kind.num_fields)]


def rebuilt(kind: pa.DataType, inner: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """Give a nested type with `inner` of the types nested in it; any other type as it is.

    List views become lists where something in them changes, since Arrow casts only to those.
    """

    def inside(field: pa.Field[Any]) -> pa.Field[Any]:
        return field.with_type(inner(field.type))

    if isinstance(kind, pa.StructType):
        return pa.struct([inside(field) for field in kind])
    if isinstance(kind, pa.MapType):
        return pa.map_(inside(kind.key_field), inside(kind.item_field), kind.keys_sorted)
    if isinstance(kind, pa.FixedSizeListType):
        return pa.list_(inside(kind.value_field), kind.list_size)
    if isinstance(kind, pa.LargeListType):
        return pa.large_list(inside(kind.value_field))
    if isinstance(kind, pa.ListType):
        return pa.list_(inside(kind.value_field))
    if any(test(kind) for test in LIST_VIEWS):
        values = inner(kind.value_type)
        return kind if values == kind.value_type else list_of_views(kind, values)
    return kind


def list_of_views(kind: pa.DataType, values: pa.DataType) -> pa.DataType:
    """Give the list type for a type of list views, with other values."""
    make = pa.list_ if pa.types.is_list_view(kind) else pa.large_list
    return make(kind.value_field.with_type(values))
