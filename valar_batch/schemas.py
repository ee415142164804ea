"""Schemas of answers from files and models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from valar_batch.core.answer_schema import AnswerSchema


def schema_from(text: str, folder: Path) -> AnswerSchema:
    """Read a schema."""
    return AnswerSchema(Path(text).stem, json.loads((folder / text).read_text("utf-8")))


def schema_of(value: Any) -> AnswerSchema:
    """Give the schema of a model."""
    return AnswerSchema("answer", value)
