"""Whom the commands trust: an authority of one's own by option or environment, and nobody else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import valar_batch
from tests.conftest import MODEL
from tests.network.ways import AUTHORITY, POLL, RESULT, Relay, tls
from valar_batch.errors import ConnectionFailed, UsageError

SUBJECT_HASH = "774b5dcc"
"""Of the authority, as `openssl x509 -hash` prints it: its name in a folder of OpenSSL's."""

UNKNOWN = "name its authority with --ca-bundle FILE or SSL_CERT_FILE"


@pytest.fixture(autouse=True)
def without_the_authorities_of_this_machine(monkeypatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def relay(make_relay, valar) -> Relay:
    return make_relay(valar, "good")


@pytest.fixture
def cli(make_cli, valar, relay):
    """A command line whose Valar has a certificate that nobody knows yet."""
    return make_cli(valar, VALAR_BASE_URL=relay.base_url)


@pytest.fixture
def folder(tmp_path) -> Path:
    """The authority in the form that OpenSSL wants for a folder."""
    folder = tmp_path / "authorities"
    folder.mkdir()
    shutil.copy(AUTHORITY, folder / f"{SUBJECT_HASH}.0")
    return folder


def asked_for_results(relay) -> bool:
    """Whether libcurl was there, too."""
    return any(re.match(RESULT, line.removesuffix(b"/1.1") + b"/1.1") for line in relay.asked)


def test_an_authority_by_option(cli, job, valar, relay) -> None:
    """--ca-bundle goes to both clients, and wins over SSL_CERT_FILE."""
    cli.environment["SSL_CERT_FILE"] = "/nonexistent.pem"
    job.run(cli, "run", "--ca-bundle", AUTHORITY)
    job.check(valar)
    assert asked_for_results(relay)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_an_authority_by_environment(cli, job, valar, relay, folder, variable) -> None:
    """The variables that OpenSSL's own programs read, for both clients."""
    cli.environment[variable] = str(AUTHORITY if variable == "SSL_CERT_FILE" else folder)
    job.run(cli)
    job.check(valar)
    assert asked_for_results(relay)


def test_every_command_that_talks_to_valar_takes_it(cli, job) -> None:
    """Each works with it; they are refused without."""
    trusting = ("--ca-bundle", AUTHORITY)
    run = job.run(cli, "submit", *trusting).out.strip()
    commands = (("models",), ("list", "--remote"), ("status", run), ("retry", run), ("resume", run))
    for command in commands:
        cli(*command, *trusting)
    assert UNKNOWN in cli("retry", run, code=1).err
    job.run(cli, "fetch", *trusting)


def test_an_authority_from_python(relay, valar, tmp_path, monkeypatch) -> None:
    """ca_bundle= takes a path; without it the certificate is refused."""
    monkeypatch.setenv("VALAR_BATCH_HOME", str(tmp_path / "home"))
    options = {"model": MODEL, "base_url": relay.base_url, "api_key": valar.key}
    with pytest.raises(ConnectionFailed, match="is not trusted"):
        valar_batch.run([{"prompt": "x"}], **options)
    table = valar_batch.run([{"prompt": "x"}], ca_bundle=AUTHORITY, **options)
    assert table.column("status").to_pylist() == ["completed"]
    with pytest.raises(UsageError, match="holds no certificates"):
        valar_batch.run([{"prompt": "y"}], ca_bundle=Path(__file__), **options)


@pytest.mark.parametrize(
    ("certificate", "hint"),
    [
        ("other_host", "It is the certificate of another host: check VALAR_BASE_URL"),
        ("expired", "Check this machine's clock; if it is right, the server's is at fault"),
        ("../../client/loopback", UNKNOWN),
    ],
    ids=["of another host", "expired", "self-signed"],
)
def test_a_certificate_that_is_not_right(cli, relay, job, certificate, hint) -> None:
    """It is refused at once, nothing is sent, and the hint tells what to do."""
    relay.context = tls(certificate)
    cli.environment["SSL_CERT_FILE"] = str(AUTHORITY)
    said = job.run(cli, code=1).err
    assert "the certificate of 127.0.0.1 is not trusted: " in said
    assert hint in said
    assert "trying again" not in said
    assert relay.asked == []


def test_the_certificate_changes_under_way(cli, job, relay) -> None:
    """Results are fetched over connections of their own, which are checked as well."""
    cli.environment["SSL_CERT_FILE"] = str(AUTHORITY)
    job.run(cli, "submit")

    def change() -> None:
        relay.context = tls("other_host")

    relay.at(POLL, change)
    said = job.run(cli, "fetch", code=1).err
    assert "the certificate of 127.0.0.1 is not trusted: " in said
    assert not asked_for_results(relay)


def test_nothing_turns_the_check_off(cli, relay, tmp_path) -> None:
    """Neither what other programs read, nor an empty variable."""
    home = tmp_path / "user"
    home.mkdir()
    (home / ".curlrc").write_text("insecure\n")
    (home / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    settings = {
        "HOME": str(home), "CURL_HOME": str(home), "NETRC": str(home / ".netrc"),
        "PYTHONHTTPSVERIFY": "0", "GIT_SSL_NO_VERIFY": "1", "NODE_TLS_REJECT_UNAUTHORIZED": "0",
        "CURL_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": "", "SSL_CERT_FILE": "", "SSL_CERT_DIR": "",
    }  # fmt: skip
    for name, value in [*settings.items(), *settings.items()]:
        cli.environment[name] = value
    assert UNKNOWN in cli("models", code=1).err
    assert relay.asked == []
    cli("models", "--ca-bundle", AUTHORITY)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_an_authority_that_is_not_there(cli, variable) -> None:
    """The message names the file and where it was given; nothing else is trusted in its place."""
    cli.environment[variable] = "/nonexistent"
    said = cli("models", code=2).err
    assert "/nonexistent holds no certificates that can be read" in said
    assert "check --ca-bundle or SSL_CERT_FILE" in said
