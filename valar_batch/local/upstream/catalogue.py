"""Which models the upstream has, as `GET /models` shows them and as requests are held to them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from valar_batch.errors import RemoteError, UnreadableAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from valar_batch.local.upstream.link import Link

MAX_AGE = 10.0
"""Seconds for which a list is good: a model that was just pulled is soon seen."""


class AnyModel(Collection[str]):
    """Stands for the models of an upstream that does not say which it has."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Catalogue:
    """The upstream's list of models. `clock` gives seconds."""

    def __init__(self, link: Link, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._clock = clock
        self._served: Collection[str] = AnyModel()
        self._good_until = -MAX_AGE

    async def models(self) -> list[dict[str, Any]]:
        """Give the models in the shape that Valar's list has, or raise RemoteError."""
        listed = await self._link.get("/models")
        data = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(data, list):
            raise UnreadableAnswer("the upstream's list of models is none")
        return [
            {
                "id": model["id"],
                "object": "model",
                "created": model["created"] if isinstance(model.get("created"), int) else 0,
                "owned_by": str(model.get("owned_by") or ""),
            }
            for model in data
            if isinstance(model, dict) and isinstance(model.get("id"), str)
        ]

    async def served(self) -> Collection[str]:
        """Name the models that may be asked for: any, where the upstream names none."""
        if self._clock() >= self._good_until:
            try:
                names = {model["id"] for model in await self.models()}
            except RemoteError:
                names = set()
            self._served = names or AnyModel()
            self._good_until = self._clock() + MAX_AGE
        return self._served
