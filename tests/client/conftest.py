"""Servers to speak with, and connections to them."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from scripted_origin import Origin

from valar_batch.client.connection import Connection

KEY = "sk-valar-0123456789abcdef"
CERTIFICATE = Path(__file__).with_name("loopback.pem")
"""A self-signed certificate of 127.0.0.1 with its key, which guards nothing."""


@pytest.fixture
def origin():
    server = Origin()
    yield server
    server.close()


@pytest.fixture
def tls_origin():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server = Origin(context)
    yield server
    server.close()


@pytest.fixture
def connection(origin):
    return Connection(origin.base_url, KEY, connect_timeout=5, read_timeout=5)
