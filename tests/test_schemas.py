"""Schemas come from files, from modules and from Python values; what is none is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

import pydantic
import pytest
from typing_extensions import TypedDict

from valar_batch.core.answer_schema import AnswerSchema
from valar_batch.errors import UsageError
from valar_batch.schemas import schema_from, schema_of

SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}}

MODULE = """
import dataclasses, typing
import pydantic

print("imported")

class Label(pydantic.BaseModel):
    label: str

class Inside:
    Model = Label

@dataclasses.dataclass
class Point:
    label: str

PLAIN = {"type": "object", "properties": {"label": {"type": "string"}}}
WRAPPED = {"name": "own", "schema": PLAIN, "strict": False}
COLOURS = typing.Literal["red", "blue"]
NUMBER = 5
MODEL = Label(label="x")
"""
LABEL = {**SCHEMA, "required": ["label"]}


def bare(schema):
    """Give a schema without the titles that pydantic adds."""
    if isinstance(schema, dict):
        return {name: bare(one) for name, one in schema.items() if name != "title"}
    return [bare(one) for one in schema] if isinstance(schema, list) else schema


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with modules that no other test has."""
    monkeypatch.chdir(tmp_path)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.startswith("own_"):
            del sys.modules[name]


def test_a_file_is_found_beside_the_recipe(folder) -> None:
    """A path counts from the folder that is given, and the file's name names the schema."""
    inner = folder / "recipes"
    inner.mkdir()
    (inner / "my label.json").write_text("\ufeff" + json.dumps(SCHEMA))
    taken = AnswerSchema("my_label", SCHEMA)
    assert schema_from("my label.json", inner) == taken
    assert schema_from("recipes/my label.json", folder) == taken
    assert schema_from(str(inner / "my label.json"), folder) == taken


def test_a_file_that_is_there_wins(folder) -> None:
    """A file is taken even where its name looks like a module's."""
    (folder / "own_models:Label").write_text(json.dumps(SCHEMA))
    assert schema_from("own_models:Label", folder).schema == SCHEMA


@pytest.mark.parametrize(
    ("path", "name", "schema"),
    [
        ("Label", "Label", LABEL),
        ("Inside.Model", "Label", LABEL),
        ("Point", "Point", LABEL),
        ("PLAIN", "PLAIN", SCHEMA),
        ("COLOURS", "COLOURS", {"type": "string", "enum": ["red", "blue"]}),
    ],
)
def test_models_come_from_modules(folder, capsys, path, name, schema) -> None:
    """A model, a dataclass, a type or a dict in a module of the current folder is the schema."""
    package = folder / "own_package"
    package.mkdir()
    (package / "models.py").write_text(MODULE)
    before = list(sys.path)
    taken = schema_from(f"own_package.models:{path}", folder / "elsewhere")
    assert (taken.name, bare(taken.schema), taken.strict) == (name, schema, True)
    assert sys.path == before
    # What a module prints must not come among the data of a command.
    assert capsys.readouterr() == ("", "imported\n")


def test_a_module_beside_the_recipe(folder) -> None:
    """A recipe brings its models with it, wherever the command is given."""
    (folder / "recipes").mkdir()
    (folder / "recipes" / "own_beside.py").write_text(MODULE)
    assert schema_from("own_beside:Label", folder / "recipes").name == "Label"


