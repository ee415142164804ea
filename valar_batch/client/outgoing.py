"""What both HTTP clients send and trust: the key, this program's name, the authorities."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import certifi

from valar_batch import __version__
from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from valar_batch.client.connection import Connection

USER_AGENT = f"valar-batch/{__version__}"
KEY_VARIABLE = "VALAR_API_KEY"
URL_VARIABLE = "VALAR_BASE_URL"
UNREACHABLE_HINT = f"check the network, {URL_VARIABLE} and HTTPS_PROXY, and repeat the command"


def authorization(connection: Connection) -> str:
    """The value of the Authorization header.

    Raises UsageError for a key that no header can carry: both clients would quote it in an error.
    """
    key = connection.api_key
    if not key or not all("!" <= character <= "~" for character in key):
        raise UsageError(
            f"the API key is {'not an API key' if key else 'empty'}",
            hint=f"check {KEY_VARIABLE}: a key is one line of ASCII without blanks",
        )
    return f"Bearer {key}"


def trusted_authorities(connection: Connection) -> str:
    """The authorities whose certificates are accepted: a PEM file, or OpenSSL's folder of them."""
    return connection.ca_bundle or certifi.where()


def check_addresses(connection: Connection) -> None:
    """Raise UsageError where the base URL or the proxy names no host that can be looked up."""
    for name, url in (("the base URL", connection.base_url), ("the proxy", connection.proxy)):
        if url is None:
            continue
        try:
            parts = urlsplit(url)
            usable = bool((parts.hostname or "").encode("idna")) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise UsageError(
                f"{name} has no usable host and port",
                hint=f"check {URL_VARIABLE if name == 'the base URL' else 'the proxy setting'}",
            )
