"""Where an upstream is, and how it is to be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from valar_batch.errors import UsageError

CONCURRENCY = 8
"""Requests at a time, unless told otherwise: what a small server takes without queueing long."""
PATIENCE = 600.0
"""Seconds that a call waits for its answer: as long as OpenAI's clients do."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """An upstream at `base_url`, which is brought into the form `http://localhost:11434/v1`.

    At most `concurrency` requests are with it at a time. With a `model` all go to that one,
    whichever of Valar's models they name. A call waits `patience` seconds for its answer, which is
    worked on all the same. Raises UsageError where the key would travel over plain http to another
    machine.
    """

    base_url: str
    api_key: str = field(default="", repr=False)
    concurrency: int = CONCURRENCY
    model: str | None = None
    patience: float = PATIENCE

    def __post_init__(self) -> None:
        if "@" in self.base_url:
            raise UsageError("the upstream's address has a user in it", hint="use --upstream-key")
        try:
            parts = urlsplit(self.base_url)
            is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address or parts.query or parts.fragment:
            raise UsageError(
                f"{self.base_url!r} is not the address of an API",
                hint="it looks like http://localhost:11434/v1",
            )
        if self.api_key and parts.scheme == "http" and not self.is_loopback:
            raise UsageError(
                f"{self.base_url} is plain http: the upstream's key would be readable on the way",
                hint="use https, or leave --upstream-key and UPSTREAM_API_KEY out",
            )
        if not self.api_key.isascii() or not self.api_key.isprintable():
            raise UsageError("--upstream-key has characters that no key has", hint="copy it again")
        path = parts.path.rstrip("/") or "/v1"
        object.__setattr__(self, "base_url", f"{parts.scheme}://{parts.netloc}{path}")

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, where no proxy leads."""
        return urlsplit(self.base_url).hostname in LOOPBACK
