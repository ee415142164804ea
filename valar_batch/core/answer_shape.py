"""What a schema says of its values' types, in the terms that a typed column needs.

What schemas say together is met, what they say as alternatives is joined; where no one type is
left the values stay JSON.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

from valar_batch.core.json_schema import referred, schemas_in

DEEPEST = 32
MOST_PLACES = 10_000
"""A schema whose references unfold to more places than this is held as JSON."""

SIGNED, UNSIGNED = (-(2**63), 2**63 - 1), (0, 2**64 - 1)
"""The ranges of 64-bit whole numbers."""


@dataclass(frozen=True, slots=True)
class Anything:
    """Nothing is known."""


@dataclass(frozen=True, slots=True)
class Null:
    """Only null. Null may stand anywhere else too, so no other shape speaks of it."""


@dataclass(frozen=True, slots=True)
class Json:
    """No one type holds these values."""


@dataclass(frozen=True, slots=True)
class Text:
    """Strings."""


@dataclass(frozen=True, slots=True)
class Boolean:
    """True and false."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these strings, in the schema's order."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """Whole numbers, in the bounds that are known."""

    lowest: int | None = None
    highest: int | None = None


@dataclass(frozen=True, slots=True)
class Real:
    """Numbers."""


@dataclass(frozen=True, slots=True)
class Array:
    """Arrays of one shape. `certain`: nothing but an array (or null) can stand here."""

    items: Shape
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Object:
    """Objects with these properties. `certain`: nothing but an object (or null) can stand here."""

    properties: dict[str, Shape]
    certain: bool = True


Shape: TypeAlias = Anything | Null | Json | Text | Boolean | Choice | Whole | Real | Array | Object

ANYTHING, NULL, JSON, TEXT, BOOLEAN, REAL = Anything(), Null(), Json(), Text(), Boolean(), Real()

NAMED: dict[str, Shape] = {
    "null": NULL,
    "string": TEXT,
    "boolean": BOOLEAN,
    "integer": Whole(),
    "number": REAL,
    "array": Array(ANYTHING),
    "object": Object({}),
}


def shape_of(schema: dict[str, Any]) -> Shape:
    """Give the shape of the values that fit a schema.

    An object is held by its properties. Other keys may stand in it where the schema is silent
    about them, and are no part of the shape; where the schema provides for them, with
    `additionalProperties` or `patternProperties`, the object is Json.
    """
    return settled(Reading(schema).shape(schema, ()))


class Reading:
    """One walk over a schema; references are followed, and recursion ends in Json."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._places = 0
        # Up to draft 7, nothing beside a $ref counts.
        self._lone_references = "/draft-0" in document.get("$schema", "")
        # Inside a schema with an $id of its own, "#" is another document.
        self._embeds = any(path and "$id" in schema for path, schema in schemas_in(document))

    def shape(self, schema: Any, inside: tuple[str, ...]) -> Shape:
        """Give the shape of a schema; `inside` has an entry for each step that led here."""
        if not isinstance(schema, dict):
            return ANYTHING
        self._places += 1
        if len(inside) > DEEPEST or self._places > MOST_PLACES:
            return JSON
        if "$ref" in schema and self._lone_references:
            return self._referred(schema, inside)
        deeper = (*inside, "")

        def shapes(keyword: str) -> list[Shape]:
            return [self.shape(one, deeper) for one in schema.get(keyword) or ()]

        known = [stated(schema), listed(schema), self._object(schema, deeper)]
        known += [self._array(schema, deeper), self._referred(schema, inside), *shapes("allOf")]
        known += (reduce(join, shapes(k)) for k in ("anyOf", "oneOf") if schema.get(k))
        whole = reduce(meet, known)
        sometimes = [schema.get("then"), schema.get("else")]
        for keyword in ("dependentSchemas", "dependencies"):
            sometimes += (schema.get(keyword) or {}).values()
        fits = all(has_places_of(whole, self.shape(one, deeper)) for one in sometimes)
        return whole if fits else JSON

    def _referred(self, schema: dict[str, Any], inside: tuple[str, ...]) -> Shape:
        if "$dynamicRef" in schema or "$recursiveRef" in schema:
            return JSON
        reference = schema.get("$ref")
        if reference is None:
            return ANYTHING
        if reference in inside or self._embeds:
            return JSON
        try:
            target = referred(self._document, reference)
        except LookupError:
            return JSON
        return self.shape(target, (*inside, reference))

    def _object(self, schema: dict[str, Any], inside: tuple[str, ...]) -> Shape:
        others = (schema.get("additionalProperties"), schema.get("unevaluatedProperties"))
        if schema.get("patternProperties") or any(one not in (None, False) for one in others):
            return JSON
        properties = schema.get("properties")
        if properties is None:
            return ANYTHING
        shapes = {name: self.shape(one, inside) for name, one in properties.items()}
        return Object(shapes, certain=False)

    def _array(self, schema: dict[str, Any], inside: tuple[str, ...]) -> Shape:
        items = schema.get("items")
        if schema.get("prefixItems") or isinstance(items, list):
            return JSON
        return ANYTHING if items is None else Array(self.shape(items, inside), certain=False)


def stated(schema: dict[str, Any]) -> Shape:
    """Give what `type` says; whole numbers have the bounds that stand beside it."""
    names = schema.get("type")
    if not names:
        return ANYTHING
    names = [names] if isinstance(names, str) else names
    return reduce(join, (bounded(schema) if n == "integer" else NAMED[n] for n in names))


def bounded(schema: dict[str, Any]) -> Whole:
    """Give whole numbers in the schema's bounds."""
    lows: list[int] = []
    highs: list[int] = []
    for keyword, bounds, to_whole in (
        ("minimum", lows, math.ceil),
        ("exclusiveMinimum", lows, lambda bound: math.floor(bound) + 1),
        ("maximum", highs, math.floor),
        ("exclusiveMaximum", highs, lambda bound: math.ceil(bound) - 1),
    ):
        bound = schema.get(keyword)
        # In draft 4 the exclusive ones are booleans, and the bound beside them is wide enough.
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            continue
        if math.isfinite(bound):
            bounds.append(to_whole(bound))
    return Whole(max(lows, default=None), min(highs, default=None))


