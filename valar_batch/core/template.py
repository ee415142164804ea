"""Prompt templates: Jinja's language by minijinja, with values rendered as they stand.

minijinja is sandboxed: a template can reach neither files nor the interpreter.
"""

from __future__ import annotations

import datetime
import decimal
import json
from typing import TYPE_CHECKING, Any

import minijinja
import msgspec
import orjson

from valar_batch.core.problems import Problem
from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

BUILT_IN_FUNCTIONS = frozenset({"range", "dict", "debug", "namespace", "cycler", "joiner", "loop"})


class Number(float):
    """A number of JSON whose text is not what Python would write: `1.10`, `1e5`."""

    __slots__ = ("text",)
    text: str

    @classmethod
    def parse(cls, text: str) -> float:
        """Read a JSON number; keeps its text where that would be lost."""
        value = float(text)
        if repr(value) == text:
            return value
        number = cls(value)
        number.text = text
        return number


decode_json = msgspec.json.Decoder(float_hook=Number.parse).decode
"""Decode JSON with every number exact: whole numbers of any size, others with their text."""


class NullRendered(Exception):
    """A null came to be written into a prompt, and no text was given for nulls."""


class Template:
    """A compiled template. `columns` are the names that it reads from a row.

    Raises UsageError where the text is no template.
    """

    def __init__(self, source: str, name: str, null_text: str | None) -> None:
        self.name = name
        self.source = source
        self._null_text = null_text
        self._exact: dict[float, str] = {}
        self._environment = minijinja.Environment(
            undefined_behavior="strict",
            keep_trailing_newline=True,
            finalizer=self._write,
            auto_escape_callback=lambda _: False,
        )
        try:
            self._environment.add_template(name, source)
            names = self._environment.undeclared_variables_in_str(source)
        except minijinja.TemplateError as error:
            message = f"{name} is not a valid template: {error.message}"
            hint = "a column is written {{ column }}; literal braces as {{ '{{' }}"
            raise UsageError(message, hint=hint) from error
        self.columns = frozenset(names) - BUILT_IN_FUNCTIONS

    def render(self, row: Mapping[str, Any]) -> str:
        """Render a row. Raises minijinja.TemplateError or NullRendered."""
        context = {name: row[name] for name in self.columns if name in row}
        if self._null_text is not None:
            context.update(dict.fromkeys(self.columns - context.keys()))
        self._exact.clear()
        for value in context.values():
            if isinstance(value, Number | decimal.Decimal | list | dict):
                self._remember(value)
        return self._environment.render_template(self.name, **context)

    def problem(self, error: Exception, row: Mapping[str, Any]) -> Problem:
        """Say what kept a row from being rendered."""
        missing = sorted(self.columns - row.keys())
        if isinstance(error, NullRendered):
            nulls = sorted(name for name in self.columns if row.get(name) is None)
            what = ", ".join(nulls) or "a value"
            hint = "--null TEXT says what to write for a null, as in --null ''"
            return Problem("null", self.name, f"{what} is null", hint)
        if missing:
            there = ", ".join(list(row)[:50]) or "none"
            message = f"no column {', '.join(map(repr, missing))}; the row has: {there}"
            hint = "correct the name, or give --null TEXT if the column may be absent"
            return Problem("missing column", self.name, message, hint)
        detail = getattr(error, "message", None) or str(error)
        return Problem("template", self.name, f"the template cannot be rendered: {detail}")

    def _remember(self, value: Any) -> None:
        match value:
            case Number():
                self._exact[float(value)] = value.text
            case decimal.Decimal():
                self._exact[float(value)] = str(value)
            case list():
                for element in value:
                    self._remember(element)
            case dict():
                for element in value.values():
                    self._remember(element)

    def _write(self, value: Any) -> str:
        if value is None:
            if self._null_text is None:
                raise NullRendered
            return self._null_text
        if type(value) is float:
            return self._exact.get(value) or text_of(value)
        return text_of(value)


def text_of(value: Any) -> str:
    """Write a value into a prompt: text as it is, all else as JSON would write it."""
    match value:
        case str():
            return value
        case Number():
            return value.text
        case datetime.date() | datetime.time():
            return value.isoformat()
        case bool() | list() | dict():
            return json_text(value)
        case bytes():
            raise TypeError("a binary value cannot be written into a prompt")
        case _:
            return str(value)


def json_text(value: Any) -> str:
    """Write JSON, each number as it stood in the input."""
    try:
        return orjson.dumps(value, default=_exact, option=orjson.OPT_PASSTHROUGH_SUBCLASS).decode()
    except TypeError:  # an integer beyond 64 bits: the slower way knows no limit
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _exact(value: Any) -> Any:
    if isinstance(value, Number):
        return orjson.Fragment(value.text)
    if isinstance(value, bytes):
        raise ValueError("a binary value cannot be written into a prompt")
    return str(value)
