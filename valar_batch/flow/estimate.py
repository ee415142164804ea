"""What a run may cost, before it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valar_batch.core.prices import BYTES_PER_TOKEN, shipped_prices

if TYPE_CHECKING:
    from valar_batch.flow.prepare import Prepared


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run may cost before it is sent, in tokens and USD; None where it cannot be known.

    Input tokens are a rule of thumb: bytes of the params over four, images left out, since what
    a model makes of them depends on their dimensions and on the model. The output's cost is a
    bound, and only known with a `max_output_tokens`.
    """

    input_tokens: int
    input_cost_usd: float | None
    output_cost_limit_usd: float | None


def estimate(prepared: Prepared) -> Estimate:
    """Estimate from the sizes of what was prepared."""
    recipe, totals = prepared.order.recipe, prepared.totals
    tokens = (totals.params_bytes - totals.image_bytes) // BYTES_PER_TOKEN
    price = shipped_prices().price(recipe.model or "", recipe.window or "standard")
    if price is None:
        return Estimate(tokens, None, None)
    most = recipe.max_output_tokens
    return Estimate(
        tokens,
        price.cost(tokens, 0, 0),
        None if most is None else price.cost(0, 0, most * totals.requests),
    )
