"""Which columns an output has, in which order and under which names."""

import json

import pyarrow as pa
import pyarrow.ipc
import pytest

from valar_batch.core.outcome import OPTIONAL, Outcome
from valar_batch.errors import UsageError
from valar_batch.formats.layout import Choice, layout_of
from valar_batch.formats.targets import Form, Target
from valar_batch.formats.typed import AnswerColumn
from valar_batch.formats.writers import open_output

USUAL = [name for name in Outcome._fields if name not in OPTIONAL]
ANSWERS = AnswerColumn(
    {
        "type": "object",
        "properties": {"label": {"type": "string"}, "status": {"type": "integer"}},
        "required": ["label", "status"],
        "additionalProperties": False,
    }
)
TEXTS = pa.schema([("review", pa.string()), ("n", pa.string())])
LINES = pa.array([b'{"review": "a", "n":1.10}', b'{"n":null}', None], pa.large_binary())
ROWS = pa.StructArray.from_arrays(
    [pa.array(["a", None, "c"]), pa.array(["1.10", "2", ""])], fields=list(TEXTS)
)
OUTCOMES = [
    Outcome("r-1", "completed", "{}", {"label": "x", "status": 7}),
    Outcome("r-2", "completed", "?", error="the answer is not JSON"),
    Outcome("r-3", "failed", error="no"),
]


ALL = Choice()


def names(*input_names: str, choice: Choice = ALL, **more: object) -> list[str]:
    schema = pa.schema([(name, pa.string()) for name in input_names])
    return layout_of(schema, choice, **more).schema.names


def test_names_avoid_the_input() -> None:
    """A column that the input has already is written as valar_<name>, again where need be."""
    changed = {"status": "valar_status", "model": "valar_valar_model"}
    given = ["status", "model", "valar_model", "review"]
    assert names(*given) == given + [changed.get(name, name) for name in USUAL]


def test_optional_columns_are_there_where_they_were_asked_for() -> None:
    """A schema, tools, logprobs and --keep-response each add their column, in its place."""
    assert names("a", optional=["logprobs"])[1:5] == [
        "custom_id",
        "status",
        "output_text",
        "logprobs",
    ]
    whole = names(
        "a", optional=["tool_calls", "logprobs"], answer=ANSWERS, choice=Choice(keep_response=True)
    )
    assert whole == ["a", *Outcome._fields]
    assert names("output", "response", answer=ANSWERS, choice=Choice(keep_response=True)) == [
        "output", "response",
        *({"output": "valar_output", "response": "valar_response"}.get(n, n)
          for n in Outcome._fields if n not in ("tool_calls", "logprobs")),
    ]  # fmt: skip


def test_an_own_custom_id_is_not_repeated() -> None:
    """A finished request's custom_id is the outcome's."""
    assert names("custom_id", "params", custom_id_is_input=True) == [
        "custom_id",
        "params",
        *USUAL[1:],
    ]


def test_flattened_answers_take_names_that_are_free() -> None:
    """Each property is a column in the place of output; a name in use becomes output_<name>."""
    got = names("label", "review", answer=ANSWERS, choice=Choice(flatten=True))
    assert got[:7] == [
        "label", "review", "custom_id", "status", "output_text", "output_label", "output_status",
    ]  # fmt: skip
    assert "output" not in got


@pytest.mark.parametrize(
    ("choice", "more", "message"),
    [
        (Choice(("x", "status", "y")), {}, "--columns: there is no column 'x', 'y'"),
        (Choice(("output",)), {}, "--columns: there is no column 'output'"),
        (Choice(flatten=True), {}, "--flatten: the answers of this run have no schema"),
        (
            Choice(flatten=True),
            {"answer": AnswerColumn({"type": "array", "items": {"type": "string"}})},
            "--flatten: the schema is not of an object with properties",
        ),
    ],
)
def test_choices_that_cannot_be(choice: Choice, more: dict, message: str) -> None:
    """What an output cannot have is refused in words."""
    with pytest.raises(UsageError) as error:
        names("a", choice=choice, **more)
    assert error.value.message == message
    assert error.value.hint


