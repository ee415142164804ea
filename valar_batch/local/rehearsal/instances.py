"""Instances of a JSON Schema: values that fit it, always the same for the same draw.

What a schema asks for is met as well as is sensible for a rehearsal, and then checked; what cannot
be met is said to be so.
"""

from __future__ import annotations

import contextlib
import math
import re
from functools import lru_cache
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any

import msgspec

from valar_batch.core.answer_schema import compiled
from valar_batch.core.json_schema import referred
from valar_batch.core.template import json_text
from valar_batch.errors import UsageError
from valar_batch.local.rehearsal.draws import Draws
from valar_batch.local.rehearsal.merging import merged, types_of
from valar_batch.local.rehearsal.patterns import Pattern, TooHard
from valar_batch.local.rehearsal.scalars import (
    BOUNDS,
    NoNumber,
    fitting_number,
    fitting_string,
    fitting_whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

TRIES = 8
"""How many instances are made before a schema is given up; the later half is as small as it can."""
MOST_PLACES = 2_000
"""How many values one instance may take; a schema may refer to itself."""
SHALLOW, DEEPEST = 4, 40
"""Below the first, nothing is made that need not be; below the second, nothing at all."""
MOST_MORE = 3
"""How many items an array has beyond what it must, at most."""


FAMILIES: Mapping[str, frozenset[str]] = {
    "object": frozenset(
        {"properties", "required", "additionalProperties", "patternProperties", "minProperties"}
    ),
    "array": frozenset({"items", "prefixItems", "minItems", "contains"}),
    "string": frozenset({"pattern", "format", "minLength", "maxLength"}),
    "number": frozenset({*BOUNDS, "multipleOf"}),
}
"""The type that is meant where none is stated, by the keywords that are there."""
TYPES: Mapping[str, type | tuple[type, ...]] = {
    "null": NoneType,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "string": str,
    "array": list,
    "object": dict,
}
COMBINING = frozenset({"$ref", "allOf", "anyOf", "oneOf", "if", "then", "else"})


class Unfit(Exception):
    """No instance could be made."""


# What is a keyword in one draft may in another have any value at all.
NOT_MADE = (Unfit, NoNumber, RecursionError, AttributeError, LookupError, TypeError, ValueError)


class Instances:
    """The instances of one schema. Raises UsageError for what is no schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._validator = compiled(schema, formats=True)

    def text(self, seed: bytes) -> str | None:
        """Give the JSON of an instance, or None where none was found."""
        for attempt in range(TRIES):
            draws = Draws(bytes([attempt]) + seed)
            making = Making(self._schema, draws, spare=attempt >= TRIES // 2)
            with contextlib.suppress(*NOT_MADE):
                value = making.value(self._schema, 0)
                if self._validator.is_valid(value):
                    return json_text(value)
        return None


@lru_cache(maxsize=256)
def instances_of(schema: str) -> Instances | None:
    """Give the instances of a schema from its JSON; None where it is none, or has no instance."""
    try:
        instances = Instances(msgspec.json.decode(schema))
    except UsageError:
        return None
    return instances if instances.text(b"") is not None else None


class Making:
    """The making of one instance. `spare`: leave out whatever may be left out."""

    def __init__(self, document: dict[str, Any], draws: Draws, *, spare: bool) -> None:
        self._document = document
        self._draws = draws
        self._spare = spare
        self._left = MOST_PLACES

    def value(self, schema: Any, depth: int) -> Any:
        """Make a value. Raises Unfit."""
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            raise Unfit
        flat = self._flat(schema, depth)
        if "const" in flat:
            return flat["const"]
        if "enum" in flat:
            return self._draws.one_of(listed(flat))
        match self._type(flat, depth):
            case "object":
                return self._object(flat, depth + 1)
            case "array":
                return self._array(flat, depth + 1)
            case "integer":
                return fitting_whole(flat, self._draws)
            case "number":
                return fitting_number(flat, self._draws)
            case "boolean":
                return bool(self._draws.below(2))
            case "null":
                return None
        return fitting_string(flat, self._draws, spread=16 if self._spare else 0)

    def _flat(self, schema: Any, depth: int) -> dict[str, Any]:
        """Give a schema without references and combinations: one branch of each is drawn."""
        if isinstance(schema, dict) and COMBINING.isdisjoint(schema):
            return schema
        flat: dict[str, Any] = {}
        waiting = [schema]
        for _ in range(MOST_PLACES):
            if not waiting:
                return flat
            part = waiting.pop()
            if part is False:
                raise Unfit
            if part is True:
                continue
            flat = merged(flat, {name: v for name, v in part.items() if name not in COMBINING})
            waiting += part.get("allOf", ())
            waiting += (
                self._branch(part[keyword], depth)
                for keyword in ("anyOf", "oneOf")
                if keyword in part
            )
            if "$ref" in part:
                waiting.append(self._referred(part["$ref"]))
            if "if" in part and not self._spare and self._draws.below(2):
                waiting += (part["if"], part.get("then", True))
            elif "if" in part:
                waiting.append(part.get("else", True))
        raise Unfit

    def _referred(self, reference: str) -> Any:
        try:
            return referred(self._document, reference)
        except LookupError:
            raise Unfit from None

    def _branch(self, branches: list[Any], depth: int) -> Any:
        """Draw a branch; one that ends soonest, where that is called for."""
        if depth < SHALLOW and not self._spare:
            return self._draws.one_of(branches)
        for levels in range(SHALLOW):
            for branch in branches:
                if self._ends(branch, levels):
                    return branch
        return branches[0]

    def _ends(self, schema: Any, levels: int) -> bool:
        """Whether an instance can do with so many levels below its own."""
        if not isinstance(schema, dict):
            return schema is not False
        if levels < 0:
            return False
        properties, items = schema.get("properties", {}), schema.get("items")
        inner = [properties[name] for name in schema.get("required", ()) if name in properties]
        inner += [items] if schema.get("minItems") and isinstance(items, dict) else []
        inner += [self._referred(schema["$ref"])] if "$ref" in schema else []
        branches = [schema[keyword] for keyword in ("anyOf", "oneOf") if keyword in schema]
        return (
            all(self._ends(one, levels) for one in schema.get("allOf", ()))
            and all(self._ends(one, levels - 1) for one in inner)
            and all(any(self._ends(one, levels) for one in several) for several in branches)
        )

    def _type(self, flat: Mapping[str, Any], depth: int) -> str:
        """Choose a type: the one that is stated, or that the keywords are about."""
        if "type" not in flat:
            return next((name for name, words in FAMILIES.items() if words & flat.keys()), "string")
        names = types_of(flat["type"])
        if not names:
            raise Unfit
        if len(names) == 1:
            return names[0]
        plain = [name for name in names if name not in ("object", "array")]
        if plain and (self._spare or depth > SHALLOW):
            return plain[0]
        # Null is there to be rare.
        others = [name for name in names if name != "null"]
        return self._draws.one_of(others if others and self._draws.below(4) else names)

    def _array(self, flat: Mapping[str, Any], depth: int) -> list[Any]:
        heads = flat.get("prefixItems", [])
        rest = flat.get("items", True)
        if isinstance(rest, list):
            heads, rest = rest, flat.get("additionalItems", True)
        least, most = flat.get("minItems", 0), flat.get("maxItems", math.inf)
        inside = flat.get("minContains", 1) if "contains" in flat else 0
        wanted = max(least, len(heads), inside)
        if not self._spare and depth <= SHALLOW and rest is not False and "items" in flat:
            wanted = max(wanted, 1) + self._draws.below(MOST_MORE)
        wanted = int(min(wanted, most))
        made: dict[str, Any] = {}
        for tried in range(wanted * TRIES):
            if len(made) == wanted:
                break
            place = len(made)
            item = heads[place] if place < len(heads) else rest
            if place < inside:
                item = {"allOf": [item, flat["contains"]]}
            value = self.value(item, depth)
            made.setdefault(json_text(value) if flat.get("uniqueItems") else str(tried), value)
        if len(made) < least:
            raise Unfit
        return list(made.values())

    def _object(self, flat: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = {n: one for n, one in flat.get("properties", {}).items() if one is not False}
        required = list(flat.get("required", ()))
        least, most = flat.get("minProperties", 0), flat.get("maxProperties", math.inf)
        generous = not self._spare and depth <= SHALLOW
        optional = [name for name in properties if name not in required]
        wanted = [name for name in optional if generous and self._draws.below(4)]
        spared = (name for name in optional if name not in wanted)
        wanted += islice(spared, int(max(0, least - len(required) - len(wanted))))
        if most < math.inf:
            wanted = wanted[: max(0, int(most) - len(required))]
        for name in (*required, *wanted):
            required += flat.get("dependentRequired", {}).get(name, ())
        chosen = dict.fromkeys(
            [name for name in properties if name in wanted or name in required] + required
        )
        others = flat.get("patternProperties") or flat.get("additionalProperties", True)
        more = 1 + self._draws.below(2) if generous and isinstance(others, dict) else 0
        goal = min(most, max(least, len(chosen) + more))
        if goal > self._left:
            raise Unfit
        for number in range(int(goal) + TRIES):
            if len(chosen) >= goal or others is False:
                break
            chosen.setdefault(self._name(flat, number, depth))
        return {
            name: self.value(properties.get(name, other_schema(flat, name)), depth)
            for name in chosen
        }

    def _name(self, flat: Mapping[str, Any], number: int, depth: int) -> str:
        """Give a name for a property that is not among those the schema names."""
        for pattern in flat.get("patternProperties", {}):
            with contextlib.suppress(TooHard):
                return Pattern(pattern, self._draws.below, MOST_MORE).write()
        if "propertyNames" in flat:
            return str(self.value({"type": "string", "allOf": [flat["propertyNames"]]}, depth))
        return f"key_{number + 1}"


def other_schema(flat: Mapping[str, Any], name: str) -> Any:
    """Give the schema of a property that is not among those the schema names."""
    for pattern, schema in flat.get("patternProperties", {}).items():
        with contextlib.suppress(re.error):
            if re.search(pattern, name):
                return schema
    return flat.get("additionalProperties", True)


def listed(flat: Mapping[str, Any]) -> list[Any]:
    """Give the values of `enum` that have the stated type. Raises Unfit where there are none."""
    names = types_of(flat.get("type", [])) or list(TYPES)
    values = [v for v in flat["enum"] if any(isinstance(v, TYPES[n]) for n in names)]
    if not values:
        raise Unfit
    return values
