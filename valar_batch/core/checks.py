"""Shapes to checks: each becomes one function, made once, that names all problems of a value.

A value without problems costs one call for each of the fields that it has, and nothing is made:
paths are put together on the way out of a problem.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from valar_batch.core.images import ImageRefused, check_url, check_web_url
from valar_batch.core.problems import Problem
from valar_batch.core.shapes import (
    Anything,
    Array,
    Either,
    Field,
    Flag,
    ImageUrl,
    Kinds,
    Null,
    Number,
    Object,
    Refused,
    Shape,
    Text,
    WebUrl,
    json_types,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Check = Callable[[Any], Sequence[Problem]]

FINE: tuple[Problem, ...] = ()
PLAIN: Mapping[type, str] = {
    str: "string",
    list: "array",
    dict: "object",
    int: "integer",
    float: "number",
    type(None): "null",
}


def check_of(shape: Shape) -> Check:
    """Make the check of a shape: a value to its problems, whose fields are paths inside of it."""
    return MAKERS[type(shape)](shape)


def text_check(shape: Text) -> Check:
    """Check a string."""
    shortest, longest, pattern = shape.shortest, shape.longest, shape.pattern
    choices, barred = frozenset(shape.choices), frozenset(shape.barred)
    is_any = not choices and not barred and longest is None and pattern is None
    if shape == Text():
        return lambda value: FINE if isinstance(value, str) else wrong_type(value, shape)

    def check(value: Any) -> Sequence[Problem]:
        if not isinstance(value, str):
            return wrong_type(value, shape)
        if len(value) < shortest:
            return [Problem("empty", "", "it is empty text")]
        if is_any:
            return FINE
        if choices and value not in choices:
            message = f"{shorten(value)} is not one of {', '.join(shape.choices)}"
            return [Problem("not allowed", "", message)]
        if value in barred:
            return [Problem("not allowed", "", f"{shorten(value)} is not taken", "remove it")]
        if longest is not None and len(value) > longest:
            return [Problem("too long", "", f"{len(value)} characters; at most {longest}")]
        if pattern is not None and not pattern.fullmatch(value):
            message = f"{shorten(value)} does not match {pattern.pattern}"
            return [Problem("not allowed", "", message)]
        return FINE

    return check


def url_check(shape: Shape, check_text: Callable[[str], None]) -> Check:
    """Check a URL, or the image that a data URI holds."""

    def check(value: Any) -> Sequence[Problem]:
        if not isinstance(value, str):
            return wrong_type(value, shape)
        try:
            check_text(value)
        except ImageRefused as refused:
            return [refused.at("")]
        return FINE

    return check


def number_check(shape: Number) -> Check:
    """Check a number; one that is no number at all (NaN) is out of every range."""
    low, high = shape.low, shape.high
    kinds = int if shape.whole else (int, float)

    def check(value: Any) -> Sequence[Problem]:
        if not isinstance(value, kinds) or isinstance(value, bool):
            return wrong_type(value, shape)
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            span = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
            return [Problem("out of range", "", f"{shorten(value)} must be {span}")]
        return FINE

    return check


def flag_check(shape: Flag) -> Check:
    """Check a boolean."""

    def check(value: Any) -> Sequence[Problem]:
        if not isinstance(value, bool):
            return wrong_type(value, shape)
        if shape.only is not None and value is not shape.only:
            message = f"{json_text_of(value)} is not taken: only {json_text_of(shape.only)} is"
            return [Problem("not allowed", "", message)]
        return FINE

    return check


def array_check(shape: Array) -> Check:
    """Check a list and each of its elements."""
    element, shortest, longest = check_of(shape.of), shape.shortest, shape.longest

    def check(value: Any) -> Sequence[Problem]:
        if not isinstance(value, list):
            return wrong_type(value, shape)
        problems: list[Problem] = []
        if len(value) < shortest:
            problems.append(Problem("empty", "", "the list is empty"))
        elif longest is not None and len(value) > longest:
            message = f"{len(value):,} elements; at most {longest:,}"
            problems.append(Problem("too many", "", message))
        for position, each in enumerate(value):
            if found := element(each):
                problems += within(str(position), found)
        return problems

    return check


def object_check(shape: Object) -> Check:
    """Check an object: that it has the fields that it needs, and those that it has."""
    fields = {field.name: field for field in shape.fields}
    checks = {field.name: field_check(field) for field in shape.fields}
    rest = rest_check(shape)
    required = frozenset(f.name for f in shape.fields if isinstance(f, Field) and f.required)

    def check(value: Any) -> Sequence[Problem]:
        if not isinstance(value, dict):
            return wrong_type(value, shape)
        problems: list[Problem] = []
        if not required <= value.keys():
            problems += [
                Problem("missing field", name, "it is missing", field.hint)
                for name, field in fields.items()
                if name in required and name not in value
            ]
        for name, inner in value.items():
            each = checks.get(name, rest)
            if each is not None and (found := each(inner)):
                if isinstance(field := fields.get(name), Field):
                    found = advised(field, inner, found)
                problems += within(name, found)
        return problems

    return check


def rest_check(shape: Object) -> Check | None:
    """Check a field that has no rule of its own; None takes any."""
    if isinstance(shape.rest, Anything):
        return None
    if shape.rest is not None:
        return check_of(shape.rest)
    known = ", ".join(field.name for field in shape.fields if isinstance(field, Field))
    unknown = Problem("unknown field", "", "there is no such field", f"there are {known}")
    return lambda _: (unknown,)


def field_check(field: Field | Refused) -> Check | None:
    """Check one field of an object; None takes any value."""
    if isinstance(field, Field):
        return None if isinstance(field.shape, Anything) else check_of(field.shape)
    hint, fixable = field.hint, field.fixable
    refusal = Problem("refused field", "", "Valar does not take it", hint, fixable=fixable)
    return lambda _: (refusal,)


def advised(field: Field, value: Any, found: Sequence[Problem]) -> Sequence[Problem]:
    """Add what a field's rule says to do to the problems of its value itself."""
    if value is None and not field.required:
        return [replace(found[0], hint="leave the field out", fixable=True)]
    return [
        each if each.field or each.hint else replace(each, hint=field.hint, fixable=field.fixable)
        for each in found
    ]


