"""Settings: where Valar is, which key goes there, and where a key never goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from valar_batch.client.connection import Connection
from valar_batch.errors import UsageError
from valar_batch.settings import (
    DEFAULT_BASE_URL,
    Access,
    choose_target,
    connection_to,
    home_path,
    missing_after,
    patience,
)


@pytest.mark.parametrize(
    ("base_url", "local", "environment", "target"),
    [
        (None, False, "", DEFAULT_BASE_URL),
        (None, True, "https://other/v1", "local"),
        (None, False, "local", "local"),
        ("local", False, "https://other/v1", "local"),
        ("https://a.example/v1", False, "https://other/v1", "https://a.example/v1"),
        (None, False, "https://other/v1", "https://other/v1"),
        ("HTTPS://A.Example:443/v1/", False, "", "https://a.example/v1"),
        ("http://localhost:80/v1", False, "", "http://localhost/v1"),
        ("http://[::1]:8787/v1", False, "", "http://[::1]:8787/v1"),
    ],
)
def test_one_target_has_one_spelling(base_url, local, environment, target) -> None:
    """Flags win over the environment; an address that means the same is written the same."""
    given = {"VALAR_BASE_URL": environment} if environment else {}
    assert choose_target(base_url, local=local, environment=given) == target


@pytest.mark.parametrize("url", ["valar", "ftp://a/v1", "https://", "https://a:x/v1", "/v1"])
def test_what_is_no_address(url) -> None:
    """A target that cannot be one is refused with an example."""
    with pytest.raises(UsageError):
        choose_target(url, local=False, environment={})


def test_two_targets_are_one_too_many() -> None:
    """--local and --base-url do not go together."""
    with pytest.raises(UsageError):
        choose_target("https://a/v1", local=True, environment={})


@pytest.mark.parametrize(
    "host", ["example.org", "10.0.0.1", "127.0.0.1.example.org", "localhost.x"]
)
def test_a_key_never_travels_in_the_clear(host) -> None:
    """Plain http is for this machine only."""
    with pytest.raises(UsageError, match="plain http"):
        Connection(f"http://{host}/v1", "key")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_loopback_needs_no_tls(host) -> None:
    """A server on this machine may speak plain http."""
    assert Connection(f"http://{host}:8787/v1", "key").api_key == "key"


def test_the_key_is_in_no_representation() -> None:
    """Whatever is printed or logged of a connection, the key is not in it."""
    connection = connection_to("https://a/v1", {"VALAR_API_KEY": " secret-key\n"})
    assert connection.api_key == "secret-key"
    assert "secret" not in f"{connection!r} {connection}"


@pytest.mark.parametrize("key", ["", "  ", "kéy", "a\x00b"])
def test_keys_that_cannot_be(key) -> None:
    """A missing or garbled key is found before anything is called."""
    with pytest.raises(UsageError, match="VALAR_API_KEY"):
        connection_to("https://a/v1", {"VALAR_API_KEY": key})


def test_the_home_folder() -> None:
    """VALAR_BATCH_HOME says where runs are; else the platform does."""
    assert home_path({"VALAR_BATCH_HOME": "/somewhere"}) == Path("/somewhere")
    assert home_path({}).name == "valar-batch"


@pytest.mark.parametrize(
    ("access", "environment", "bundle"),
    [
        ("mine.pem", {"SSL_CERT_FILE": "file.pem", "SSL_CERT_DIR": "folder"}, "mine.pem"),
        (None, {"SSL_CERT_FILE": "file.pem", "SSL_CERT_DIR": "folder"}, "file.pem"),
        (None, {"SSL_CERT_FILE": "", "SSL_CERT_DIR": "folder"}, "folder"),
        (None, {"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}, None),
        (None, {"REQUESTS_CA_BUNDLE": "other.pem", "CURL_CA_BUNDLE": "other.pem"}, None),
    ],
)
def test_whom_it_trusts(access, environment, bundle) -> None:
    """The option, then OpenSSL's variables; None is certifi's authorities, never nobody's."""
    given = {"VALAR_API_KEY": "key", **environment}
    assert connection_to("https://a/v1", given, Access(ca_bundle=access)).ca_bundle == bundle


@pytest.mark.parametrize("name", ["VALAR_BATCH_PATIENCE", "VALAR_BATCH_MISSING_AFTER"])
def test_a_time_is_a_number_of_seconds(name) -> None:
    """Above 0 and finite; where it is not given or empty, it is the usual one."""
    read = {"VALAR_BATCH_PATIENCE": patience, "VALAR_BATCH_MISSING_AFTER": missing_after}[name]
    usual = {"VALAR_BATCH_PATIENCE": 86_400.0, "VALAR_BATCH_MISSING_AFTER": 600.0}[name]
    assert [read({name: "1.5"}), read({name: ""}), read({})] == [1.5, usual, usual]
    for text in ("soon", "0", "-1", "nan", "inf"):
        with pytest.raises(UsageError, match=f"{name} is {text!r}, not a number of seconds"):
            read({name: text})


def test_the_password_of_a_proxy_is_in_no_representation(monkeypatch) -> None:
    """As the key is not."""
    monkeypatch.setenv("https_proxy", "http://user:secret@proxy:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    connection = connection_to("https://a/v1", {"VALAR_API_KEY": "key"})
    assert connection.proxy == "http://user:secret@proxy:1"
    assert "secret" not in repr(connection)
