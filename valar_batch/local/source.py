"""Where answers come from: what the endpoints ask, whether they rehearse or forward."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from valar_batch.core.prices import shipped_prices

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from valar_batch.local.state.records import StoredRequest


class Source(Protocol):
    """Where answers come from. `patience` is how many seconds a call waits for its answer."""

    patience: float

    def latency(self, rehearsed: float) -> float:
        """Mean seconds until a request settles; infinite where somebody has to settle it."""

    async def served(self) -> Collection[str] | None:
        """Name the models that may be asked for; None stands for Valar's."""

    async def models(self) -> list[dict[str, Any]]:
        """List the models as `GET /models` does."""

    def live(
        self, request: StoredRequest, *, with_usage: bool
    ) -> AsyncGenerator[dict[str, Any], None] | None:
        """Stream a chat as it is being answered; None where its answer comes whole."""

    async def run(self) -> None:
        """Work at what is unsettled, until cancelled."""


class Rehearsals:
    """Answers made up here: what becomes of a request is drawn as it arrives."""

    patience = math.inf

    def latency(self, rehearsed: float) -> float:
        """Leave it as it is."""
        return rehearsed

    async def served(self) -> None:
        """Hold requests to Valar's own models."""

    async def models(self) -> list[dict[str, Any]]:
        """List Valar's models."""
        return valar_models()

    def live(self, request: StoredRequest, *, with_usage: bool) -> None:
        """Stream nothing live."""

    async def run(self) -> None:
        """Do nothing: a rehearsal goes by the clock."""


def valar_models() -> list[dict[str, Any]]:
    """List the models that Valar serves."""
    table = shipped_prices()
    published = int(datetime.fromisoformat(table.date).replace(tzinfo=UTC).timestamp())
    return [
        {"id": name, "object": "model", "created": published, "owned_by": name.split("/")[0]}
        for name in table.models
    ]
