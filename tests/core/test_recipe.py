"""A row becomes the exact bytes of a request, or problems that say what to do."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valar_batch.core.answer_schema import AnswerSchema
from valar_batch.core.problems import Problem
from valar_batch.core.recipe import Recipe, Source, source_for
from valar_batch.core.renderer import Renderer, RowRefused
from valar_batch.core.template import decode_json
from valar_batch.errors import UsageError


def template(prompt: str, **more: object) -> Renderer:
    return Renderer(Recipe(model="m", prompt=prompt, **more), Source.TEMPLATE)


def problems_of(renderer: Renderer, row: dict) -> list[Problem]:
    with pytest.raises(RowRefused) as refused:
        renderer.params(row)
    return refused.value.problems


def test_every_parameter_is_at_its_place() -> None:
    """The body has the model, the input and just what was asked for."""
    recipe = Recipe(
        model="m",
        prompt="Rate {{ a }}",
        system="You rate {{ b }}.",
        max_output_tokens=5,
        temperature=0.5,
        top_p=0.9,
        reasoning_effort="low",
        window="flex",
        settings=(("metadata.tag", "x"), ("text.format.type", "text"), ("user", "me")),
    )
    params = Renderer(recipe, Source.TEMPLATE).params({"a": "tea", "b": "drinks"})
    assert params == (
        b'{"model":"m","input":[{"role":"system","content":"You rate drinks."},'
        b'{"role":"user","content":"Rate tea"}],"max_output_tokens":5,"temperature":0.5,'
        b'"top_p":0.9,"reasoning":{"effort":"low"},'
        b'"metadata":{"completion_window":"flex","tag":"x"},'
        b'"text":{"format":{"type":"text"}},"user":"me"}'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.10", "1.10"),
        ("1e5", "1e5"),
        ("-0.0", "-0.0"),
        ("100", "100"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("true", "true"),
        ("false", "false"),
        ('"<b> & \\"q\\" \\n é 漢 \\ud83d\\ude00"', '<b> & "q" \n é 漢 😀'),
        ('[1.10, null, {"a": true}]', '[1.10,null,{"a":true}]'),
        ("{}", "{}"),
    ],
)
def test_values_render_as_they_stand(value: str, text: str) -> None:
    """A value of JSON is written into the prompt as it stood in the input, unescaped."""
    row = decode_json('{"v": ' + value + "}")
    assert json.loads(template("[{{ v }}]").params(row))["input"] == f"[{text}]"
    branch = "{% if v is defined %}{{ v }}{% endif %}"
    assert json.loads(template(branch).params(row))["input"] == text


def test_numbers_keep_their_text_and_still_compare() -> None:
    """Plain paths write numbers as they stand, side by side; elsewhere numbers are numbers."""
    row = decode_json('{"stars": 5, "price": 5.0, "item": {"weight": 2.50, "n": 1e3}}')
    prompt = (
        "{{ stars }} {{price}} {{- item.weight }} {{ item.n }} {{ item }}"
        "{% if price < 6 and stars == 5 %} cheap{% endif %}"
    )
    text = '5 5.02.50 1e3 {"weight":2.50,"n":1e3} cheap'
    assert json.loads(template(prompt).params(row))["input"] == text
    assert json.loads(template("{{ p }}").params({"p": Decimal("3.10")}))["input"] == "3.10"


def test_only_columns_are_rewritten() -> None:
    """Names that the template binds itself, comments, raw text and strings stay what they are."""
    row = {"a": "A", "x": "column", "tags": ["p", "q"]}
    for prompt, text in (
        ("{% for x in tags %}{{ x }}{% endfor %}", "pq"),
        ("{% set x = 1 %}{{ x }}", "1"),
        ("{# {{ a }} #}{{ a }}", "A"),
        ("{% raw %}{{ a }}{% endraw %}{{ a }}", "{{ a }}A"),
        ("{{ '{{ a }}' }}{{ a }}", "{{ a }}A"),
        ("{{ a|lower }}{{ a ~ x }}", "aAcolumn"),
        ("{% if '%}' %}{{ a }}{% endif %}", "A"),
        ("a\n{{ a }}\n", "a\nA\n"),
    ):
        assert json.loads(template(prompt).params(row))["input"] == text, prompt


@given(st.text(min_size=1))
def test_any_text_comes_through(text: str) -> None:
    """Whatever the text is, the request is valid JSON that holds it."""
    params = template("{{ a }}|{{ a }}", system="S {{ a }}").params({"a": text})
    assert json.loads(params)["input"] == [
        {"role": "system", "content": f"S {text}"},
        {"role": "user", "content": f"{text}|{text}"},
    ]


def test_a_missing_column_lists_those_there_are() -> None:
    """The message names the column that is missing and the ones that the row has."""
    (problem,) = problems_of(template("{{ reveiw }}"), {"review": "x", "stars": 5})
    assert problem.kind == "missing column"
    assert problem.message == "no column 'reveiw'; the row has: review, stars"


def test_a_null_is_a_problem_unless_there_is_a_text_for_it() -> None:
    """A null stops the row, --null writes its text, and a branch may leave it out."""
    (problem,) = problems_of(template("{{ a }}"), {"a": None})
    assert (problem.kind, problem.message) == ("null", "a is null")
    assert "--null" in problem.hint
    assert json.loads(template("{{ a }}!", null_text="?").params({"a": None}))["input"] == "?!"
    assert json.loads(template("{{ a }}!", null_text="?").params({}))["input"] == "?!"
    branch = "{% if a %}{{ a }}{% endif %}end"
    assert json.loads(template(branch).params({"a": None}))["input"] == "end"


def test_an_empty_prompt_is_a_problem() -> None:
    """Valar takes no empty text, so it is found here."""
    (problem,) = problems_of(template("{{ a }}"), {"a": ""})
    assert problem.kind == "empty"


def test_a_binary_value_is_a_problem_not_a_prompt() -> None:
    """Bytes are never written into a prompt as b'…'."""
    (problem,) = problems_of(template("{{ a }}"), {"a": b"\xff"})
    assert "binary" in problem.message


def test_misspelt_columns_cannot_hide_behind_null() -> None:
    """With --null, a column that no row ever had is known at the end."""
    renderer = template("{{ a }}{{ b }}", null_text="")
    renderer.params({"a": "x"})
    assert renderer.unseen() == ["b"]
    renderer.params({"a": "x", "b": None})
    assert renderer.unseen() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "model: it is missing"),
        ({"temperature": 2.5}, "temperature: 2.5 must be between 0 and 2"),
        ({"top_p": -0.1}, "top_p: -0.1 must be between 0 and 1"),
        ({"max_output_tokens": 0}, "max_output_tokens: 0 must be at least 1"),
        ({"reasoning_effort": "huge"}, "reasoning.effort: 'huge' is not one of"),
        ({"window": "asap"}, "metadata.completion_window: 'asap' is not allowed here"),
        ({"settings": (("stream", True),)}, "stream: true is not taken: only false is"),
        ({"settings": (("instructions", "x"),)}, "instructions: Valar does not take it"),
        ({"settings": (("input.0", "x"),)}, "--set input.0: the input comes from"),
        ({"settings": (("model.x", "y"),)}, "--set model.x: model is already set"),
        ({"settings": (("a..b", "y"),)}, "--set a..b: an empty name"),
        ({"prompt": "{{ a"}, "prompt is not a valid template"),
        ({"prompt": "{% if %}"}, "prompt is not a valid template"),
    ],
)
def test_a_recipe_that_cannot_serve_is_refused_at_once(changes: dict, message: str) -> None:
    """What is wrong for every row is said once, before a row is read."""
    with pytest.raises(UsageError) as refused:
        Renderer(Recipe(**{"model": "m", "prompt": "x", **changes}), Source.TEMPLATE)
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize(
    ("columns", "prompt", "source"),
    [
        (["prompt", "x"], None, Source.PROMPT),
        (["input"], None, Source.INPUT),
        (["messages", "id"], None, Source.MESSAGES),
        (["custom_id", "params"], None, Source.ITEM),
        (["custom_id", "params"], "{{ custom_id }}", Source.TEMPLATE),
        (["custom_id", "method", "url", "body"], None, Source.LINE),
        (["custom_id", "body"], None, Source.LINE),
        (["custom_id", "url", "body", "prompt"], None, Source.LINE),
        (["custom_id", "body", "prompt"], None, Source.PROMPT),
        (["custom_id", "body"], "{{ body }}", Source.TEMPLATE),
        (["prompt", "input"], "{{ prompt }}", Source.TEMPLATE),
    ],
)
def test_the_rows_say_how_they_become_requests(columns, prompt, source) -> None:
    """A template wins; else a ready column or finished requests."""
    assert source_for(Recipe(prompt=prompt), columns) is source


@pytest.mark.parametrize("columns", [["review"], ["prompt", "input"], []])
def test_rows_without_a_prompt_are_refused(columns) -> None:
    """Where nothing or more than one thing could be the prompt, the user is asked."""
    with pytest.raises(UsageError, match=r"--prompt|which one is the prompt"):
        source_for(Recipe(), columns)


@pytest.mark.parametrize(
    ("source", "row", "expected"),
    [
        (Source.PROMPT, {"prompt": "hi"}, "hi"),
        (Source.INPUT, {"input": "hi"}, "hi"),
        (
            Source.INPUT,
            {"input": [{"role": "user", "content": "hi"}]},
            [{"role": "user", "content": "hi"}],
        ),
        (
            Source.INPUT,
            {"input": {"messages": [{"role": "user", "content": "hi"}]}},
            {"messages": [{"role": "user", "content": "hi"}]},
        ),
        (
            Source.MESSAGES,
            {"messages": '[{"role": "user", "content": "hi"}]'},
            [{"role": "user", "content": "hi"}],
        ),
    ],
)
def test_ready_columns_are_taken_as_they_are(source, row, expected) -> None:
    """A prompt, input or messages column becomes the input, with a system message in front."""
    plain = Renderer(Recipe(model="m"), source)
    assert json.loads(plain.params(row)) == {"model": "m", "input": expected}
    led = Renderer(Recipe(model="m", system="Be brief"), source)
    messages = json.loads(led.params(row))["input"]
    assert messages == [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "hi"},
    ]


@pytest.mark.parametrize(
    ("source", "row", "field"),
    [
        (Source.PROMPT, {"prompt": 5}, "prompt"),
        (Source.PROMPT, {"prompt": None}, "prompt"),
        (Source.PROMPT, {}, "prompt"),
        (Source.INPUT, {"input": []}, "input"),
        (Source.INPUT, {"input": {"messages": []}}, "input.messages"),
        (Source.INPUT, {"input": [{"role": "boss", "content": "x"}]}, "input.0.role"),
        (Source.MESSAGES, {"messages": "[{"}, "messages"),
        (Source.MESSAGES, {"messages": [{"role": "user", "content": []}]}, "messages.0.content"),
        (
            Source.MESSAGES,
            {"messages": [{"role": "user", "content": [{"type": "audio"}]}]},
            "messages.0.content.0.type",
        ),
        (Source.ITEM, {"custom_id": "a"}, "params"),
        (Source.ITEM, {"custom_id": "a", "params": 5}, "params"),
        (Source.ITEM, {"custom_id": "a", "params": {"model": "m"}}, "input"),
        (Source.ITEM, {"custom_id": "a", "params": {"input": "x"}}, "model"),
    ],
)
def test_unfit_rows_name_their_field(source, row, field) -> None:
    """A row that Valar would refuse is refused here, by the field that is wrong."""
    recipe = Recipe() if source is Source.ITEM else Recipe(model="m")
    assert [problem.field for problem in problems_of(Renderer(recipe, source), row)] == [field]


def test_finished_requests_keep_their_params() -> None:
    """A Valar item is sent with its params as they are; flags that are given win."""
    row = decode_json('{"custom_id":"a","params":{"top_p":0.50,"model":"m","input":"x","k":[1]}}')
    assert Renderer(Recipe(), Source.ITEM).params(row) == (
        b'{"top_p":0.50,"model":"m","input":"x","k":[1]}'
    )
    row["params"]["metadata"] = {"team": "a", "completion_window": "flex"}
    recipe = Recipe(model="other", temperature=0.0, window="standard")
    params = Renderer(recipe, Source.ITEM).params(row)
    assert json.loads(params) == {
        "top_p": 0.5, "model": "other", "input": "x", "k": [1], "temperature": 0.0,
        "metadata": {"team": "a", "completion_window": "standard"},
    }  # fmt: skip


def test_finished_requests_keep_their_ids() -> None:
    """What preview wrote stays as it is, also an id that is a hash; what does not fit is hashed."""
    renderer = Renderer(Recipe(), Source.ITEM)
    hashed = renderer.custom_id({"custom_id": "A"}, 1)
    assert hashed == "x-7ftfqvk7estwbdqx3hiuma7htq"
    assert renderer.custom_id({"custom_id": hashed}, 1) == hashed


def test_a_schema_takes_the_place_of_a_chat_lines_own() -> None:
    """Also where the row's own format has no counterpart."""
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "response_format": {"type": "json_object"},
    }
    schema = AnswerSchema("label", {"type": "object", "properties": {"a": {}}})
    params = json.loads(Renderer(Recipe(answer=schema), Source.LINE).params({"body": body}))
    assert params == {
        "model": "m",
        "input": [{"role": "user", "content": "x"}],
        "text": {"format": schema.text_format()},
    }