def test_a_wrapper_in_a_module_keeps_its_say(folder) -> None:
    """A dict may be the whole of text.format."""
    (folder / "own_models.py").write_text(MODULE)
    assert schema_from("own_models:WRAPPED", folder) == AnswerSchema("own", SCHEMA, strict=False)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("none.json", "there is no schema file none.json", "package.module:Model"),
        ("C:\\x.json", "there is no schema file C:\\x.json", "package.module:Model"),
        ("own_models.Label", "there is no schema file own_models.Label", "package.module:Model"),
        (".", ". cannot be read: Is a directory", ""),
        ("bad.json", "bad.json is not JSON: Expecting value (line 2, column 6)", ""),
        ("latin.json", "latin.json is not JSON: 'utf-8' codec can't decode byte 0xe9", ""),
        ("list.json", "a schema is a JSON object, not [1]", ""),
        ("own_nowhere:Label", "there is no module own_nowhere", "it is looked for in"),
        ("own_nowhere.models:Label", "there is no module own_nowhere", "it is looked for in"),
        ("own_models:Lable", "there is no Lable in own_models", "did you mean Label"),
        ("own_models:Label.x", "there is no x in own_models.Label", "it has"),
        ("own_models:NUMBER", "NUMBER is an int, not a schema or a type", "a pydantic model"),
        ("own_models:MODEL", "MODEL is a Label, not a schema or a type", "a pydantic model"),
        ("own_models:typing", "typing is a module, not a schema or a type", "a pydantic model"),
        ("own_needy:Label", "own_needy imports own_absent, which is not", "install own_absent"),
        (
            "own_broken:Label",
            "importing own_broken failed: ValueError: no luck (own_broken.py, line 3)",
            "python -c",
        ),
        ("own_exit:Label", "importing own_exit failed: SystemExit: 3 (own_exit.py", "python -c"),
        ("own_syntax:Label", "importing own_syntax failed: invalid syntax (own_syntax.py", ""),
    ],
)
def test_what_gives_no_schema_is_refused(folder, text, message, hint) -> None:
    """Each way of going wrong is told by its cause, with what to do."""
    (folder / "bad.json").write_text('{\n"a": x}')
    (folder / "latin.json").write_bytes('{"title": "é"}'.encode("latin-1"))
    (folder / "list.json").write_text("[1]")
    (folder / "own_models.py").write_text(MODULE)
    (folder / "own_needy.py").write_text("import own_absent")
    (folder / "own_broken.py").write_text("def f():\n    pass\nraise ValueError('no luck')")
    (folder / "own_exit.py").write_text("raise SystemExit(3)")
    (folder / "own_syntax.py").write_text("x = = 1")
    with pytest.raises(UsageError) as refused:
        schema_from(text, folder)
    assert refused.value.message.startswith(message)
    assert hint in refused.value.hint


class Label(pydantic.BaseModel):
    """A model of pydantic."""

    label: str


class Typed(TypedDict):
    """A dict with known keys."""

    label: str


@dataclass
class Point:
    """A dataclass."""

    label: str


class Opaque:
    """What has no schema."""


@pytest.mark.parametrize(
    ("value", "name"), [(Label, "Label"), (Typed, "Typed"), (Point, "Point"), (LABEL, "answer")]
)
def test_python_values_are_schemas(value, name) -> None:
    """Python users give the class or the dict itself."""
    taken = schema_of(value)
    assert taken.name == name
    assert {**bare(taken.schema), "description": ""} == {**LABEL, "description": ""}
    assert schema_of(taken) is taken


def test_a_dict_is_copied() -> None:
    """What the caller does to the dict afterwards changes nothing."""
    mine = {"type": "array", "items": {"enum": ("a", "b")}}
    taken = schema_of(mine)
    mine["type"] = "object"
    assert taken.schema == {"type": "array", "items": {"enum": ["a", "b"]}}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "answer is a str, not a schema or a type"),
        (None, "answer is a NoneType, not a schema or a type"),
        (Opaque, "Opaque does not become a JSON Schema: Unable to generate"),
        ({"enum": [Opaque]}, "answer is not JSON: Object of type type is not"),
        ({"maximum": float("nan")}, "answer is not JSON: Out of range float"),
    ],
)
def test_python_values_that_are_none_are_refused(value, message) -> None:
    """A value that no schema can be made of says what it is."""
    with pytest.raises(UsageError) as refused:
        schema_of(value)
    assert refused.value.message.startswith(message)
