"""Rehearsal answers by a schema: they fit it, and are always the same."""

import json

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valar_batch.local.rehearsal.instances import instances_of

SEEDS = [n.to_bytes(16) for n in range(40)]

FITTING = {
    "types": {"type": ["object", "array", "string", "number", "boolean", "null"]},
    "nothing is said": {},
    "enum": {"type": "string", "enum": ["a", "b", None]},
    "const": {"const": {"a": [1, 2.5]}},
    "object": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}, "c": False},
        "required": ["b", "more"],
    },
    "no type": {"properties": {"a": {"items": {"minimum": 3}}}, "required": ["a"]},
    "array": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
    "array of at most one": {"type": "array", "items": {"type": "string"}, "maxItems": 1},
    "unique items": {"items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3},
    "unique short items": {
        "type": "array",
        "items": {"type": "string", "maxLength": 3},
        "uniqueItems": True,
        "minItems": 3,
    },
    "tuple": {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": False,
        "minItems": 2,
    },
    "tuple of draft 7": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "array",
        "items": [{"type": "string"}, {"type": "integer"}],
        "additionalItems": {"type": "boolean"},
        "minItems": 3,
    },
    "contains": {"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 500}},
    "lengths": {"type": "string", "minLength": 40, "maxLength": 42},
    "short text": {"type": "string", "maxLength": 2},
    "whole numbers": {"type": "integer", "exclusiveMinimum": 3, "maximum": 5},
    "large whole numbers": {"type": "integer", "minimum": 2**70, "maximum": 2**70 + 3},
    "below zero": {"type": "integer", "maximum": -5},
    "multiples": {"type": "integer", "multipleOf": 7, "minimum": -20, "maximum": -10},
    "whole multiples of a fraction": {"type": "integer", "multipleOf": 1.5, "minimum": 1},
    "numbers": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
    "one number": {"type": "number", "minimum": 0.5, "maximum": 0.5},
    "one number below zero": {"type": "number", "minimum": -0.25, "maximum": -0.25},
    "narrow numbers": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e-6},
    "cents": {"type": "number", "multipleOf": 0.01, "minimum": 0.01, "maximum": 9.99},
    "exclusive bounds of draft 4": {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "integer",
        "minimum": 0,
        "exclusiveMinimum": True,
        "maximum": 2,
        "exclusiveMaximum": True,
    },
    "any of": {"anyOf": [{"type": "string"}, {"type": "integer"}], "title": "x"},
    "one of": {"oneOf": [{"multipleOf": 3, "type": "integer"}, {"multipleOf": 5, "minimum": 1}]},
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {
                "type": "object",
                "properties": {"a": {"maxLength": 4}, "b": {"type": "number"}},
                "required": ["b"],
            },
        ]
    },
    "all of numbers": {
        "allOf": [{"type": "number", "minimum": 2}, {"type": "integer", "maximum": 4}]
    },
    "all of enums": {"allOf": [{"enum": [1, 2, 3]}, {"enum": [3, 4]}]},
    "conditions": {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b"]}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "a"}}},
        "then": {"properties": {"x": {"type": "integer"}}, "required": ["x"]},
        "else": {"properties": {"y": {"type": "string"}}, "required": ["y"]},
    },
    "nullable": {"type": ["string", "null"]},
    "references": {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"items": {"$ref": "#/$defs/b"}, "minItems": 1}, "b": {"type": "boolean"}},
    },
    "recursion": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "children": {"type": "array", "items": {"$ref": "#"}},
            "parent": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        },
        "required": ["name", "children", "parent"],
    },
    "recursion with one way out": {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#/$defs/node"}},
                        "required": ["left", "right"],
                        "additionalProperties": False,
                    },
                    {"$ref": "#/$defs/leaf"},
                ]
            },
            "leaf": {"type": "integer"},
        },
    },
    "free keys": {"type": "object", "additionalProperties": {"type": "integer"}},
    "many free keys": {"type": "object", "minProperties": 4},
    "named free keys": {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z]{3}$"},
        "additionalProperties": {"type": "boolean"},
        "minProperties": 2,
    },
    "pattern keys": {
        "type": "object",
        "patternProperties": {"^x_[a-z]+$": {"type": "string"}},
        "additionalProperties": False,
        "minProperties": 2,
    },
    "few keys": {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in "abcdef"},
        "required": ["f"],
        "maxProperties": 2,
    },
    "enough keys": {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in "abcdef"},
        "additionalProperties": False,
        "minProperties": 6,
    },
    "dependent keys": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "dependentRequired": {"a": ["b"]},
    },
}


