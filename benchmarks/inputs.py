"""Rows and results to work on: the same on every machine and every day."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED = 7
MODEL = "zai-org/GLM-5.1-FP8"
TEXT = """the kettle boils fast and pours well but its lid came loose after two weeks of daily use
which is a pity because nothing else at this price looks as good on a small table »naïve« 😀
it says "steel" on the box"""


def sentences(count: int = 1000) -> list[str]:
    """Make sentences of 60 to 120 characters, some of which JSON must escape."""
    draw, words = random.Random(SEED), TEXT.split()  # noqa: S311 - no secret
    return [" ".join(draw.choices(words, k=draw.randint(12, 24))) + "." for _ in range(count)]


def reviews(rows: int) -> Iterator[dict[str, Any]]:
    """Give rows of about 330 bytes as JSON: an id, a review of three sentences, three facts."""
    draw, made = random.Random(SEED), sentences()  # noqa: S311 - no secret
    for number in range(rows):
        yield {
            "id": f"review-{number:08}",
            "review": " ".join(draw.choices(made, k=3)),
            "stars": draw.randint(1, 5),
            "product": f"kettle {draw.randint(1, 900)}",
            "verified": draw.random() < 0.8,
        }


def write_jsonl(path: Path, rows: int) -> Path:
    """Write reviews, one JSON object a line, where they are not written yet."""
    if not path.exists():
        aside = path.with_suffix(".part")
        with aside.open("w", encoding="utf-8") as file:
            for row in reviews(rows):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        aside.rename(path)
    return path


def response(custom_id: str, number: int, text: str | None = None) -> dict[str, Any]:
    """Make a response object of about 1.8 KB, as Valar gives them (its published API description).

    Without a `text` the answer follows from the number.
    """
    if text is None:
        made = SENTENCES[number % len(SENTENCES)]
        text = f"{made} {SENTENCES[(number * 7 + 3) % len(SENTENCES)]}"
    return {
        "id": f"resp_{number:032x}",
        "object": "response",
        "created_at": 1_790_000_000,
        "completed_at": 1_790_000_060,
        "status": "completed",
        "model": MODEL,
        "output": [
            {
                "id": f"msg_{number:032x}",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
                ],
            }
        ],
        "error": None,
        "incomplete_details": None,
        "instructions": " ".join(SENTENCES[place] for place in range(7)),
        "max_output_tokens": 512,
        "metadata": {"custom_id": custom_id, "completion_window": "standard"},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 90 + number % 40,
            "input_tokens_details": {"cached_tokens": number % 3 * 16},
            "output_tokens": 40 + number % 25,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 130 + number % 40 + number % 25,
        },
        "user": None,
    }


SENTENCES = sentences()