def test_a_schema_takes_the_place_of_a_finished_requests_own() -> None:
    """One schema laid over another would be neither."""
    own = {"type": "json_schema", "name": "own", "schema": {"properties": {"z": {}}}}
    row = {"params": {"model": "m", "input": "x", "text": {"format": own}}}
    schema = AnswerSchema("label", {"type": "object", "properties": {"a": {}}})
    params = json.loads(Renderer(Recipe(answer=schema), Source.ITEM).params(row))
    assert params["text"] == {"format": schema.text_format()}
    assert row["params"]["text"]["format"] == own


@pytest.mark.parametrize(
    ("value", "custom_id"), [("abc", "abc"), (7, "7"), ("A", "x-7ftfqvk7estwbdqx3hiuma7htq")]
)
def test_the_id_column_gives_the_custom_id(value: object, custom_id: str) -> None:
    """Ids may be text or numbers; without an id column the row number serves."""
    renderer = template("x", id_column="id")
    assert renderer.custom_id({"id": value}, 3) == custom_id
    assert template("x").custom_id({}, 3) == "r-3"


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"id": None}, "unusable id"),
        ({"id": ""}, "unusable id"),
        ({"id": [1]}, "unusable id"),
        ({}, "missing column"),
    ],
)
def test_unusable_ids_are_problems(row: dict, kind: str) -> None:
    """A null, empty, nested or missing id is a problem of its row."""
    with pytest.raises(RowRefused) as refused:
        template("x", id_column="id").custom_id(row, 1)
    assert [problem.kind for problem in refused.value.problems] == [kind]
