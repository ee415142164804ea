"""Typed answers as Arrow columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from valar_batch.core.template import json_text
from valar_batch.formats.schema import JSON_TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence


class AnswerColumn:
    """The column of answers that follow a JSON Schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self.type: pa.DataType = pa.string()

    def field(self, name: str) -> pa.Field[Any]:
        """Give the column's field under a name."""
        return pa.field(name, self.type, metadata=JSON_TEXT)

    def array(self, values: Sequence[Any]) -> pa.Array[Any]:
        """Give the values as Arrow holds them."""
        return pa.array((None if v is None else json_text(v) for v in values), self.type)

    def fields(self) -> list[tuple[str, AnswerColumn]]:
        """Give the columns of the top-level properties."""
        return [(n, AnswerColumn(s)) for n, s in self._schema.get("properties", {}).items()]
