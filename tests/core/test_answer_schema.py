"""A schema is taken or refused before anything is sent; an answer is read by it or says why not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valar_batch.core.answer_schema import AnswerReader, AnswerSchema, read_schema
from valar_batch.core.recipe import Recipe, Renderer, Source
from valar_batch.core.template import json_text
from valar_batch.errors import UsageError

REVIEW = {
    "type": "object",
    "properties": {
        "label": {"enum": ["good", "bad"]},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"price": {"type": "number"}, "note": {"type": ["string", "null"]}},
            },
        },
        "maker": {
            "anyOf": [
                {"type": "object", "properties": {"name": {"type": "string"}}},
                {"type": "null"},
            ]
        },
    },
    "required": ["label"],
}
READER = AnswerReader(AnswerSchema("review", REVIEW))
ANYTHING = AnswerReader(AnswerSchema("anything", {"not": {"const": "never"}}))


@pytest.mark.parametrize(
    ("document", "schema"),
    [
        (REVIEW, AnswerSchema("given", REVIEW)),
        ({"name": "review", "schema": REVIEW}, AnswerSchema("review", REVIEW)),
        (
            {"name": "a b/ü", "schema": REVIEW, "strict": False, "description": "It."},
            AnswerSchema("a_b_", REVIEW, strict=False, description="It."),
        ),
        (
            {"type": "json_schema", "name": "review", "schema": REVIEW, "strict": True},
            AnswerSchema("review", REVIEW),
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "review", "schema": REVIEW}},
            AnswerSchema("review", REVIEW),
        ),
        ({"json_schema": {"schema": REVIEW}}, AnswerSchema("given", REVIEW)),
        ({"name": "n" * 99, "schema": REVIEW}, AnswerSchema("n" * 64, REVIEW)),
        ({"name": "日本", "schema": REVIEW}, AnswerSchema("answer", REVIEW)),
        (
            {"type": "object", "properties": {"schema": {"type": "string"}}},
            AnswerSchema("given", {"type": "object", "properties": {"schema": {"type": "string"}}}),
        ),
        (
            {"type": "object", "properties": {"$ref": {"type": "string"}}, "enum": [{"$ref": "x"}]},
            AnswerSchema(
                "given",
                {
                    "type": "object",
                    "properties": {"$ref": {"type": "string"}},
                    "enum": [{"$ref": "x"}],
                },
            ),
        ),
    ],
)
def test_schemas_are_taken_bare_and_wrapped(document, schema) -> None:
    """A JSON Schema may stand alone or in any of the wrappers that requests have."""
    assert read_schema(document, "given") == schema


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("x", "a schema is a JSON object, not 'x'"),
        (True, "a schema is a JSON object, not True"),
        ({"schema": []}, "a schema is a JSON object, not []"),
        ({}, "the schema says nothing of the answer: it has no keywords at all"),
        ({"label": "good"}, "the schema says nothing of the answer: it has label"),
        (
            {"properties": {"a": {"minimum": "x"}}},
            'this is not a valid JSON Schema at properties.a.minimum: "x" is not of type "number"',
        ),
        (
            {"items": {"$ref": "http://example.com/a.json"}},
            "the schema refers to 'http://example.com/a.json' at items: nothing is fetched",
        ),
        (
            {"$ref": "other.json#/$defs/a"},
            "the schema refers to 'other.json#/$defs/a' at its root: nothing is fetched",
        ),
        (
            {"properties": {"a": {"$ref": "#/$defs/a"}}},
            "this is not a valid JSON Schema: Pointer '/$defs/a' does not exist",
        ),
        (
            {"$schema": "http://example.com/own", "type": "object"},
            "this is not a valid JSON Schema: Unknown meta-schema: 'http://example.com/own'",
        ),
        (
            {"type": "string", "pattern": "("},
            'this is not a valid JSON Schema at pattern: "(" is not a "regex"',
        ),
    ],
)
def test_what_cannot_be_used_is_refused(document, message) -> None:
    """A schema that is none, or that needs the network, is refused by the place that is wrong."""
    with pytest.raises(UsageError) as refused:
        read_schema(document, "given")
    assert refused.value.message.startswith(message)
    assert refused.value.hint


def test_the_schema_is_sent_as_it_was_given() -> None:
    """`text.format` has the schema in its own order, strict unless it says otherwise."""
    recipe = Recipe(model="m", prompt="x", answer=AnswerSchema("n", {"type": "string"}))
    params = Renderer(recipe, Source.TEMPLATE).params({})
    assert params == (
        b'{"model":"m","input":"x","text":{"format":{"type":"json_schema","name":"n",'
        b'"schema":{"type":"string"},"strict":true}}}'
    )
    loose = AnswerSchema("n", {"type": "string"}, strict=False, description="d")
    assert loose.text_format() == {
        "type": "json_schema",
        "name": "n",
        "description": "d",
        "schema": {"type": "string"},
        "strict": False,
    }


GOOD = '{"label": "good"}'
X = "x"
LABELS = '"good" or "bad"'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"\ufeff\n  {GOOD}\r\n",
        f"```json\n{GOOD}\n```",
        f"```\r\n{GOOD}\r\n```\r\n",
        f"~~~ json\n{GOOD}\n~~~",
        f"````json\n{GOOD}\n`````",
        f"Here you are:\n\n  ```JSON\n  {GOOD}\n  ```\n\nAnything else?",
        f"```json\n{GOOD}",
        '```json\n{\n\n  "label":\n"good"}\n\n```',
    ],
)
def test_json_is_seen_through_a_fence(text) -> None:
    """A lone code fence, white space and a byte order mark do not hide an answer."""
    assert READER.read(text) == ({"label": "good"}, None)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, "answer is empty"),
        (" \n", "answer is empty"),
        ("I cannot say.", "answer is not JSON: expecting value at character 1"),
        ('  {"label": good}', "answer is not JSON: expecting value at character 13"),
        ('{"label": "good', "answer is not JSON: unterminated string at character 11"),
        ('{"label": "good"', "answer is not JSON: expecting ',' delimiter at character 17"),
        ('{"label": "go\nod"}', "answer is not JSON: invalid control character at character 14"),
        (f"{GOOD} and so on", "answer is not JSON: extra data at character 19"),
        ('So:\n```\n{"label": good}\n```', "answer is not JSON: expecting value at character 19"),
        (f"```\n{GOOD}\n```\n```\n{GOOD}\n```", "answer is not JSON: it has 2 code blocks"),
        (
            '{"label": "good", "x": 1, "x": 1}',
            "answer is not JSON: the key 'x' occurs twice in an object",
        ),
        ('{"label": "good", "x": NaN}', "answer is not JSON: NaN is no number of JSON"),
        ('{"label": "good", "x": -Infinity}', "answer is not JSON: -Infinity is no number of JSON"),
        ('"\\ud800"', "answer is not JSON: an escape is half of a surrogate pair"),
        ("[" * 5_000, "answer is not JSON: it is nested too deeply"),
        ("9" * 5_000, "answer is not JSON: a number has too many digits"),
        ("{}", 'answer breaks the schema: "label" is a required property'),
        (
            '{"label": "nice"}',
            f'answer breaks the schema at label: "nice" is not one of {LABELS}',
        ),
        (
            '{"label": "good", "items": [{}, {"price": 1.50}, {"price": "x"}]}',
            'answer breaks the schema at items.2.price: "x" is not of type "number"',
        ),
        (
            '{"label": "good", "maker": {"name": 5}}',
            'answer breaks the schema at maker.name: 5 is not of type "string"',
        ),
        (
            '{"label": "good", "maker": 5}',
            'answer breaks the schema at maker: 5 is not of type "object"; 5 is not of type "null"',
        ),
        (
            json.dumps({"label": X * 500}),
            f'answer breaks the schema at label: "{X * 119} … {X * 89}" is not one of {LABELS}',
        ),
    ],
)
def test_an_answer_that_cannot_be_read_says_where(text, error) -> None:
    """One line says what is wrong with an answer and where, in the text or in its value."""
    assert READER.read(text) == (None, error)


@pytest.mark.parametrize(
    "text",
    ["12.50", "1e5", "-0.0", "1E400", "123456789012345678901234567890", '[1.0,{"a":2.10}]'],
)
def test_numbers_stay_as_the_model_wrote_them(text) -> None:
    """A number is written again as it stood in the answer, whatever its size."""
    value, error = ANYTHING.read(text)
    assert (json_text(value), error) == (text, None)


@pytest.mark.parametrize(
    ("schema", "text", "fits"),
    [
        ({"type": "number", "maximum": 5}, "4.50", True),
        ({"type": "number", "maximum": 5}, "5.10", False),
        ({"type": "number"}, "1e400", True),
        ({"type": "string"}, "1e400", False),
        ({"type": "integer"}, "1.0", True),
        ({"type": "array", "uniqueItems": True}, "[1.50, 1.5]", False),
        ({"type": "integer", "maximum": 2**70}, str(2**71), False),
        ({"enum": [1.1]}, "1.10", True),
        # A format is an annotation, as in JSON Schema 2020-12.
        ({"type": "string", "format": "date-time"}, '"2026-01-01T10:00"', True),
    ],
)
def test_exact_numbers_are_validated_by_their_value(schema, text, fits) -> None:
    """How a number is written does not change whether it fits."""
    _, error = AnswerReader(AnswerSchema("n", schema)).read(text)
    assert (error is None) is fits


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)
@given(value=JSON_VALUES, indent=st.sampled_from([None, 0, 2]), fenced=st.booleans())
def test_any_json_is_read_as_its_value(value, indent, fenced) -> None:
    """Every JSON text gives its value, in a fence or not, however it is laid out."""
    text = json.dumps(value, indent=indent)
    read, error = ANYTHING.read(f"Well:\n```json\n{text}\n```" if fenced else text)
    assert error is None
    assert read == value
    assert json.loads(json_text(read)) == value
