"""Shapes say what a value may be; the checks made of them agree, and name every problem's place."""

from __future__ import annotations

import re
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valar_batch.core.checks import check_of
from valar_batch.core.problems import Problem
from valar_batch.core.rules import SURFACES
from valar_batch.core.shapes import (
    Anything,
    Array,
    Either,
    Field,
    Flag,
    ImageUrl,
    Kinds,
    Null,
    Number,
    Object,
    Refused,
    Text,
    WebUrl,
    choice,
    either,
)

PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
NAMES = st.text("abct", min_size=1, max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def problem(kind: str, field: str, message: str, hint: str = "", *, fixable=False) -> Problem:
    return Problem(kind, field, message, hint, fixable=fixable)


LEAST = Field("least", Number(1, whole=True), required=True, hint="give a least")
PERSON = Object((LEAST, Refused("old", "use new", fixable=True), Field("new", Text())))


@pytest.mark.parametrize(
    ("shape", "value", "problems"),
    [
        (Text(), "", []),
        (Text(), 5, [problem("wrong type", "", "5 is an integer, not a string")]),
        (Text(shortest=1), "", [problem("empty", "", "it is empty text")]),
        (Text(longest=2), "abc", [problem("too long", "", "3 characters; at most 2")]),
        (
            Text(pattern=re.compile("[a-z]+")),
            "a1",
            [problem("not allowed", "", "'a1' does not match [a-z]+")],
        ),
        (Text(barred=("x",)), "x", [problem("not allowed", "", "'x' is not taken", "remove it")]),
        (Text(barred=("x",)), "y", []),
        (choice("a", "b"), "c", [problem("not allowed", "", "'c' is not one of a, b")]),
        (Number(), True, [problem("wrong type", "", "True is a boolean, not a number")]),
        (Number(0, 2), 2, []),
        (Number(0, 2), 2.5, [problem("out of range", "", "2.5 must be between 0 and 2")]),
        (Number(0, 2), float("nan"), [problem("out of range", "", "nan must be between 0 and 2")]),
        (
            Number(1, whole=True),
            1.0,
            [problem("wrong type", "", "1.0 is a number, not an integer")],
        ),
        (Number(1, whole=True), 0, [problem("out of range", "", "0 must be at least 1")]),
        (Flag(), 1, [problem("wrong type", "", "1 is an integer, not a boolean")]),
        (
            Flag(only=True),
            False,
            [problem("not allowed", "", "false is not taken: only true is")],
        ),
        (Null(), None, []),
        (Null(), 0, [problem("wrong type", "", "0 is an integer, not null")]),
        (Anything(), {"a": [None]}, []),
        (
            either(Number(0, 1), Null()),
            "x",
            [problem("wrong type", "", "'x' is a string, not a number or null")],
        ),
        (either(Number(0, 1), Null()), 1, []),
        (either(Number(0, 1), Null()), None, []),
        (WebUrl(), "https://a.org/b.png", []),
        (ImageUrl(), PNG, []),
        (Array(Text(), shortest=1), [], [problem("empty", "", "the list is empty")]),
        (
            Array(Flag(), longest=1),
            [True, 1, False, 2],
            [
                problem("too many", "", "4 elements; at most 1"),
                problem("wrong type", "1", "1 is an integer, not a boolean"),
                problem("wrong type", "3", "2 is an integer, not a boolean"),
            ],
        ),
        (
            PERSON,
            {"old": None, "new": 1, "else": 2},
            [
                problem("missing field", "least", "it is missing", "give a least"),
                problem("refused field", "old", "Valar does not take it", "use new", fixable=True),
                problem("wrong type", "new", "1 is an integer, not a string"),
                problem("unknown field", "else", "there is no such field", "there are least, new"),
            ],
        ),
        (
            PERSON,
            {"least": 0, "new": None},
            [
                problem("out of range", "least", "0 must be at least 1", "give a least"),
                problem(
                    "wrong type",
                    "new",
                    "None is null, not a string",
                    "leave the field out",
                    fixable=True,
                ),
            ],
        ),
        (
            Object((), rest=Text()),
            {"a": 1, "b": "x"},
            [problem("wrong type", "a", "1 is an integer, not a string")],
        ),
    ],
)
def test_each_shape(shape, value, problems) -> None:
    """A value has all the problems that its shape knows, each at its place."""
    assert list(check_of(shape)(value)) == problems


TOOLS = Kinds(
    (("function", Object((Field("type", Text()), LEAST))),),
    refused=(Refused("web", "only functions"),),
    hint="see the list",
)


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        ({"type": "function", "least": 1}, []),
        ({"type": "web"}, [problem("not allowed", "type", "'web' is not taken", "only functions")]),
        (
            {"type": "web_2026_08_01"},
            [problem("not allowed", "type", "'web_2026_08_01' is not taken", "only functions")],
        ),
        (
            {"type": "webs"},
            [problem("not allowed", "type", "'webs' is not one of function", "see the list")],
        ),
        (
            {"type": ["function"]},
            [problem("not allowed", "type", "['function'] is not one of function", "see the list")],
        ),
        ({}, [problem("missing field", "type", "it is missing", "see the list")]),
        ("web", [problem("wrong type", "", "'web' is a string, not an object")]),
    ],
)
def test_kinds(value, problems) -> None:
    """An object is held to the rules of its kind; dated variants are of the kind they vary."""
    assert list(check_of(TOOLS)(value)) == problems


