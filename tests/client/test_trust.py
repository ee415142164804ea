"""Nothing in the environment makes either client trust a certificate."""

from __future__ import annotations

import pytest
from conftest import KEY

from valar_batch.client.api import Valar
from valar_batch.client.connection import Connection
from valar_batch.client.fanout import Fanout
from valar_batch.errors import ConnectionFailed

FILES = {
    "HOME": {".curlrc": "insecure\n", ".netrc": "machine 127.0.0.1 login me password secret\n"},
    "CURL_HOME": {".curlrc": "insecure\n"},
}
"""Variables that name a folder, with what other programs would read there."""


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PYTHONHTTPSVERIFY", "0"),
        ("GIT_SSL_NO_VERIFY", "1"),
        ("CURL_CA_BUNDLE", ""),
        ("REQUESTS_CA_BUNDLE", ""),
        ("SSL_CERT_FILE", ""),
        ("SSL_CERT_DIR", ""),
        ("SSL_CERT_FILE", "/dev/null"),
        ("HOME", None),
        ("CURL_HOME", None),
    ],
)
def test_no_variable_turns_the_check_off(tls_origin, tmp_path, monkeypatch, variable, value):
    """The certificate stays refused, by httpx and by libcurl, and no request is made."""
    for name, content in FILES.get(variable, {}).items():
        (tmp_path / name).write_text(content)
    monkeypatch.setenv(variable, str(tmp_path) if value is None else value)
    connection = Connection(tls_origin.base_url, KEY)
    with Valar(connection) as valar, pytest.raises(ConnectionFailed, match="is not trusted"):
        valar.models()
    with pytest.raises(ConnectionFailed, match="is not trusted"):
        fetch_one(connection)
    assert tls_origin.requests == []


def fetch_one(connection):
    """Fetch a result, whatever it is."""
    with Fanout(
        connection, accept=lambda *_: True, not_found=lambda _: None, failed=lambda *_: None
    ) as fanout:
        fanout.put([("/a", "a")])
        fanout.wait()
