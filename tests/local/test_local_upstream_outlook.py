"""What is done about a failed call to the upstream, and which addresses one may have."""

import pytest

from valar_batch.errors import (
    BillingRefused,
    ConnectionFailed,
    KeyRefused,
    NotFound,
    RateLimited,
    RequestRefused,
    ServerFault,
    UnreadableAnswer,
    UsageError,
)
from valar_batch.local.upstream.outlook import Outlook, Unreached, outlook, reason
from valar_batch.local.upstream.settings import UpstreamSettings


@pytest.mark.parametrize(
    ("error", "expected", "why"),
    [
        (Unreached("x"), Outlook.WAIT, "cannot be reached"),
        (RateLimited("x", status=429), Outlook.WAIT, "asks to slow down (429)"),
        (ServerFault("x", status=502), Outlook.WAIT, "takes nothing now (502)"),
        (ServerFault("x", status=503), Outlook.WAIT, "takes nothing now (503)"),
        (
            KeyRefused("x", status=401),
            Outlook.WAIT,
            "refuses the key: start again with the right --upstream-key",
        ),
        (BillingRefused("x", status=402), Outlook.WAIT, "refuses to bill its key (402)"),
        (ConnectionFailed("x"), Outlook.TRY_AGAIN, None),
        (ServerFault("x", status=408), Outlook.TRY_AGAIN, None),
        (ServerFault("x", status=500), Outlook.TRY_AGAIN, None),
        (ServerFault("x", status=504), Outlook.TRY_AGAIN, None),
        (ServerFault("x", status=501), Outlook.GIVE_UP, None),
        (KeyRefused("x", status=403), Outlook.GIVE_UP, None),
        (NotFound("x", status=404), Outlook.GIVE_UP, None),
        (RequestRefused("x", status=400), Outlook.GIVE_UP, None),
        (UnreadableAnswer("x"), Outlook.GIVE_UP, None),
    ],
)
def test_the_outlook_of_an_error(error, expected, why):
    """What was not taken waits, what was not finished is tried again, all else is given up."""
    assert outlook(error) is expected
    assert why is None or reason(error) == why


@pytest.mark.parametrize(
    ("given", "base_url"),
    [
        ("http://localhost:11434", "http://localhost:11434/v1"),
        ("http://localhost:11434/", "http://localhost:11434/v1"),
        ("http://[::1]:8080/v1/", "http://[::1]:8080/v1"),
        ("https://llm.example.com/openai/v1", "https://llm.example.com/openai/v1"),
    ],
)
def test_an_address(given, base_url):
    """The path that nearly all such servers have is taken where none is given."""
    settings = UpstreamSettings(base_url=given, api_key="secret")
    assert settings.base_url == base_url
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("localhost:11434", ""),
        ("ftp://localhost/v1", ""),
        ("http://", ""),
        ("http://localhost:70000/v1", ""),
        ("http://localhost/v1?a=b", ""),
        ("https://me:secret@example.com/v1", ""),
        ("ftp://me:secret@example.com/v1", ""),
        ("http://gpu.example.com/v1", "secret"),
        ("https://example.com/v1", "sec\nret"),
    ],
)
def test_what_is_no_address(given, key):
    """What cannot be reached so, or would show the key, is refused; the key is not repeated."""
    with pytest.raises(UsageError) as refused:
        UpstreamSettings(base_url=given, api_key=key)
    assert "secret" not in refused.value.message