@cache
def instances(shape) -> st.SearchStrategy:  # noqa: C901, PLR0912 - a table of cases
    """Values that a shape describes, drawn from the shape and not from its check."""
    match shape:
        case Text(choices=choices) if choices:
            return st.sampled_from(choices)
        case Text(pattern=pattern) if pattern is not None:
            return st.from_regex(pattern, fullmatch=True)
        case Text(shortest=shortest, longest=longest, barred=barred):
            most = min(longest or 20, 260)
            return st.text(min_size=shortest, max_size=most).filter(lambda text: text not in barred)
        case ImageUrl():
            return st.sampled_from([PNG, "http://a.org/", "HTTPS://a.org/b?c"])
        case WebUrl():
            return st.sampled_from(["http://a.org/", "https://a.org/b?c"])
        case Number(low=low, high=high, whole=True):
            return st.integers(low, high)
        case Number(low=low, high=high):
            return st.floats(low, high) | st.integers(low, high)
        case Flag(only=only):
            return st.booleans() if only is None else st.just(only)
        case Null():
            return st.none()
        case Anything():
            return VALUES
        case Array(of=of, shortest=shortest, longest=longest):
            most = min(shortest + 1, longest or 2)
            return st.lists(instances(of), min_size=shortest, max_size=most)
        case Either(shapes=shapes):
            return st.one_of([instances(each) for each in shapes])
        case Kinds(kinds=kinds, by=by):
            return st.sampled_from(kinds).flatmap(
                lambda kind: instances(kind[1]).map(lambda value: {**value, by: kind[0]})
            )
        case Object(fields=fields, rest=rest):
            named = [field for field in fields if isinstance(field, Field)]
            names = {field.name for field in fields}
            known = st.fixed_dictionaries(
                {field.name: instances(field.shape) for field in named if field.required},
                optional={
                    field.name: instances(field.shape) for field in named if not field.required
                },
            )
            if rest is None:
                return known
            keys = st.text(max_size=5).filter(lambda name: name not in names)
            others = st.dictionaries(keys, instances(rest), max_size=2)
            return st.tuples(known, others).map(lambda both: {**both[1], **both[0]})
    raise AssertionError(shape)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], max_examples=25)
@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
@given(data=st.data())
def test_what_the_rules_describe_is_taken(surface, data) -> None:
    """A body made by the rules of a surface has no problem, and one with a refused field has."""
    body = data.draw(instances(surface.body))
    assert list(check_of(surface.body)(body)) == []
    if refused := [field for field in surface.body.fields if isinstance(field, Refused)]:
        field = data.draw(st.sampled_from(refused))
        found = check_of(surface.body)({**body, field.name: data.draw(SCALARS)})
        assert [(each.field, each.hint) for each in found] == [(field.name, field.hint)]


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
@given(data=st.data())
def test_problems_lead_to_their_place(surface, data) -> None:
    """Whatever a body holds, its check ends, and each path leads to what is there or missing."""
    names = [field.name for field in surface.body.fields]
    wild = st.dictionaries(st.sampled_from(names), VALUES, max_size=4)
    body = data.draw(wild)
    for found in check_of(surface.body)(body):
        place = body
        *way, last = found.field.split(".")
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        there = int(last) < len(place) if isinstance(place, list) else last in place
        assert there == (found.kind != "missing field")
