"""The models that Valar serves and what they cost, from the table shipped beside this file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

BYTES_PER_TOKEN = 4
"""A rule of thumb for English text; other scripts need more tokens per byte or fewer."""


@dataclass(frozen=True, slots=True)
class Price:
    """USD per 1,000,000 tokens."""

    input: float
    cached_input: float
    output: float

    def cost(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> float:
        """USD for one request; `cached_tokens` are part of `input_tokens`."""
        fresh = max(0, input_tokens - cached_tokens)
        micros = (
            fresh * self.input + cached_tokens * self.cached_input + output_tokens * self.output
        )
        return round(micros / 1_000_000, 12)


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the table: whether it takes images, and its price by completion window."""

    id: str
    images: bool
    windows: Mapping[str, Price]


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices and the ISO date on which they were published."""

    date: str
    models: Mapping[str, Model]

    def price(self, model: str, window: str) -> Price | None:
        """Give the price, or None where the table has none: an unknown price is not a zero."""
        known = self.models.get(model)
        return known.windows.get(window) if known else None


def parse_prices(text: str) -> PriceTable:
    """Read a price table from TOML of the shape of `prices.toml`."""
    document: dict[str, Any] = tomllib.loads(text)
    models = {
        name: Model(
            name,
            bool(entry.get("images", False)),
            MappingProxyType({k: Price(*v) for k, v in entry.items() if k != "images"}),
        )
        for name, entry in document["models"].items()
    }
    return PriceTable(str(document["date"]), MappingProxyType(models))


@cache
def shipped_prices() -> PriceTable:
    """Give the table that this version ships."""
    return parse_prices(files(__package__).joinpath("prices.toml").read_text("utf-8"))
