"""What the tests of the official clients ask for: a schema, a picture, a model that sees."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import pydantic

if TYPE_CHECKING:
    import openai

SEES = "google/gemma-4-31B-it"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A picture of one pixel, in base64."""
PNG = f"data:image/png;base64,{PIXEL}"


class Place(pydantic.BaseModel):
    """Where it is."""

    city: str
    country: str | None


class Weather(pydantic.BaseModel):
    """What an answer or the arguments of a tool are to be."""

    place: Place
    sky: Literal["clear", "cloudy"]
    degrees: float
    hours: list[int]


def until_completed(
    client: openai.OpenAI, response: openai.types.responses.Response
) -> openai.types.responses.Response:
    """Poll a response as its users do, and check that it only ever goes forward."""
    order = ["queued", "in_progress", "completed"]
    deadline = time.monotonic() + 30
    while response.status != "completed":
        assert time.monotonic() < deadline, response.status
        time.sleep(0.02)
        later = client.responses.retrieve(response.id)
        assert order.index(later.status) >= order.index(response.status)
        response = later
    return response
