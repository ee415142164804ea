"""Values of every type, from every input format to every output: what comes out is what went in."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from tests.value_types.cases import ABSENT, CASES
from tests.value_types.given import INPUTS
from tests.value_types.judge import WORDS, Pairs, Token, Unfaithful, textual, words
from tests.value_types.page import page
from tests.value_types.table import OUTPUTS, computed

PAGE = Path(__file__).parents[2] / "docs" / "value-types.md"
KEYS = list(dict.fromkeys((case.group, case.name) for case in CASES))
COLUMNS, TEXTS = {"parquet", "arrow", "table"}, {"csv", "tsv"}
TYPED_INPUTS = {"parquet", "arrow", "table", "pandas", "polars"}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """The whole table, computed once: one run for each input format."""
    folder = tmp_path_factory.mktemp("value-types")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("VALAR_API_KEY", "VALAR_BASE_URL", "VALAR_LOCAL_LATENCY"):
            patch.delenv(name, raising=False)
        patch.setenv("VALAR_BATCH_HOME", str(folder / "home"))
        patch.setenv("VALAR_LOCAL_LINGER", "2")
        yield computed(folder)


def allowed(given: str, output: str) -> set[str]:
    """Say by which conversions an input's values may come out in an output."""
    if given in ("csv", "tsv") or given == output == "jsonl":
        return {"same"}
    if given in TYPED_INPUTS and output in COLUMNS:
        return {"same", "plain", "JSON", "parts"}
    if output in COLUMNS:
        return {"same", "double", "JSON", "text", "base64", "null"}
    return {*WORDS} - {"plain", "double"} - ({"JSON"} if output == "jsonl" else set())


@pytest.mark.parametrize("key", KEYS, ids=": ".join)
def test_what_comes_out_is_what_went_in(verdicts, key) -> None:
    """Each cell is the same, or one of the conversions that its two formats may need."""
    assert verdicts[key]
    for given, by_output in verdicts[key].items():
        assert list(by_output) == [*OUTPUTS]
        for output, found in by_output.items():
            assert {*found.split(", ")} <= allowed(given, output), (given, output, found)


def test_every_format_is_in_the_table(verdicts) -> None:
    """No input format is left out, and text goes through all of them."""
    assert {given for by_input in verdicts.values() for given in by_input} == {*INPUTS}
    assert list(verdicts["Text", "plain"]) == [*INPUTS]


def test_the_page(verdicts) -> None:
    """docs/value-types.md says, cell by cell, what was computed; `make docs` writes it."""
    assert page(verdicts) == PAGE.read_text("utf-8")


NS = pa.timestamp("ns")


@pytest.mark.parametrize(
    ("went", "came"),
    [
        ("a", "a "),
        ("", None),
        (None, ""),
        ("1", 1),
        (1, True),
        (1, 1.0),
        (-0.0, 0.0),
        (1.5, None),
        (ABSENT, 1),
        (1, ABSENT),
        (2**53 + 1, Token("9007199254740992")),
        (Token("1.10"), Token("1.1")),
        (Token("9007199254740993"), 9007199254740992.0),
        (math.inf, math.nan),
        ([1, 2], [2, 1]),
        ([1], [1, None]),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1}, {}),
        (Pairs([["k", 1]]), [["k", 2]]),
        (pa.scalar(1, NS), pa.scalar(2, NS)),
        (pa.scalar(1, NS), "1970-01-01T00:00:00"),
        (pa.scalar(0, pa.timestamp("us", "UTC")), "1970-01-01T01:00:00+00:00"),
        (pa.scalar(0, pa.timestamp("us", "UTC")), "1970-01-01T00:00:00"),
        (pa.scalar(1, pa.duration("us")), "P1D"),
        (pa.scalar(Decimal("1.10")), "1.1"),
        (pa.scalar(b"\xff"), "/g=="),
    ],
)
def test_the_judge_refuses(went, came) -> None:
    """What is not the same value is never given a word."""
    with pytest.raises(Unfaithful):
        words(went, came)


@pytest.mark.parametrize(
    ("went", "came"),
    [(None, ""), ("", None), (Token("1.10"), "1.1"), (True, "True"), (0.1, "0.2"), ([1], "[2]")],
)
def test_the_judge_refuses_text(went, came) -> None:
    """In a text format an empty field is not an empty text, and digits count."""
    with pytest.raises(Unfaithful):
        textual(went, came)
