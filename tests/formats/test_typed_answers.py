"""Typed columns: any JSON that fits the schema comes back from Parquet as the same typed value."""

from __future__ import annotations

import io
import json
from typing import NamedTuple

import jsonschema_rs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valar_batch.core.answer_schema import AnswerReader, AnswerSchema
from valar_batch.core.template import json_text
from valar_batch.formats.typed import AnswerColumn

CHOICE = pa.dictionary(pa.int32(), pa.string())
JSON = {b"valar_batch": b"json"}


class Case(NamedTuple):
    """A schema, the field that it must become, and what fits it."""

    schema: dict
    field: pa.Field
    instances: st.SearchStrategy


def item(kind, metadata=None) -> pa.Field:
    return pa.field("item", kind, metadata=metadata)


TEXTS = st.text(max_size=8)
NAMES = st.text("abcXYZ_ .é$/~%", max_size=4)
INT64 = st.integers(-(2**63), 2**63 - 1)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | DOUBLES | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


def plain(schema, kind, instances):
    return st.just(Case(schema, item(kind), instances))


def as_json(schema, instances):
    return st.just(Case(schema, item(pa.string(), JSON), instances))


@st.composite
def choices(draw):
    values = draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
    more = draw(st.sampled_from([{}, {"type": "string"}]))
    return Case({**more, "enum": values}, item(CHOICE), st.sampled_from(values))


@st.composite
def unsigned(draw):
    highest = draw(st.integers(2**63, 2**64 - 1))
    schema = {"type": "integer", "minimum": 0, "maximum": highest}
    return Case(schema, item(pa.uint64()), st.integers(0, highest))


LEAVES = st.one_of(
    plain({"type": "string"}, pa.string(), TEXTS),
    plain({"type": "string", "format": "date"}, pa.string(), st.dates().map(str)),
    plain({"type": "boolean"}, pa.bool_(), st.booleans()),
    plain({"type": "integer"}, pa.int64(), INT64),
    plain({"type": "integer", "minimum": 1, "maximum": 9}, pa.int64(), st.integers(1, 9)),
    plain({"enum": [3, 7]}, pa.int64(), st.sampled_from([3, 7])),
    plain({"const": True}, pa.bool_(), st.booleans().filter(bool)),
    plain({"type": "number"}, pa.float64(), DOUBLES | st.integers(-(2**53), 2**53)),
    plain({"type": "number"}, pa.float64(), st.integers(0, 10).map(lambda n: 2**60 + 2**9 * n)),
    choices(),
    unsigned(),
    as_json({"not": {"const": "never"}}, ANY_JSON),
    as_json({"type": "object"}, st.dictionaries(TEXTS, ANY_JSON, max_size=2)),
    as_json(
        {"type": "object", "additionalProperties": {"type": "integer"}},
        st.dictionaries(TEXTS, st.integers(), max_size=3),
    ),
    as_json({"type": ["string", "integer"]}, TEXTS | st.integers()),
    as_json({"enum": [1, "a", None]}, st.sampled_from([1, "a", None])),
    as_json({"type": "integer", "minimum": -(2**80)}, st.integers(-(2**80))),
    as_json(
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        st.tuples(TEXTS, st.integers()).map(list),
    ),
)


@st.composite
def nullables(draw, inner):
    case = draw(inner)
    schema = draw(
        st.sampled_from(
            [
                {"anyOf": [case.schema, {"type": "null"}]},
                {"oneOf": [{"type": "null"}, case.schema]}
                if not jsonschema_rs.is_valid(case.schema, None)
                else {"anyOf": [{"type": "null"}, case.schema]},
            ]
        )
    )
    return case._replace(schema=schema, instances=st.none() | case.instances)


@st.composite
def arrays(draw, inner):
    case = draw(inner)
    schema = {"type": "array", "items": case.schema}
    return Case(schema, item(pa.list_(case.field)), st.lists(case.instances, max_size=3))


@st.composite
def objects(draw, inner):
    cases = draw(st.dictionaries(NAMES, inner, min_size=1, max_size=4))
    required = draw(st.lists(st.sampled_from(list(cases)), unique=True))
    schema = {
        "type": "object",
        "properties": {name: case.schema for name, case in cases.items()},
        "required": required,
        **draw(st.sampled_from([{}, {"additionalProperties": False}])),
    }
    if draw(st.booleans()):
        schema = split(schema)
    kind = pa.struct([case.field.with_name(name) for name, case in cases.items()])
    instances = st.fixed_dictionaries(
        {name: case.instances for name, case in cases.items() if name in required},
        optional={name: case.instances for name, case in cases.items() if name not in required},
    )
    return Case(schema, item(kind), instances)