ANSWER = b'{"label":"x","status":7}'
CHOSEN = Choice(("status", "n", "output", "response", "review"))


def test_chosen_columns_of_json_lines() -> None:
    """Values stay as they stand in the line; what a line lacks is left out, or null in Arrow."""
    layout = layout_of(TEXTS, CHOSEN, answer=ANSWERS)
    assert list(layout.objects(LINES, layout.held(OUTCOMES, Form.JSON))) == [
        b'{"status":"completed","n":1.10,"output":%b,"response":null,"review":"a"}' % ANSWER,
        b'{"status":"completed","n":null,"output":null,"response":null}',
        b'{"status":"failed","output":null,"response":null}',
    ]
    held = layout.held(OUTCOMES, Form.TEXT)
    texts = [column.to_pylist() for column in layout.texts(LINES, held)]
    assert texts[1] == ["1.10", None, None]
    assert texts[2] == ['{"label":"x","status":7}', None, None]
    only = layout_of(TEXTS, Choice(("review",)))
    arrays = only.arrays(LINES, only.held(OUTCOMES))
    assert [array.to_pylist() for array in arrays] == [["a", None, None]]


def test_chosen_columns_of_rows() -> None:
    """Columns that are not chosen are not touched; none of the input's may be chosen at all."""
    layout = layout_of(TEXTS, CHOSEN, answer=ANSWERS)
    rows = list(map(json.loads, layout.objects(ROWS, layout.held(OUTCOMES, Form.JSON))))
    held = layout.held(OUTCOMES, Form.TEXT)
    assert [(row["n"], row["review"]) for row in rows] == [("1.10", "a"), ("2", None), ("", "c")]
    assert [column.to_pylist() for column in layout.texts(ROWS, held)][1] == ["1.10", "2", ""]
    arrays = layout.arrays(ROWS, layout.held(OUTCOMES))
    assert arrays[4].to_pylist() == ["a", None, "c"]
    only = layout_of(TEXTS, Choice(("status",)))
    held = only.held(OUTCOMES)
    for kept in (ROWS, LINES):
        assert only.arrays(kept, held)[0].to_pylist() == ["completed", "completed", "failed"]
        assert list(only.objects(kept, held))[2] == b'{"status":"failed"}'


def test_flattened_values() -> None:
    """The properties of each answer, null where there is none."""
    layout = layout_of(TEXTS, Choice(("label", "output_status"), flatten=True), answer=ANSWERS)
    assert list(layout.objects(LINES, layout.held(OUTCOMES, Form.JSON))) == [
        b'{"label":"x","output_status":7}',
        b'{"label":null,"output_status":null}',
        b'{"label":null,"output_status":null}',
    ]
    held = layout.held(OUTCOMES, Form.TEXT)
    assert layout.texts(LINES, held)[0].to_pylist() == ["x", None, None]


def test_an_arrow_file_has_one_dictionary_for_a_column(tmp_path) -> None:
    """Dictionaries that differ from part to part become one; nested ones become plain."""
    nested = pa.list_(pa.dictionary(pa.int8(), pa.string()))
    kind = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema([("kind", kind), ("kinds", nested)])
    kept = [
        pa.StructArray.from_arrays(
            [pa.array(values), pa.array([values] * len(values))], names=["kind", "kinds"]
        )
        for values in (["a", None], ["b", "a"], ["c", "c"])
    ]
    layout = layout_of(schema, Choice(("status", "kinds", "kind"))).with_one_dictionary_each(kept)
    target = Target(tmp_path / "out.arrow", "arrow", "zstd", 2)
    with open_output(target, layout, provenance={}) as writer:
        for rows in kept:
            writer.write(rows, layout.held(OUTCOMES[:2]))
    with pa.ipc.open_file(target.path) as file:
        assert file.num_record_batches == 3
        table = file.read_all()
    assert table.schema.types == [pa.string(), pa.list_(pa.string()), kind]
    assert table["kind"].to_pylist() == ["a", None, "b", "a", "c", "c"]
    assert table["kinds"].to_pylist()[2] == ["b", "a"]
