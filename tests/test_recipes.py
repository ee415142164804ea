"""Recipes: a TOML file, what is given beside it, and the files that both name."""

from __future__ import annotations

import json

import pytest

from valar_batch.core.recipe import Recipe
from valar_batch.errors import UsageError
from valar_batch.recipes import NAMES, make_recipe

TOOL = {"type": "function", "name": "lookup", "parameters": {"type": "object"}}
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}}
FULL = """
model = "m"
prompt = "@prompt.txt"
system = "Be brief."
id = "key"
schema = "answer.json"
tools = "tools.json"
image = "photo"
window = "flex"
max-output-tokens = 200
temperature = 1
top_p = 0.5
reasoning_effort = "low"
null = ""
fix = true

[set]
prompt_cache_key = "k"
"metadata.team" = "support"

[set.metadata]
stage = "test"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a recipe and the files that it names, and another one to stand in."""
    place = tmp_path / "recipes"
    place.mkdir()
    (place / "full.toml").write_text(FULL)
    (place / "prompt.txt").write_text("Say {{ a }}\n\n")
    (place / "answer.json").write_text(json.dumps(SCHEMA))
    (place / "tools.json").write_text(json.dumps([TOOL]))
    (place / "deep.json").write_text("[" * 100_000)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return place


def test_a_recipe_names_every_field(folder) -> None:
    """Each field has its place; files are looked for beside the recipe."""
    recipe = make_recipe(folder / "full.toml")
    assert recipe.answer is not None
    assert (recipe.answer.name, recipe.answer.schema) == ("answer", SCHEMA)
    assert recipe == Recipe(
        model="m",
        prompt="Say {{ a }}\n",
        system="Be brief.",
        id_column="key",
        max_output_tokens=200,
        temperature=1,
        top_p=0.5,
        reasoning_effort="low",
        window="flex",
        null_text="",
        answer=recipe.answer,
        tools=(TOOL,),
        images=("photo",),
        settings=(
            ("prompt_cache_key", "k"),
            ("metadata.team", "support"),
            ("metadata", {"stage": "test"}),
        ),
        fix=True,
    )
    metadata = recipe.fields()["metadata"]
    assert metadata == {"completion_window": "flex", "team": "support", "stage": "test"}


def test_what_is_given_wins(folder, tmp_path) -> None:
    """Keywords replace the file's fields, `set` adds to it; their files are in this folder."""
    (tmp_path / "elsewhere" / "prompt.txt").write_text("here")
    recipe = make_recipe(
        folder / "full.toml",
        prompt="@prompt.txt",
        model="other",
        temperature=0.0,
        image=["a", "b"],
        window=None,
        tools=[],
        set={"metadata.team": "sales", "metadata": {"who": "me"}},
    )
    assert (recipe.model, recipe.prompt, recipe.temperature) == ("other", "here", 0.0)
    assert (recipe.images, recipe.window, recipe.tools) == (("a", "b"), "flex", ())
    assert recipe.fields()["metadata"] == {
        "completion_window": "flex", "team": "sales", "stage": "test", "who": "me",
    }  # fmt: skip


def test_what_is_given_wins_over_the_set_of_the_file() -> None:
    """A field that a recipe sets by its path gives way to the option of that field."""
    fields = {
        "model": "m",
        "max_output_tokens": 5,
        "reasoning.effort": "low",
        "metadata": {"completion_window": "flex", "team": "a"},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
    }
    recipe = make_recipe(
        {"set": fields},
        model="other",
        max_output_tokens=9,
        reasoning_effort="high",
        window="standard",
        schema=SCHEMA,
    )
    assert recipe.answer is not None
    assert recipe.fields() == {
        "model": "other",
        "max_output_tokens": 9,
        "reasoning": {"effort": "high"},
        "metadata": {"completion_window": "standard", "team": "a"},
        "text": {"format": recipe.answer.text_format(), "verbosity": "low"},
    }
    assert make_recipe({"set": fields}).fields()["model"] == "m"


def test_a_mapping_is_a_recipe_too(folder) -> None:
    """In Python the fields may come as they are; nothing given is changed."""
    given = {"model": "m", "max-output-tokens": 5, "set": {"metadata": {"a": "b"}}}
    recipe = make_recipe(given, set={"metadata.c": "d"})
    assert recipe.fields() == {
        "model": "m", "max_output_tokens": 5, "metadata": {"a": "b", "c": "d"},
    }  # fmt: skip
    assert given["set"] == {"metadata": {"a": "b"}}
    assert make_recipe() == Recipe()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("modl = 1", "there is no field 'modl' in a recipe", ", ".join(NAMES)),
        ("model = 1", "model: Expected `str`, got `int`", ""),
        ("max_output_tokens = 1.5", "max_output_tokens: Expected `int`, got `float`", ""),
        ("image = [1]", "image: Expected `str`, got `int`", ""),
        ("set = 1", "set: Expected `object`, got `int`", ""),
        ("model = ", "this is not TOML: Invalid value (at end of document)", "a recipe has lines"),
        (
            "prompt = '@no.txt'",
            "prompt @no.txt: No such file or directory",
            "text that begins with @",
        ),
        ("schema = 3", "schema: answer is an int, not a schema or a type", "give a pydantic"),
        ("schema = 'no.json'", "schema: there is no schema file no.json", "give a file"),
        ("tools = 'no.json'", "No such file or directory", "check the path"),
        ("tools = 'prompt.txt'", "prompt.txt: this is not JSON", "as in [{"),
        ("tools = 'deep.json'", "deep.json: this is not JSON: maximum recursion depth", "as in [{"),
        ("tools = [1]", "the tools are no array of objects", "as in [{"),
    ],
)
def test_a_recipe_that_cannot_be(folder, text, message, hint) -> None:
    """The file and the field are named, and what would do."""
    path = folder / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        make_recipe(path)
    assert message in error.value.message
    assert "bad.toml" in error.value.message or "recipes" in error.value.message
    assert hint.split(" ")[0] in error.value.hint


def test_a_recipe_that_is_not_there(folder) -> None:
    """A missing recipe is named as what it is."""
    with pytest.raises(UsageError, match=r"--recipe no\.toml: No such file or directory"):
        make_recipe("no.toml")
