"""The upstream as the server knows it: a source of answers, with its workers and its streams."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from valar_batch.errors import RemoteError, ServerFault
from valar_batch.local.source import valar_models
from valar_batch.local.upstream.catalogue import Catalogue
from valar_batch.local.upstream.forwarder import Forwarder
from valar_batch.local.upstream.link import Link
from valar_batch.local.upstream.workers import Workers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from valar_batch.local.state.records import StoredRequest
    from valar_batch.local.state.store import Store
    from valar_batch.local.upstream.settings import UpstreamSettings


class Upstream:
    """Answers from an OpenAI-compatible server."""

    def __init__(self, settings: UpstreamSettings, store: Store) -> None:
        self._settings = settings
        self.patience = settings.patience
        self._link = Link(settings)
        self._catalogue = Catalogue(self._link)
        most = settings.concurrency
        forwarder = Forwarder(self._link, concurrency=most, model=settings.model)
        self._workers = Workers(store, forwarder, most=most)

    def latency(self, rehearsed: float) -> float:
        """Nobody knows beforehand."""
        return math.inf

    async def served(self) -> Collection[str] | None:
        """Hold requests to the upstream's models; to Valar's, where one model answers for all."""
        return None if self._settings.model else await self._catalogue.served()

    async def models(self) -> list[dict[str, Any]]:
        """List those models."""
        if self._settings.model:
            return valar_models()
        try:
            return await self._catalogue.models()
        except RemoteError as error:
            message = f"{error.message}, so its models are not known"
            raise ServerFault(message, status=502, type="api_error") from error

    def live(
        self, request: StoredRequest, *, with_usage: bool
    ) -> AsyncGenerator[dict[str, Any], None] | None:
        """Stream a chat that has just come in; None where it is settled or with the workers."""
        return self._workers.stream(request, with_usage=with_usage)

    async def run(self) -> None:
        """Work through what is unsettled, until cancelled."""
        try:
            await self._workers.run()
        finally:
            await self._link.close()
