"""Reading JSON Schema documents: the schemas in them, and what a `$ref` points to.

Source: JSON Schema 2020-12 and the drafts before it, back to draft 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_OBJECTS = (
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
    "dependencies",
)
"""Keywords whose value is an object of schemas."""
IN_ARRAYS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
"""Keywords whose value is an array of schemas; `items` is one before 2020-12."""
ALONE = (
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
"""Keywords whose value is a schema."""


def schemas_in(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk the document and every schema in it, each with its dotted path.

    What only looks like a schema, as in `enum`, `const` or `default`, is not one.
    """
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        path, schema = waiting.pop()
        if not isinstance(schema, dict):
            continue
        yield path.removeprefix("."), schema
        waiting += ((f"{path}.{keyword}", schema.get(keyword)) for keyword in ALONE)
        for keyword in IN_ARRAYS:
            inner = schema.get(keyword)
            if isinstance(inner, list):
                waiting += ((f"{path}.{keyword}.{n}", one) for n, one in enumerate(inner))
        for keyword in IN_OBJECTS:
            inner = schema.get(keyword)
            if isinstance(inner, dict):
                waiting += ((f"{path}.{keyword}.{name}", one) for name, one in inner.items())


def referred(document: dict[str, Any], reference: str) -> Any:
    """Give what `#` or `#/a/JSON/pointer` points to in the document (RFC 6901).

    Raises LookupError where that is nothing, and for every other form of reference.
    """
    pointer = unquote(reference.removeprefix("#"))
    if not reference.startswith("#") or (pointer and not pointer.startswith("/")):
        raise LookupError(reference)
    place: Any = document
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(place, dict):
            place = place[name]
        elif isinstance(place, list) and name.isdecimal():
            place = place[int(name)]
        else:
            raise LookupError(reference)
    return place
