"""Prompt templates: Jinja's language by minijinja, with values rendered as they stand.

minijinja is sandboxed: a template can reach neither files nor the interpreter.
"""

from __future__ import annotations

import datetime
import re
from itertools import repeat
from typing import TYPE_CHECKING, Any

import minijinja
import msgspec
import orjson

from valar_batch.core.nesting import is_too_deep
from valar_batch.core.problems import Problem
from valar_batch.core.times import timedelta_text
from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ABSENT = object()
LITERALS = frozenset({"true", "false", "none", "True", "False", "None", "self", "loop"})
BUILT_IN_FUNCTIONS = frozenset({"range", "dict", "debug", "namespace", "cycler", "joiner", "loop"})


SLOT = "\x00slot\x00"
"""Stands for what varies where the constant rest is made once."""


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


def decode_text(text: str) -> Any:
    """Decode JSON that is a value in a row. Raises msgspec.DecodeError."""
    if is_too_deep(text.encode()):
        raise msgspec.DecodeError("it is nested too deeply")
    return decode_json(text)


class NullRendered(Exception):
    """A null came to be written into a prompt, and no text was given for nulls."""


MARKUP = re.compile(
    r"""
    (?P<comment>\{\#.*?\#\})
  | (?P<raw>\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\})
  | (?P<statement>\{%(?:"[^"]*"|'[^']*'|.)*?%\})
  | (?P<open>\{\{[-+]?)\s*(?P<path>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*(?P<close>[-+]?\}\})
  | (?P<expression>\{\{(?:"[^"]*"|'[^']*'|.)*?\}\})
    """,
    re.DOTALL | re.VERBOSE,
)
BINDERS = re.compile(r"\{%[-+]?\s*(?:for|set|with|macro|call|import|from)\b")


class Template:
    """A compiled template. `columns` are the names that it reads from a row.

    A plain `{{ column }}` or `{{ column.field }}` writes the value's exact text: in the source it
    is replaced by a variable that holds it. In any other expression numbers are numbers. Raises
    UsageError where the text is no template.
    """

    def __init__(self, source: str, name: str, null_text: str | None) -> None:
        self.name = name
        self._null_text = null_text
        self._paths: dict[str, tuple[str, ...]] = {}
        rewritten = self._rewrite(source)
        self._environment = minijinja.Environment(
            undefined_behavior="strict",
            keep_trailing_newline=True,
            finalizer=self._write,
            auto_escape_callback=lambda _: False,
        )
        try:
            self._environment.add_template(name, rewritten)
            free = set(self._environment.undeclared_variables_in_str(rewritten))
        except minijinja.TemplateError as error:
            message = f"{name} is not a valid template: {error.message}"
            hint = "a column is written {{ column }}; literal braces as {{ '{{' }}"
            raise UsageError(message, hint=hint) from error
        self._names = frozenset(free - self._paths.keys() - BUILT_IN_FUNCTIONS)
        self.columns = self._names | {path[0] for path in self._paths.values()}
        self._constants = self._constant_texts(source)

    def _rewrite(self, source: str) -> str:
        """Put a variable for the exact text in the place of each plain path to a column."""
        bound = {
            name
            for match in MARKUP.finditer(source)
            if match["statement"] and BINDERS.match(match["statement"])
            for name in re.findall(r"\w+", match["statement"])
        }

        def replaced(match: re.Match[str]) -> str:
            path = tuple((match["path"] or "").split("."))
            if not match["path"] or path[0] in bound or path[0] in LITERALS:
                return match[0]
            variable = f"__{len(self._paths)}"
            self._paths[variable] = path
            return f"{match['open']} {variable} {match['close']}"

        return MARKUP.sub(replaced, source)

    def _constant_texts(self, source: str) -> list[str] | None:
        """Give what stands around the values where a template is nothing but plain columns."""
        matches = list(MARKUP.finditer(source))
        others = [match for match in matches if not (match["comment"] or match["raw"])]
        if self._names or len(others) != len(self._paths):
            return None
        if any(len(path) > 1 for path in self._paths.values()):
            return None
        rendered = self._environment.render_template(self.name, **dict.fromkeys(self._paths, SLOT))
        constants = rendered.split(SLOT)
        return constants if len(constants) == len(self._paths) + 1 else None

    @property
    def size(self) -> int:
        """Characters that all rows have in common, as far as that is known."""
        return sum(map(len, self._constants or ()))

    def render_all(self, rows: Sequence[Mapping[str, Any]]) -> list[str] | None:
        """Render rows as `render` does, a column at a time; None where each needs its own look."""
        if self._constants is None:
            return None
        head, *constants = self._constants
        parts: list[Iterable[str]] = [repeat(head, len(rows))]
        try:
            for (name,), constant in zip(self._paths.values(), constants, strict=True):
                parts += self._column(name, rows), repeat(constant)
        except (KeyError, TypeError):
            return None
        return list(map("".join, zip(*parts, strict=False)))

    def _column(self, name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Write a column. Raises KeyError, and TypeError for what cannot be written."""
        null = self._null_text
        values: list[Any] = [row[name] if null is None else row.get(name) for row in rows]
        kinds = set(map(type, values))
        if kinds == {str}:
            return values
        return list(map(str if kinds == {int} else self._exact, values))

    def _exact(self, value: Any) -> str:
        if value is not None:
            return text_of(value)
        if self._null_text is None:
            raise TypeError("a null")
        return self._null_text

    def render(self, row: Mapping[str, Any]) -> str:
        """Render a row. Raises minijinja.TemplateError, NullRendered, TypeError, ValueError."""
        absent = ABSENT if self._null_text is None else None
        context: dict[str, Any] = {}
        for name in self._names:
            value = row.get(name, absent)
            if value is not ABSENT:
                context[name] = value
        for variable, path in self._paths.items():
            value = row.get(path[0], absent)
            for field in path[1:]:
                if isinstance(value, dict):
                    value = value.get(field, absent)
                elif value is not None:
                    value = ABSENT
            if value is not ABSENT:
                exact = value is None or isinstance(value, str | bytes)
                context[variable] = value if exact else text_of(value)
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
        detail = getattr(error, "detail", None) or str(error)
        for variable, path in self._paths.items():
            detail = detail.replace(f"`{variable}`", f"`{'.'.join(path)}`")
        return Problem("template", self.name, f"the template cannot be rendered: {detail}")

    def _write(self, value: Any) -> str:
        if value is None:
            if self._null_text is None:
                raise NullRendered
            return self._null_text
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
        case datetime.timedelta():
            return timedelta_text(value)
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
    except orjson.JSONEncodeError:
        return _json_text_of_any_size(value)


def _json_text_of_any_size(value: Any) -> str:
    """Write JSON with integers beyond 64 bits, which orjson refuses."""
    match value:
        case dict():
            pairs = (
                f"{json_text(str(name))}:{_json_text_of_any_size(item)}"
                for name, item in value.items()
            )
            return "{" + ",".join(pairs) + "}"
        case list():
            return "[" + ",".join(map(_json_text_of_any_size, value)) + "]"
        case int() if not isinstance(value, bool):
            return str(value)
        case _:
            return orjson.dumps(
                value, default=_exact, option=orjson.OPT_PASSTHROUGH_SUBCLASS
            ).decode()


def _exact(value: Any) -> Any:
    if isinstance(value, Number):
        return orjson.Fragment(value.text)
    if isinstance(value, bytes):
        raise TypeError("a binary value cannot be written into a prompt")
    return timedelta_text(value) if isinstance(value, datetime.timedelta) else str(value)
