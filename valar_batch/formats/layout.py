"""Which columns an output has, in which order and under which names, and the rows laid out so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from valar_batch.core.outcome import OPTIONAL, Outcome
from valar_batch.errors import UsageError
from valar_batch.formats.arrow_types import plain_type
from valar_batch.formats.columns import COUNTED, TYPES, Column, Origin, fragments
from valar_batch.formats.kept import (
    json_values,
    text_column,
    to_columns,
    to_json_objects,
    to_text_columns,
)
from valar_batch.formats.schema import JSON_TEXT
from valar_batch.formats.targets import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from valar_batch.formats.typed import AnswerColumn


@dataclass(frozen=True, slots=True)
class Choice:
    """What a user wants of an output.

    `columns` by their names in it (None is all of them), the fields of a typed answer as columns
    of their own (`flatten`), the whole response object (`keep_response`).
    """

    columns: tuple[str, ...] | None = None
    flatten: bool = False
    keep_response: bool = False


def layout_of(
    schema: pa.Schema,
    choice: Choice = Choice(),
    *,
    optional: Collection[str] = (),
    answer: AnswerColumn | None = None,
    custom_id_is_input: bool = False,
) -> Layout:
    """Lay out an output: the columns of the input's `schema`, then the outcome's.

    `optional` are the optional columns of the outcome that the run has, `answer` the column of its
    typed answers. `custom_id_is_input`: the input's own column custom_id is the outcome's, and is
    not repeated. Raises UsageError for a choice that cannot be.
    """
    there = {field.name: Column(field.name, Origin.INPUT, field) for field in schema}
    shown = list(there)
    wanted = {*optional, *(["response"] if choice.keep_response else [])}
    parts = flattened(answer) if choice.flatten else []
    for field in Outcome._fields:
        if field == "custom_id" and custom_id_is_input and field in there:
            continue
        if field == "output":
            columns = answer_columns(answer, parts, schema.names)
        else:
            metadata = JSON_TEXT if field == "response" else None
            kind = pa.field(free_name(field, there, "valar_"), TYPES[field], metadata=metadata)
            columns = [Column(field, Origin.OUTCOME, kind)]
        for column in columns:
            there[column.name] = column
            if field not in OPTIONAL or field in wanted or field == "output":
                shown.append(column.name)
    if choice.columns is not None:
        shown = list(dict.fromkeys(choice.columns))
        if unknown := [name for name in shown if name not in there]:
            raise UsageError(
                f"--columns: there is no column {', '.join(map(repr, unknown))}",
                hint=f"there are {', '.join(list(there)[:60])}",
            )
    return Layout([there[name] for name in shown], schema)


def answer_columns(
    answer: AnswerColumn | None, parts: list[tuple[str, AnswerColumn]], input_names: Sequence[str]
) -> list[Column]:
    """Give the column of typed answers, or one for each of their properties."""
    if answer is None:
        return []
    if not parts:
        field = answer.field(free_name("output", input_names, "valar_"))
        return [Column("output", Origin.OUTCOME, field, answer)]
    taken = {*input_names, *Outcome._fields}
    columns: list[Column] = []
    for name, part in parts:
        field = part.field(free_name(name, taken, "output_"))
        taken.add(field.name)
        columns.append(Column(name, Origin.ANSWER, field, part))
    return columns


def flattened(answer: AnswerColumn | None) -> list[tuple[str, AnswerColumn]]:
    """Give the top-level properties of typed answers. Raises UsageError where there are none."""
    if answer is None:
        hint = "it makes columns of the properties that a --schema names"
        raise UsageError("--flatten: the answers of this run have no schema", hint=hint)
    parts: list[tuple[str, AnswerColumn]] = answer.fields()
    if not parts:
        hint = "leave --flatten out: the answers are in the column output"
        raise UsageError("--flatten: the schema is not of an object with properties", hint=hint)
    return parts


def free_name(name: str, taken: Collection[str], prefix: str) -> str:
    """Give the name, prefixed until it is free."""
    while name in taken:
        name = f"{prefix}{name}"
    return name


class Layout:
    """The columns of an output, and rows in its form: as Arrow columns, JSON objects, or text."""

    def __init__(self, columns: Sequence[Column], schema: pa.Schema) -> None:
        self.columns = tuple(columns)
        self._input = [c for c in columns if c.origin is Origin.INPUT]
        self._added = [c for c in columns if c.origin is not Origin.INPUT]
        self._input_schema = pa.schema([column.field for column in self._input])
        self._kept_schema = pa.schema(
            [c.field if c.dictionary is None else plain(c.field) for c in self._input]
        )
        self._source = schema
        self._is_whole = [c.key for c in columns[: len(schema)]] == schema.names

    @property
    def schema(self) -> pa.Schema:
        """The columns with their types."""
        return pa.schema([column.field for column in self.columns])

    @property
    def optional(self) -> set[str]:
        """The optional fields of the outcome that are shown."""
        return {column.key for column in self._added} & {*OPTIONAL}

    def held(self, outcomes: Sequence[Outcome], form: Form = Form.ARROW) -> pa.RecordBatch:
        """Give outcomes as columns: what is shown of them, ready for its form, and what is counted.

        At least one outcome.
        """
        fields = dict(zip(Outcome._fields, zip(*outcomes, strict=True), strict=True))
        arrays = {name: pa.array(fields[name], TYPES[name]) for name in COUNTED}
        for column in self._added:
            if column.held_as not in arrays:
                arrays[column.held_as] = column.held(fields, form)
        return pa.RecordBatch.from_pydict(arrays)

    def arrays(self, kept: pa.Array[Any], held: pa.RecordBatch) -> list[pa.Array[Any]]:
        """Give the rows as Arrow columns."""
        columns = to_columns(self._chosen(kept), self._kept_schema) if self._input else []
        return self._placed(map(encoded, columns, self._input), held)

    def with_one_dictionary_each(self, rows: Iterable[pa.Array[Any]]) -> Layout:
        """Settle the dictionaries of the input's columns, from all rows.

        An Arrow file has one dictionary for a column. Those inside nested columns become plain.
        """
        found = {
            column.key: pa.array([], column.field.type.value_type)
            for column in self._input
            if pa.types.is_dictionary(column.field.type)
        }
        for kept in rows if found else ():
            there = dict(zip((field.name for field in kept.type), kept.flatten(), strict=True))
            for key, values in found.items():
                more = pa.concat_arrays([values, there[key].cast(values.type)])
                found[key] = more.unique().drop_null()
        columns = [
            column
            if column.origin is not Origin.INPUT
            else replace(column, dictionary=found[column.key])
            if column.key in found
            else replace(column, field=plain(column.field))
            for column in self.columns
        ]
        return Layout(columns, self._source)

    def texts(self, kept: pa.Array[Any], held: pa.RecordBatch) -> list[pa.Array[Any]]:
        """Give the rows as columns of text."""
        chosen = to_text_columns(self._chosen(kept), self._input_schema) if self._input else []
        return self._placed(chosen, held, text_column)

    def objects(self, kept: pa.Array[Any], held: pa.RecordBatch) -> Iterator[bytes]:
        """Give the rows as JSON objects; those of JSONL stay as they are where all is shown."""
        names = [column.name for column in self._added]
        columns = [fragments(held[column.held_as]) for column in self._added]
        added: Iterable[tuple[Any, ...]] = zip(*columns, strict=True)
        if not columns:
            added = repeat((), len(kept))
        if self._is_whole:
            rows = to_json_objects(kept, self._input_schema)
            for row, values in zip(rows, added, strict=True):
                yield joined(row, orjson.dumps(dict(zip(names, values, strict=True))))
            return
        inputs = (
            json_values(self._chosen(kept), self._input_schema)
            if self._input
            else repeat({}, len(kept))
        )
        for row_values, values in zip(inputs, added, strict=True):
            answers, line = iter(values), {}
            for column in self.columns:
                if column.origin is not Origin.INPUT:
                    line[column.name] = next(answers)
                elif column.key in row_values:
                    line[column.name] = orjson.Fragment(row_values[column.key])
            yield orjson.dumps(line)

    def _chosen(self, kept: pa.Array[Any]) -> pa.Array[Any]:
        """Give the rows with the columns that are shown, where they are kept as columns."""
        if self._is_whole or not isinstance(kept, pa.StructArray):
            return kept
        there = dict(zip((field.name for field in kept.type), kept.flatten(), strict=True))
        fields = [pa.field(name, there[name].type) for name in self._input_schema.names]
        return pa.StructArray.from_arrays([there[f.name] for f in fields], fields=fields)

    def _placed(
        self,
        chosen: Iterable[pa.Array[Any]],
        held: pa.RecordBatch,
        form: Callable[[pa.Array[Any]], pa.Array[Any]] = lambda array: array,
    ) -> list[pa.Array[Any]]:
        """Put the input's columns and the outcome's where they are shown."""
        inputs = iter(chosen)
        return [
            next(inputs) if column.origin is Origin.INPUT else form(held[column.held_as])
            for column in self.columns
        ]


def plain(field: pa.Field[Any]) -> pa.Field[Any]:
    """Give a field with the values of its dictionaries in their place."""
    return field.with_type(plain_type(field.type))


def encoded(array: pa.Array[Any], column: Column) -> pa.Array[Any]:
    """Put a column's settled dictionary under its values."""
    if column.dictionary is None:
        return array
    import pyarrow.compute as pc

    kind = column.field.type
    indices = pc.index_in(array, column.dictionary).cast(kind.index_type)
    return pa.DictionaryArray.from_arrays(indices, column.dictionary, ordered=kind.ordered)


def joined(row: bytes, added: bytes) -> bytes:
    """Put the fields of an object before the closing brace of another."""
    head = row[:-1]
    if added == b"{}":
        return row
    comma = b"" if head.rstrip() == b"{" else b","
    return b"%b%b%b" % (head, comma, added[1:])