def split(schema):
    """Say the same in two schemas that both must hold."""
    properties = list(schema["properties"].items())
    half = len(properties) // 2
    return {
        "allOf": [
            {"type": "object", "properties": dict(properties[:half])},
            {"type": "object", "properties": dict(properties[half:])},
        ],
        "required": schema["required"],
    }


CASES = st.recursive(
    LEAVES, lambda inner: nullables(inner) | arrays(inner) | objects(inner), max_leaves=8
)


@st.composite
def with_references(draw):
    """Give a case whose inner schemas stand in `$defs`."""
    case = draw(CASES)
    definitions: dict[str, dict] = {}
    place = draw(st.sampled_from(["$defs", "definitions"]))

    def moved(schema):
        inside = {
            keyword: {name: moved(one) for name, one in value.items()}
            if keyword == "properties"
            else moved(value)
            if keyword == "items"
            else [moved(one) for one in value]
            if keyword in ("anyOf", "oneOf", "allOf")
            else value
            for keyword, value in schema.items()
        }
        if not draw(st.booleans()):
            return inside
        name = f"d/{len(definitions)}"
        definitions[name] = inside
        return {"$ref": f"#/{place}/{name.replace('/', '~1')}"}

    schema = moved(case.schema)
    return case._replace(schema={**schema, place: definitions})


def expected(value, field: pa.Field):
    """Give a value as Parquet must give it back; JSON text is given parsed."""
    if value is None or field.metadata == JSON:
        return value
    if pa.types.is_struct(field.type):
        return {one.name: expected(value.get(one.name), one) for one in field.type}
    if pa.types.is_list(field.type):
        return [expected(one, field.type.value_field) for one in value]
    return float(value) if pa.types.is_floating(field.type) else value


def parsed(value, field: pa.Field):
    """Parse the JSON texts in a value of a column."""
    if value is None:
        return None
    if field.metadata == JSON:
        return json.loads(value)
    if pa.types.is_struct(field.type):
        return {one.name: parsed(value[one.name], one) for one in field.type}
    if pa.types.is_list(field.type):
        return [parsed(one, field.type.value_field) for one in value]
    return value


def same_types(one, other) -> bool:
    """Tell True from 1 and 1 from 1.0, which Python compares as equal."""
    return json.dumps(one) == json.dumps(other)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_fits_the_schema_comes_back_from_parquet(data) -> None:
    """Any JSON that fits is the same typed value in Parquet; absent and null are both null."""
    case = data.draw(with_references())
    answers = data.draw(st.lists(st.none() | case.instances, min_size=1, max_size=4))
    column = AnswerColumn(case.schema)
    assert column.field("item").equals(case.field, check_metadata=True)
    reader = AnswerReader(AnswerSchema("n", case.schema))
    values = []
    for answer in answers:
        if answer is None:
            values.append(None)
            continue
        value, error = reader.read(json.dumps(answer))
        assert error is None
        assert column.check(value) is None
        values.append(value)
    written = pa.schema([column.field("output")])
    stream = io.BytesIO()
    with pq.ParquetWriter(stream, written) as file:
        for part in (values[:1], values[1:]):
            file.write_batch(pa.record_batch([column.array(part)], schema=written))
    table = pq.read_table(stream)
    read = table.column(0).to_pylist()
    found = [parsed(value, case.field) for value in read]
    wanted = [expected(answer, case.field) for answer in answers]
    assert found == wanted
    assert same_types(found, wanted)


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "mood": {"enum": ["good", "bad"]},
        "friends": {
            "type": "array",
            "items": {"type": "object", "properties": {"mood": {"enum": ["new", "old"]}}},
        },
        "more": {},
    },
}


