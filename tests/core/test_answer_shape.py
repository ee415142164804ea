"""The shape of answers follows from what a schema says together and as alternatives."""

from __future__ import annotations

import pytest

from valar_batch.core.answer_shape import (
    BOOLEAN,
    JSON,
    REAL,
    TEXT,
    Array,
    Choice,
    Object,
    Whole,
    shape_of,
)

COLOURS = {"enum": ["red", "blue"]}
A_TEXT = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "shape"),
    [
        ({"type": "string", "format": "date"}, TEXT),
        ({"type": ["boolean", "null"]}, BOOLEAN),
        ({"type": "number"}, REAL),
        ({"type": ["integer", "number"]}, REAL),
        ({"type": "array", "items": {"type": "string"}}, Array(TEXT)),
        ({"type": "array"}, Array(JSON)),
        (A_TEXT, Object({"a": TEXT})),
        # Without a type, something else may stand here, and is checked for.
        ({"properties": {"a": {"type": "string"}}}, Object({"a": TEXT}, certain=False)),
        ({"items": {"type": "string"}}, Array(TEXT, certain=False)),
        # Whole numbers and their bounds.
        ({"type": "integer"}, Whole()),
        ({"type": "integer", "exclusiveMinimum": 0, "maximum": 9.5}, Whole(1, 9)),
        ({"type": "integer", "minimum": 0, "exclusiveMaximum": 2**64}, Whole(0, 2**64 - 1)),
        ({"type": "integer", "minimum": 0, "maximum": 2**64}, JSON),
        ({"type": "integer", "minimum": -1, "maximum": 2**63}, JSON),
        ({"type": "integer", "minimum": 2**63}, JSON),
        ({"type": "integer", "maximum": 2**63}, JSON),
        ({"type": "integer", "minimum": -(10**30)}, JSON),
        # Values that are known one by one.
        (COLOURS, Choice(("red", "blue"))),
        ({"type": ["string", "null"], "enum": ["red", None]}, Choice(("red",))),
        ({"const": "red"}, Choice(("red",))),
        ({"enum": [1, 5, 3.0]}, Whole(1, 5)),
        ({"enum": [1, 2.5]}, REAL),
        ({"enum": [True, False]}, BOOLEAN),
        ({"enum": [1, "a"]}, JSON),
        ({"enum": [1, True]}, JSON),
        ({"enum": [{"a": 1}]}, JSON),
        ({"enum": [None]}, JSON),
        # Alternatives.
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, TEXT),
        ({"oneOf": [{"const": "red"}, {"const": "blue"}]}, Choice(("red", "blue"))),
        ({"anyOf": [COLOURS, {"type": "string"}]}, TEXT),
        ({"anyOf": [{"type": "integer", "minimum": 0}, {"enum": [-3]}]}, Whole(-3, None)),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, JSON),
        ({"anyOf": [A_TEXT, {"type": "object", "properties": {"b": {}}}]}, JSON),
        ({"anyOf": [{"type": "string"}, {}]}, JSON),
        ({**A_TEXT, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, Object({"a": TEXT})),
        # What is said together.
        (
            {"allOf": [A_TEXT, {"properties": {"a": COLOURS, "b": {"type": "number"}}}]},
            Object({"a": Choice(("red", "blue")), "b": REAL}),
        ),
        ({"allOf": [COLOURS, {"enum": ["blue", "green"]}]}, Choice(("blue",))),
        ({"allOf": [{"type": "number"}, {"type": "integer"}]}, Whole()),
        ({"type": "string", "anyOf": [{"type": "string"}, {"type": "integer"}]}, TEXT),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, JSON),
        # Objects that are held as JSON.
        ({"type": "object"}, JSON),
        ({"type": "object", "properties": {}}, JSON),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, JSON),
        ({**A_TEXT, "additionalProperties": True}, JSON),
        ({**A_TEXT, "patternProperties": {"^x": {}}}, JSON),
        ({**A_TEXT, "additionalProperties": False}, Object({"a": TEXT})),
        ({"type": "object", "properties": {"a": {}, "b": False}}, Object({"a": JSON, "b": JSON})),
        # Arrays that are.
        ({"type": "array", "prefixItems": [{"type": "string"}]}, JSON),
        ({"type": "array", "items": [{"type": "string"}]}, JSON),
        # Conditions may narrow what has its place, and bring nothing new.
        (
            {
                **A_TEXT,
                "if": {"properties": {"a": {"const": "x"}}},
                "then": {"properties": {"a": {"maxLength": 3}}},
            },
            Object({"a": TEXT}),
        ),
        ({**A_TEXT, "if": {}, "then": {"properties": {"b": {"type": "string"}}}}, JSON),
        ({**A_TEXT, "dependentSchemas": {"a": {"required": ["b"]}}}, Object({"a": TEXT})),
        ({**A_TEXT, "dependentSchemas": {"a": {"properties": {"b": {}}}}}, JSON),
        ({**A_TEXT, "dependentRequired": {"a": ["b"]}}, Object({"a": TEXT})),
    ],
)
def test_shapes(schema, shape) -> None:
    """Each way of saying what a value is has its shape."""
    assert shape_of(schema) == shape


NODE = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
    },
}


@pytest.mark.parametrize(
    ("schema", "shape"),
    [
        (
            {"$ref": "#/definitions/a~1b%25", "definitions": {"a/b%": {"type": "string"}}},
            TEXT,
        ),
        ({"$ref": "#/$defs/c", "$defs": {"c": COLOURS}}, Choice(("red", "blue"))),
        # Recursion is JSON from where it comes round.
        (
            {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
            Object({"name": TEXT, "children": Array(JSON)}),
        ),
        ({"$ref": "#"}, JSON),
        ({"$dynamicRef": "#node", "$defs": {"n": {"$dynamicAnchor": "node"}}}, JSON),
        ({"$ref": "#anchor", "$defs": {"a": {"$anchor": "anchor", "type": "string"}}}, JSON),
        # Beside a reference, draft 7 reads nothing.
        (
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "properties": {"a": {"$ref": "#/definitions/a", "enum": ["x"]}},
                "definitions": {"a": {"type": "string"}},
            },
            Object({"a": TEXT}, certain=False),
        ),
        # Inside an embedded document, "#" is that document.
        (
            {
                "properties": {"a": {"$ref": "#/$defs/a"}},
                "$defs": {
                    "a": {"type": "string"},
                    "b": {"$id": "b", "$defs": {"a": {"type": "integer"}}},
                },
            },
            Object({"a": JSON}, certain=False),
        ),
    ],
)
def test_references_are_followed(schema, shape) -> None:
    """A reference stands for what it points to, up to where that is itself again."""
    assert shape_of(schema) == shape


def test_a_schema_that_unfolds_without_end_stays_small() -> None:
    """References that double at each step end in JSON, not in millions of places."""
    steps = {
        f"step{n}": {
            "type": "object",
            "properties": {side: {"$ref": f"#/$defs/step{n + 1}"} for side in ("left", "right")},
        }
        for n in range(30)
    }
    definitions = {**steps, "step30": {"type": "string"}}

    def places(shape) -> int:
        return sum(map(places, shape.properties.values())) if isinstance(shape, Object) else 1

    assert places(shape_of({"$ref": "#/$defs/step0", "$defs": definitions})) <= 10_000
