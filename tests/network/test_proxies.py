"""Proxies from the environment: both clients go through them, and a key only inside of TLS."""

from __future__ import annotations

import base64

import pytest

from tests.network.ways import AUTHORITY, POLL, Relay


@pytest.fixture
def relay(make_relay, valar) -> Relay:
    return make_relay(valar, "good")


@pytest.fixture(autouse=True)
def without_the_proxies_of_this_machine(monkeypatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def cli(make_cli, valar, relay):
    """A command line for a Valar with TLS."""
    settings = {"SSL_CERT_FILE": str(AUTHORITY), "VALAR_BATCH_PATIENCE": "1"}
    return make_cli(valar, VALAR_BASE_URL=relay.base_url, **settings)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_everything_goes_through_the_proxy(cli, job, valar, relay, make_proxy, variable) -> None:
    """Each connection to Valar is one of the proxy's, and what it hears is the host alone."""
    proxy = make_proxy()
    cli.environment[variable] = proxy.url
    job.run(cli)
    job.check(valar)
    assert len(proxy.heads) == relay.connections >= 2
    host = relay.base_url.removeprefix("https://").removesuffix("/v1").encode()
    assert all(head.startswith(b"CONNECT %s HTTP/1.1\r\n" % host) for head in proxy.heads)
    assert not any(valar.key.encode() in head for head in proxy.heads)


def test_a_host_that_is_named_in_no_proxy(cli, job, valar, make_proxy) -> None:
    """NO_PROXY leads past it."""
    proxy = make_proxy()
    cli.environment |= {"HTTPS_PROXY": proxy.url, "NO_PROXY": "127.0.0.1"}
    job.run(cli)
    job.check(valar)
    assert proxy.heads == []


def test_plain_http_never_goes_through_a_proxy(make_cli, job, valar, make_proxy) -> None:
    """It is for this machine, and a proxy on another could read the key."""
    proxy = make_proxy()
    names = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY")
    job.run(make_cli(valar, **dict.fromkeys(names, proxy.url)))
    job.check(valar)
    assert proxy.connections == 0


def test_a_password_for_the_proxy(cli, job, valar, make_proxy) -> None:
    """It is in the URL; the proxy hears it from both clients, and the screen does not."""
    proxy = make_proxy()
    cli.environment["HTTPS_PROXY"] = proxy.url.replace("//", "//user:secret@")
    done = job.run(cli)
    job.check(valar)
    word = b"proxy-authorization: basic " + base64.b64encode(b"user:secret").lower()
    assert all(word in head.lower() for head in proxy.heads)
    assert "secret" not in done.out + done.err


REFUSAL = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
FORM = "the proxy wants a password: HTTPS_PROXY=http://user:password@host:port"


def test_a_proxy_that_wants_a_password(cli, job, valar, make_proxy) -> None:
    """It is said at once, with the form of the setting."""
    proxy = make_proxy(REFUSAL)
    cli.environment["HTTPS_PROXY"] = proxy.url
    said = job.run(cli, code=1).err
    assert FORM in said
    assert "trying again" not in said
    assert valar.executions()["total"] == 0


def test_a_proxy_that_wants_a_password_under_way(cli, job, make_proxy, relay) -> None:
    """The fan-out says the same."""
    proxy = make_proxy()
    cli.environment["HTTPS_PROXY"] = proxy.url
    job.run(cli, "submit")

    def refuse() -> None:
        proxy.answer = REFUSAL

    relay.at(POLL, refuse)
    assert FORM in job.run(cli, "fetch", code=1).err


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 No\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<h1>away</h1>",
    ],
    ids=["502", "a page"],
)
def test_a_proxy_that_leads_nowhere(cli, job, valar, make_proxy, answer) -> None:
    """It is an outage like others: waited out, and given up where nothing was ever reached."""
    proxy = make_proxy(answer)
    cli.environment["HTTPS_PROXY"] = proxy.url
    said = job.run(cli, code=1).err
    assert "the proxy does not lead to Valar: 50" in said
    assert "check HTTPS_PROXY, or name Valar's host in NO_PROXY" in said
    proxy.answer = b""
    job.run(cli)
    job.check(valar)