def kinds_check(shape: Kinds) -> Check:
    """Check an object by the rules of its kind."""
    by, default = shape.by, shape.default
    checks = {kind: check_of(each) for kind, each in shape.kinds}
    refused = {each.name: each for each in shape.refused}

    def unknown(kind: Any) -> Problem:
        if isinstance(kind, str):
            # Kinds come in dated variants: web_search_2026_08_01.
            each = refused.get(kind) or next(
                (one for name, one in refused.items() if kind.startswith(f"{name}_")), None
            )
            if each is not None:
                message = f"{shorten(kind)} is not taken"
                return Problem("not allowed", by, message, each.hint, fixable=each.fixable)
        message = f"{shorten(kind)} is not one of {', '.join(checks)}"
        return Problem("not allowed", by, message, shape.hint)

    def check(value: Any) -> Sequence[Problem]:
        if not isinstance(value, dict):
            return wrong_type(value, shape)
        kind = value.get(by, default)
        if kind is None and by not in value:
            return [Problem("missing field", by, "it is missing", shape.hint)]
        of_kind = checks.get(kind) if isinstance(kind, str) else None
        return [unknown(kind)] if of_kind is None else of_kind(value)

    return check


def either_check(shape: Either) -> Check:
    """Check a value by the shape of its JSON type."""
    checks = {kind: check_of(each) for each in shape.shapes for kind in json_types(each)}
    if "number" in checks:
        checks.setdefault("integer", checks["number"])
    by_class = {kind: checks[name] for kind, name in PLAIN.items() if name in checks}

    def check(value: Any) -> Sequence[Problem]:
        of_type = by_class.get(type(value)) or checks.get(json_type(value))
        return wrong_type(value, shape) if of_type is None else of_type(value)

    return check


MAKERS: Mapping[type, Callable[[Any], Check]] = {
    Text: text_check,
    ImageUrl: partial(url_check, check_text=check_url),
    WebUrl: partial(url_check, check_text=check_web_url),
    Number: number_check,
    Flag: flag_check,
    Null: lambda shape: lambda value: FINE if value is None else wrong_type(value, shape),
    Array: array_check,
    Object: object_check,
    Kinds: kinds_check,
    Either: either_check,
    Anything: lambda _: lambda _: FINE,
}


def within(name: str, problems: Iterable[Problem]) -> list[Problem]:
    """Put a name before the paths of problems."""
    return [
        replace(problem, field=f"{name}.{problem.field}" if problem.field else name)
        for problem in problems
    ]


def wrong_type(value: object, shape: Shape) -> Sequence[Problem]:
    """Say that a value is of another JSON type."""
    wanted = " or ".join(json_types(shape))
    message = f"{shorten(value)} is {article(json_type(value))}, not {article(wanted)}"
    return [Problem("wrong type", "", message)]


def json_type(value: object) -> str:
    """Name a decoded value's JSON type; whole numbers are integers."""
    match value:
        case str():
            return "string"
        case list():
            return "array"
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case _:
            return "object"


def json_text_of(value: object) -> str:
    """Write a boolean as JSON does."""
    return "true" if value else "false"


def shorten(value: object, limit: int = 60) -> str:
    """Show a value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def article(noun: str) -> str:
    """Put a or an before a type's name; null needs none."""
    if noun == "null":
        return noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
