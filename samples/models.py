"""Answers as pydantic models: `--schema samples.models:Verdict`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Verdict(BaseModel):
    """What a judge says of an answer."""

    score: int = Field(ge=1, le=5, description="5: says all that the reference says; 1: is wrong")
    fault: Literal["none", "incomplete", "wrong", "off topic"]
    reason: str = Field(description="One sentence.")
