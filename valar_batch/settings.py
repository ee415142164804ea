"""Settings: flags win over the environment, the environment over the defaults."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from valar_batch.core.backoff import OUTAGE_SECONDS
from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valar_batch.client.connection import Connection

DEFAULT_BASE_URL = "https://api.valarhq.ai/v1"
LOCAL = "local"
"""The target that stands for the embedded local Valar."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, and whom it trusts, where that is not left to the environment.

    `api_key` stands for VALAR_API_KEY, `ca_bundle` (a PEM file) for SSL_CERT_FILE.
    """

    api_key: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None


NO_ACCESS = Access()


def home_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Give the home folder: `VALAR_BATCH_HOME`, or the platform's folder for state."""
    given = environment.get("VALAR_BATCH_HOME")
    if given:
        return Path(given).expanduser().absolute()
    import platformdirs

    return platformdirs.user_state_path("valar-batch", appauthor=False)


def choose_target(
    base_url: str | None, *, local: bool, environment: Mapping[str, str] = os.environ
) -> str:
    """Name the target: `local`, or a base URL in its one spelling, which enters the identity."""
    if local and base_url is not None:
        raise UsageError("--local and --base-url name two targets", hint="give one of them")
    given = LOCAL if local else base_url or environment.get("VALAR_BASE_URL") or DEFAULT_BASE_URL
    if given == LOCAL:
        return LOCAL
    parts = urlsplit(given)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise UsageError(
            f"{given!r} is not the address of an API",
            hint=f"it looks like {DEFAULT_BASE_URL}, or is the word local",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    suffix = "" if port in (None, usual) else f":{port}"
    return f"{parts.scheme}://{host}{suffix}{parts.path.rstrip('/')}"


def connection_to(
    target: str, environment: Mapping[str, str] = os.environ, access: Access = NO_ACCESS
) -> Connection:
    """Give the way to a remote target, with the key of `access` or the one in `VALAR_API_KEY`.

    Proxies come from the usual variables (HTTPS_PROXY, ALL_PROXY, NO_PROXY), trusted authorities
    from `access`, SSL_CERT_FILE or SSL_CERT_DIR. Nothing lets an untrusted certificate pass. Plain
    http, which is for this machine, never goes through a proxy: it could read the key.
    """
    from valar_batch.client.connection import Connection

    key = (access.api_key or environment.get("VALAR_API_KEY", "")).strip()
    if not key:
        raise UsageError(
            "VALAR_API_KEY is not set",
            hint="export VALAR_API_KEY=…, or rehearse for free with --local",
        )
    if not key.isascii() or not key.isprintable():
        name = "api_key" if access.api_key else "VALAR_API_KEY"
        raise UsageError(f"{name} has characters that no key has", hint="copy it again")
    return Connection(
        target,
        key,
        proxy=proxy_to(target),
        ca_bundle=access.ca_bundle
        or environment.get("SSL_CERT_FILE")
        or environment.get("SSL_CERT_DIR")
        or None,
        read_timeout=_seconds("VALAR_BATCH_READ_TIMEOUT", 120.0, environment),
    )


def proxy_to(target: str) -> str | None:
    """Give the proxy that the environment names for a target, if there is one."""
    from urllib.request import getproxies, proxy_bypass  # loads all of http and TLS

    parts = urlsplit(target)
    if parts.scheme == "http" or (parts.hostname and proxy_bypass(parts.hostname)):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all") or None


def missing_after(environment: Mapping[str, str] = os.environ) -> float:
    """Seconds for which a result that should be there is asked for, before it is missing."""
    return _seconds("VALAR_BATCH_MISSING_AFTER", 600.0, environment)


def patience(environment: Mapping[str, str] = os.environ) -> float:
    """Seconds for which a Valar is waited for that has answered and then is away."""
    return _seconds("VALAR_BATCH_PATIENCE", OUTAGE_SECONDS, environment)


def _seconds(name: str, default: float, environment: Mapping[str, str]) -> float:
    text = environment.get(name)
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise UsageError(f"{name} is {text!r}, not a number of seconds above 0")
    return seconds
