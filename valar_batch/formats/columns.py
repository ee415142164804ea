"""A column of an output: where its values come from, and how those of outcomes are held."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from valar_batch.core.outcome import OPTIONAL, Outcome
from valar_batch.core.template import json_text
from valar_batch.formats.targets import Form

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valar_batch.formats.typed import AnswerColumn

LARGE = pa.large_string()
COUNTED = (
    "custom_id",
    "status",
    "error",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "cost_usd",
    "attempts",
)
"""The fields of an outcome that are held whether they are shown or not."""

TYPES: dict[str, pa.DataType] = {name: pa.string() for name in Outcome._fields} | {
    "tool_calls": pa.list_(
        pa.struct([(name, pa.string()) for name in ("type", "call_id", "name", "arguments")])
    ),
    "logprobs": pa.list_(pa.struct([("token", pa.string()), ("logprob", pa.float64())])),
    "input_tokens": pa.int64(),
    "cached_tokens": pa.int64(),
    "output_tokens": pa.int64(),
    "reasoning_tokens": pa.int64(),
    "cost_usd": pa.float64(),
    "attempts": pa.int32(),
}


class Origin(Enum):
    """Where a column comes from."""

    INPUT = "input"
    OUTCOME = "outcome"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an output.

    `key` is its name where it comes from: in the input, among the outcome's fields, or among the
    properties of a typed answer. `answer` holds the values of a typed answer, where this is one,
    and `dictionary` the distinct values where they were settled beforehand.
    """

    key: str
    origin: Origin
    field: pa.Field[Any]
    answer: AnswerColumn | None = None
    dictionary: pa.Array[Any] | None = None

    @property
    def name(self) -> str:
        """Its name in the output."""
        name: str = self.field.name
        return name

    @property
    def held_as(self) -> str:
        """Its name among the outcomes that are held."""
        return self.name if self.origin is Origin.ANSWER else self.key

    def held(self, outcomes: Mapping[str, Sequence[Any]], form: Form) -> pa.Array[Any]:
        """Give its values of outcomes, which are given by field, as they are held."""
        values = outcomes["output" if self.origin is Origin.ANSWER else self.key]
        if self.origin is Origin.ANSWER:
            values = [v.get(self.key) if isinstance(v, dict) else None for v in values]
        if form is Form.JSON and (self.answer is not None or self.key in OPTIONAL):
            return pa.array(map(json_bytes, values), pa.binary())
        if self.answer is not None:
            is_text = form is Form.TEXT
            return pa.array(map(bare_text, values), LARGE) if is_text else self.answer.array(values)
        if self.key == "response":
            values = [v if v is None else v.decode(errors="replace") for v in values]
        return pa.array(values, TYPES[self.key])


def json_bytes(value: Any) -> bytes | None:
    """Give a value as JSON; bytes are JSON, and null is no value."""
    return value if value is None or isinstance(value, bytes) else json_text(value).encode()


def bare_text(value: Any) -> str | None:
    """Give text as it is, and any other value as JSON."""
    return value if value is None or isinstance(value, str) else json_text(value)


def fragments(array: pa.Array[Any]) -> list[Any]:
    """Give the values of a column, ready to be written as JSON."""
    values: list[Any] = array.to_pylist()
    if pa.types.is_binary(array.type):
        return [v if v is None else orjson.Fragment(v) for v in values]
    return values
