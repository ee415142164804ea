"""The page `docs/value-types.md`, from what was computed."""

from __future__ import annotations

from collections.abc import Mapping

from tests.value_types.given import INPUTS
from tests.value_types.judge import WORDS
from tests.value_types.table import OUTPUTS, Verdicts

INTRODUCTION = (
    "What becomes of an input's values in each output. Written by `make docs`: the values go "
    "through whole runs on the local Valar, from every input format that can hold them to every "
    "output, and the outputs are read by pyarrow, pandas, NumPy, and Python's own json and csv. "
    "Every cell is computed, and a test compares this page with what it computes."
)
NOTES = (
    (
        "Words that stand together hold for parts of a value. A null stays null: in CSV and TSV it "
        'is an empty field, and empty text is `""`. From JSONL to JSONL each row is the same bytes.'
    ),
    (
        "*Table* is a `pyarrow.Table`: given in Python, or what `fetch` gives there. *Dicts* are "
        "an iterable of dicts in Python. A pandas or Polars frame holds what the library itself "
        "gives to Arrow. An input format that cannot hold a value is not in its row."
    ),
)


def page(table: Verdicts) -> str:
    """Write the page: inputs with the same outputs share a row, outputs with the same words a
    column."""
    meanings = [row([word, meaning]) for word, meaning in WORDS.items()]
    lines = ["# Value types", "", INTRODUCTION, "", row(["word", "what comes out"]), "|---|---|"]
    lines += [*meanings, *(f"\n{note}" for note in NOTES)]
    columns = shared(
        {
            output: tuple(
                words[output] for by_input in table.values() for words in by_input.values()
            )
            for output in OUTPUTS
        }
    )
    shown = [", ".join(OUTPUTS[output] for output in outputs) for outputs in columns]
    head = ["value", "from", *(f"to {titles}" for titles in shown)]
    group = None
    for (of, name), by_input in table.items():
        if of != group:
            lines += [f"\n## {of}\n", row(head), "|" + "---|" * len(head)]
            group = of
        for place, kinds in enumerate(shared({k: tuple(w.items()) for k, w in by_input.items()})):
            words = by_input[kinds[0]]
            titles = "each" if kinds == [*INPUTS] else ", ".join(INPUTS[kind] for kind in kinds)
            cells = [words[outputs[0]] for outputs in columns]
            lines.append(row(["" if place else name, titles, *cells]))
    return "\n".join(lines) + "\n"


def shared(things: Mapping[str, object]) -> list[list[str]]:
    """Put the names together whose things are equal."""
    names: dict[object, list[str]] = {}
    for name, thing in things.items():
        names.setdefault(thing, []).append(name)
    return list(names.values())


def row(cells: list[str]) -> str:
    """Write a row of a table."""
    return f"| {' | '.join(cells)} |"