@pytest.mark.parametrize("writer", [pa.ipc.new_file, pa.ipc.new_stream])
def test_a_choice_has_one_dictionary_in_every_batch(writer) -> None:
    """Batches with other values, or none, share the dictionary of the schema, nested ones too."""
    column = AnswerColumn(PERSON)
    parts = [
        [{"name": "A", "mood": "bad", "friends": [{"mood": "old"}, None]}],
        [None, {}],
        [{"mood": "good", "friends": [{"mood": "new"}]}],
    ]
    written = pa.schema([column.field("output")])
    sink = pa.BufferOutputStream()
    with writer(sink, written) as file:
        for part in parts:
            file.write_batch(pa.record_batch([column.array(part)], schema=written))
    is_file = writer is pa.ipc.new_file
    reader = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(sink.getvalue())
    table = reader.read_all()
    chunks = table.column(0).chunks
    assert [chunk.field("mood").dictionary.to_pylist() for chunk in chunks] == [["good", "bad"]] * 3
    nothing = {"name": None, "mood": None, "friends": None, "more": None}
    assert table.column(0).to_pylist() == [
        {**nothing, "name": "A", "mood": "bad", "friends": [{"mood": "old"}, None]},
        None,
        nothing,
        {**nothing, "mood": "good", "friends": [{"mood": "new"}]},
    ]


def test_top_level_properties_are_columns_of_their_own() -> None:
    """The fields of an answer are those of its struct, in the schema's order."""
    column = AnswerColumn(PERSON)
    fields = column.fields()
    assert [name for name, _ in fields] == ["name", "mood", "friends", "more"]
    assert [field.type for _, field in fields] == [one.type for one in column.type]
    assert fields[3][1].field("more").metadata == JSON
    arrays = column.array([{"name": "A", "mood": "bad", "more": [1.50]}, None]).flatten()
    assert [array.to_pylist() for array in arrays] == [
        ["A", None],
        ["bad", None],
        [None, None],
        ["[1.5]", None],
    ]
    assert arrays[1].type == CHOICE
    mood = [None if value is None else value["mood"] for value in ({"mood": "bad"}, None)]
    assert fields[1][1].array(mood).to_pylist() == ["bad", None]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "array", "items": PERSON},
        {"type": "object"},
        {**PERSON, "additionalProperties": True},
    ],
)
def test_an_answer_without_known_properties_has_no_fields(schema) -> None:
    """What is no struct cannot be laid out flat."""
    assert AnswerColumn(schema).fields() == []


def test_keys_that_the_schema_is_silent_about_are_left_out() -> None:
    """A struct has the schema's properties; a stray key stays in the answer's text alone."""
    column = AnswerColumn({"type": "object", "properties": {"a": {"type": "integer"}}})
    value = {"a": 1, "b": 2}
    assert (column.check(value), column.array([value]).to_pylist()) == (None, [{"a": 1}])


@pytest.mark.parametrize(
    ("schema", "text", "error"),
    [
        ({"type": "integer"}, "9223372036854775807", None),
        ({"type": "integer"}, "9223372036854775808", ": 64 bits cannot hold 9223372036854775808"),
        ({"type": "integer"}, "1e3", None),
        ({"type": "integer"}, "1e30", ": 64 bits cannot hold 1e30"),
        ({"type": "number"}, "9007199254740993", ": a double cannot hold 9007199254740993"),
        ({"type": "number"}, "9007199254740992", None),
        ({"type": "number"}, "1e400", ": a double cannot hold 1e400"),
        ({"type": "number"}, "1" * 400, f": a double cannot hold {'1' * 60}…"),
        (
            {"type": "object", "properties": {"a": {"items": {"type": "integer"}}}},
            '{"a": [1, 2, 18446744073709551615]}',
            " at a.2: 64 bits cannot hold 18446744073709551615",
        ),
        (
            {"properties": {"a": {"properties": {"b": {}}}}},
            '{"a": [1]}',
            " at a: [1] is an array, not an object",
        ),
        ({"items": {"type": "string"}}, '"x"', ": 'x' is a string, not an array"),
    ],
)
def test_what_a_column_cannot_hold_is_said(schema, text, error) -> None:
    """A value that fits the schema and not the type is neither lost nor changed: it is told of."""
    value, unread = AnswerReader(AnswerSchema("n", schema)).read(text)
    assert unread is None
    column = AnswerColumn(schema)
    assert column.check(value) == (error and f"answer does not fit its column{error}")
    if error is None:
        assert column.array([value]).to_pylist() == [json.loads(text)]


def test_json_text_has_its_numbers_as_they_were() -> None:
    """What has no type is written with the numbers of the answer."""
    schema = {"type": "object", "properties": {"a": {}, "n": {"type": "number"}}}
    text = '{"a":{"x":1.10,"y":123456789012345678901234567890},"n":2.50}'
    value, _ = AnswerReader(AnswerSchema("n", schema)).read(text)
    assert AnswerColumn(schema).array([value]).to_pylist() == [
        {"a": '{"x":1.10,"y":123456789012345678901234567890}', "n": 2.5}
    ]
    assert json_text(value) == text