def fits(schema, value):
    return jsonschema_rs.validator_for(schema, validate_formats=True).is_valid(value)


def texts_of(schema):
    instances = instances_of(json.dumps(schema))
    assert instances is not None
    return [instances.text(seed) for seed in SEEDS]


@pytest.mark.parametrize("name", FITTING)
def test_instances_fit_their_schema(name):
    """Each keyword is met, and the same seed gives the same instance."""
    schema = FITTING[name]
    texts = texts_of(schema)
    assert all(fits(schema, json.loads(text)) for text in texts)
    assert texts == texts_of(schema)


@pytest.mark.parametrize(
    "text_format",
    [
        "date", "time", "date-time", "duration", "email", "idn-email", "hostname", "idn-hostname",
        "ipv4", "ipv6", "uri", "uri-reference", "uri-template", "iri", "iri-reference", "uuid",
        "json-pointer", "relative-json-pointer", "regex",
    ],
)  # fmt: skip
def test_strings_have_their_format(text_format):
    """Every format of JSON Schema is written as it should be, and more than once."""
    schema = {"type": "string", "format": text_format}
    texts = texts_of(schema)
    assert all(fits(schema, json.loads(text)) for text in texts)
    assert len(set(texts)) > 5


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Z]{2}-\d{4}$",
        r"^(\+\d{1,3})?[ -]?(foo|ba[rz]){2,}$",
        r"\S+@\S+\.\w{2,4}",
        r"^(?:a|b)*?c+$",
        r"^(?<year>\d{4})/\D\W\s$",
        r"^[^a-z]\.[\]\-x]\x41\u0042$",
        r"^[a-c-]{3,5}\b$",
        r"^.{8,}$",
        r"^$",
        r"^\{\}$",
        "^é[α-ω]$",
    ],
)
def test_strings_match_their_pattern(pattern):
    """The simple expressions that schemas have are matched."""
    schema = {"type": "string", "pattern": pattern}
    assert all(fits(schema, json.loads(text)) for text in texts_of(schema))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^(?=x)(?!x)"},
        {"type": "string", "pattern": "^(x)\\1y\\pL("},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"$ref": "#"},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"not": {}},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
        {"type": "strin"},
        {"$ref": "http://example.com/a.json"},
        {"enum": []},
        {"type": "string", "minLength": 10**12},
        {"$schema": "http://json-schema.org/draft-07/schema#", "items": {}, "prefixItems": 5},
        {"type": "array", "minItems": 10**12},
        {"type": "object", "minProperties": 10**12},
        {"minProperties": 1e300, "additionalProperties": {"type": "string"}},
        {"type": "string", "pattern": "^a{1000000000000}$"},
    ],
)
def test_what_has_no_instance_is_known(schema):
    """A schema that no value fits, or that is none, is told from the others at once."""
    assert instances_of(json.dumps(schema)) is None


def test_plain_strings_are_marked():
    """Where nothing else is asked of a string, it says that it is a rehearsal."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert all(json.loads(text)["a"].startswith("[rehearsal] ") for text in texts_of(schema))
    assert set(texts_of({"type": "string", "maxLength": 6})) == {'"[rehea"'}


def test_optional_properties_are_left_out_now_and_then():
    """Some instances have an optional property, and some have not."""
    texts = texts_of({"type": "object", "properties": {"a": {"type": "integer"}}})
    assert {"a" in json.loads(text) for text in texts} == {True, False}


LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "minLength": 20, "maxLength": 30},
        {"type": "integer", "minimum": -5, "maximum": 5},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": ["a", 1, None]},
        {"type": "string", "format": "date"},
    ]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda items, least: {"type": "array", "items": items, "minItems": least},
            inner,
            st.integers(0, 2),
        ),
        st.builds(
            lambda properties, share: {
                "type": "object",
                "properties": properties,
                "required": list(properties)[: int(len(properties) * share)],
                "additionalProperties": False,
            },
            st.dictionaries(st.text(max_size=3), inner, max_size=3),
            st.floats(0, 1),
        ),
        st.builds(lambda branches: {"anyOf": branches}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda one: {"$defs": {"a": one}, "allOf": [one]}, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schema=SCHEMAS, seed=st.binary(min_size=16, max_size=16))
def test_any_sensible_schema_has_an_instance(schema, seed):
    """Whatever is nested in what, an instance is found at the first seed, and it fits."""
    instances = instances_of(json.dumps(schema))
    assert instances is not None
    assert fits(schema, json.loads(instances.text(seed)))
