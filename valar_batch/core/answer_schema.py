"""The schema that answers follow: a JSON Schema with the name under which it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AnswerSchema:
    """A JSON Schema for answers; `name` is what the request calls it."""

    name: str
    schema: dict[str, Any]

    def text_format(self) -> dict[str, Any]:
        """Give `text.format` of a request (API reference, Responses: structured output)."""
        return {"type": "json_schema", "name": self.name, "schema": self.schema, "strict": True}


class AnswerReader:
    """Reads answers that follow a schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema

    def read(self, text: str) -> tuple[Any, str | None]:
        """Give the value, or None and where the text fails."""
        import msgspec

        try:
            return msgspec.json.decode(text), None
        except msgspec.DecodeError as error:
            return None, f"the answer is not JSON: {error}"