def listed(schema: dict[str, Any]) -> Shape:
    """Give what `enum` and `const` say."""
    one = shape_of_values([schema["const"]]) if "const" in schema else ANYTHING
    return meet(one, shape_of_values(schema["enum"])) if "enum" in schema else one


def shape_of_values(values: list[Any]) -> Shape:
    """Give the shape of values that are known one by one."""
    values = [value for value in values if value is not None]
    types = set(map(type, values))
    if not types:
        return NULL
    if types == {str}:
        return Choice(tuple(dict.fromkeys(values)))
    if types == {bool}:
        return BOOLEAN
    if types <= {int, float}:
        whole = all(value == value // 1 for value in values)
        return Whole(int(min(values)), int(max(values))) if whole else REAL
    return JSON


def meet(one: Shape, other: Shape) -> Shape:
    """Give the shape of values that have both shapes."""
    if one == other or isinstance(other, Anything):
        return one
    match one, other:
        case Anything(), _:
            return other
        case (Null(), _) | (_, Null()):
            return NULL
        case Object(), Object():
            properties = {**one.properties, **other.properties}
            for name in one.properties.keys() & other.properties.keys():
                properties[name] = meet(one.properties[name], other.properties[name])
            return Object(properties, one.certain or other.certain)
        case Array(), Array():
            return Array(meet(one.items, other.items), one.certain or other.certain)
        case Whole(), Whole():
            lows, highs = (one.lowest, other.lowest), (one.highest, other.highest)
            return Whole(
                max((low for low in lows if low is not None), default=None),
                min((high for high in highs if high is not None), default=None),
            )
        case Choice(), Choice():
            return Choice(tuple(value for value in one.values if value in other.values))
    return narrower(one, other)


def narrower(one: Shape, other: Shape) -> Shape:
    """Give the plain values among two shapes that are within the other, or Json."""
    for narrow, wide in ((one, other), (other, one)):
        match narrow, wide:
            case (Choice(), Text()) | (Whole(), Real()):
                return narrow
            case ((Text() | Choice() | Boolean() | Whole() | Real()), Json()):
                return narrow
    return JSON


def join(one: Shape, other: Shape) -> Shape:
    """Give the shape of values that have either shape."""
    if one == other or isinstance(other, Null):
        return one
    match one, other:
        case Null(), _:
            return other
        case (Anything(), _) | (_, Anything()):
            return ANYTHING
        case Whole(), Whole():
            return Whole(
                None if one.lowest is None or other.lowest is None
                else min(one.lowest, other.lowest),
                None if one.highest is None or other.highest is None
                else max(one.highest, other.highest),
            )  # fmt: skip
        case Choice(), Choice():
            return Choice(tuple(dict.fromkeys(one.values + other.values)))
        case (Text(), Choice()) | (Choice(), Text()):
            return TEXT
        case (Real(), Whole()) | (Whole(), Real()):
            return REAL
    return JSON


def has_places_of(whole: Shape, part: Shape) -> bool:
    """Whether every property of `part` has its place in `whole`."""
    match whole, part:
        case Object(), Object():
            return all(
                name in whole.properties and has_places_of(whole.properties[name], inner)
                for name, inner in part.properties.items()
            )
        case Array(), Array():
            return has_places_of(whole.items, part.items)
    return True


def settled(shape: Shape) -> Shape:
    """Put Json wherever the shape has no type of its own after all."""
    match shape:
        case Anything() | Null():
            return JSON
        case Whole() if limits(shape) is None:
            return JSON
        case Object(properties, certain):
            inner = {name: settled(one) for name, one in properties.items()}
            return Object(inner, certain) if inner else JSON
        case Array(items, certain):
            return Array(settled(items), certain)
    return shape


def limits(whole: Whole) -> tuple[int, int] | None:
    """Give the range of the 64-bit type for whole numbers, or None where their bounds exceed it.

    Signed, unless both bounds ask for more than that and for nothing below zero.
    """
    low, high = whole.lowest, whole.highest
    if all(bound is None or SIGNED[0] <= bound <= SIGNED[1] for bound in (low, high)):
        return SIGNED
    if low is not None and high is not None and low >= 0 and high <= UNSIGNED[1]:
        return UNSIGNED
    return None
