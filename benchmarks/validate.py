"""How many finished requests a second are checked, beside the stdlib's json reading the same lines.

    python benchmarks/validate.py [--rows 20000] [--rounds 5]

Each kind of row is checked and read in turn, several times over; the medians are printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import TYPE_CHECKING

import msgspec

from valar_batch.core.rules import BATCH_WINDOWS
from valar_batch.core.validate import check_params

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "zai-org/GLM-5.1-FP8"
REVIEW = "The kettle boils fast and pours well, but the lid came loose after two weeks. " * 4
TOOL = {
    "type": "function",
    "name": "lookup",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
}
KINDS = {
    "text": {"model": MODEL, "input": REVIEW, "max_output_tokens": 200},
    "messages": {
        "model": MODEL,
        "input": [
            {"role": "system", "content": "You label reviews."},
            {"role": "user", "content": REVIEW},
        ],
        "max_output_tokens": 200,
        "temperature": 0.2,
        "metadata": {"completion_window": "standard", "team": "search"},
    },
    "schema": {
        "model": MODEL,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": REVIEW}]}],
        "text": {
            "format": {
                "type": "json_schema",
                "name": "label",
                "schema": TOOL["parameters"],
                "strict": True,
            }
        },
        "reasoning": {"effort": "low"},
    },
    "tool loop": {
        "model": MODEL,
        "input": [
            {"role": "user", "content": REVIEW},
            {"type": "function_call", "call_id": "c1", "name": "lookup", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "18 degrees"},
        ],
        "tools": [TOOL],
        "tool_choice": {"type": "function", "name": "lookup"},
    },
}


def main() -> None:
    """Measure every kind of row, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{'row':<10} {'bytes':>6} {'checked/s':>12} {'json.loads/s':>13} {'ratio':>6}")
    for name, params in KINDS.items():
        line = json.dumps(params)
        bodies = [msgspec.json.decode(line) for _ in range(arguments.rows)]
        lines = [line] * arguments.rows
        checking, reading = [], []
        for _ in range(arguments.rounds):
            checking.append(seconds(check_all, bodies))
            reading.append(seconds(read_all, lines))
        checked = arguments.rows / statistics.median(checking)
        read = arguments.rows / statistics.median(reading)
        print(f"{name:<10} {len(line):>6} {checked:>12,.0f} {read:>13,.0f} {checked / read:>6.1f}")


def check_all(bodies: list[dict[str, object]]) -> None:
    """Check every request, each of which is fine."""
    for body in bodies:
        if check_params(body, windows=BATCH_WINDOWS):
            raise AssertionError(body)


def read_all(lines: list[str]) -> None:
    """Read every line with the stdlib."""
    for line in lines:
        json.loads(line)


def seconds(work: Callable[[list], None], items: list) -> float:
    """Give the CPU seconds of one pass, so that other work on the machine does not count."""
    began = time.process_time()
    work(items)
    return time.process_time() - began


if __name__ == "__main__":
    main()
