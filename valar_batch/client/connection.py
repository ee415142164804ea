"""Where Valar is and how to get there: one value that both HTTP clients read."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from valar_batch.errors import UsageError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Connection:
    """A target and the way to it.

    `base_url` ends without a slash, as in `https://api.valarhq.ai/v1`. `proxy` is a URL or None,
    `ca_bundle` a PEM file of trusted authorities (or a folder of them, as OpenSSL wants it) or
    None for the usual ones. Timeouts in seconds: to connect, and without a byte received. The key
    and the proxy, whose URL may hold a password, are kept out of every representation.

    Raises UsageError where the key would travel over plain http to another machine.
    """

    base_url: str
    api_key: str = field(repr=False)
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    connect_timeout: float = 15.0
    read_timeout: float = 120.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"{self.base_url!r} is not the address of an API",
                hint="it looks like https://api.valarhq.ai/v1",
            )
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise UsageError(
                f"{self.base_url} is plain http: the API key would be readable on the way",
                hint="use https; plain http is for this machine only",
            )
