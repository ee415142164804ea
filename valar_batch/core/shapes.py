"""What a JSON value may be: the words in which the API's rules are written down.

A shape is data. `core.checks` makes it into a check, and the page of what the API takes is written
from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Text:
    """A string: of `shortest` to `longest` characters, of a pattern, or one of `choices`.

    Those in `barred` are never taken.
    """

    choices: tuple[str, ...] = ()
    barred: tuple[str, ...] = ()
    shortest: int = 0
    longest: int | None = None
    pattern: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class ImageUrl:
    """An http or https URL, or a data URI that holds an image."""


@dataclass(frozen=True, slots=True)
class WebUrl:
    """An http or https URL."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `low` to `high`, both included; `whole` ones are integers."""

    low: float | None = None
    high: float | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false; with `only`, just that one."""

    only: bool | None = None


@dataclass(frozen=True, slots=True)
class Null:
    """null."""


@dataclass(frozen=True, slots=True)
class Anything:
    """Any value: it is passed on as it is."""


@dataclass(frozen=True, slots=True)
class Array:
    """A list of `shortest` to `longest` elements."""

    of: Shape
    shortest: int = 0
    longest: int | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object. `hint` says what to do about a wrong value.

    `fixable`: there is one right answer to a wrong value, and a repair knows it.
    """

    name: str
    shape: Shape
    required: bool = False
    hint: str = ""
    fixable: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A field, or a kind of object, that is never taken; `hint` says what to do instead."""

    name: str
    hint: str
    fixable: bool = False


@dataclass(frozen=True, slots=True)
class Object:
    """An object. Fields that are not named must have the shape `rest`; without it, none may be."""

    fields: tuple[Field | Refused, ...]
    rest: Shape | None = None


@dataclass(frozen=True, slots=True)
class Kinds:
    """Objects of several kinds, told apart by their field `by`, or `default` where it is absent.

    `hint` goes with a kind that is not known at all.
    """

    kinds: tuple[tuple[str, Object], ...]
    refused: tuple[Refused, ...] = ()
    default: str | None = None
    hint: str = ""
    by: str = "type"


@dataclass(frozen=True, slots=True)
class Either:
    """One of several shapes, no two of which are of the same JSON type."""

    shapes: tuple[Shape, ...]


Shape = Text | ImageUrl | WebUrl | Number | Flag | Null | Anything | Array | Object | Kinds | Either


def either(*shapes: Shape) -> Either:
    """Give the choice between shapes."""
    return Either(shapes)


def choice(*words: str) -> Text:
    """Give the choice between words."""
    return Text(choices=words)


def json_types(shape: Shape) -> Iterator[str]:
    """Name the JSON types that a shape may have."""
    match shape:
        case Text() | ImageUrl() | WebUrl():
            yield "string"
        case Number(whole=whole):
            yield "integer" if whole else "number"
        case Flag():
            yield "boolean"
        case Null():
            yield "null"
        case Array():
            yield "array"
        case Object() | Kinds():
            yield "object"
        case Either(shapes=shapes):
            for each in shapes:
                yield from json_types(each)
        case Anything():
            yield from ("string", "number", "boolean", "null", "array", "object")
