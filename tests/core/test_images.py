"""What an image is, told from its first bytes and its size; everything else is refused in words."""

from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valar_batch.core.images import (
    BASE64_STEP,
    ImageRefused,
    check_url,
    images_in,
    told_by_head,
)
from valar_batch.core.problems import Problem
from valar_batch.core.rules import MAX_IMAGE_BYTES, MAX_IMAGES
from valar_batch.core.validate import check_input

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(50)
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L" + bytes(20)
GIF = b"GIF89a" + bytes(20)
STRICT_BASE64 = re.compile(
    "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"  # RFC 4648, section 4
)
TAKERS = "models that do: moonshotai/Kimi-K2.6, google/gemma-4-31B-it"


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (WEBP, "image/webp"),
        (GIF, "image/gif"),
        (b"GIF87a,", "image/gif"),
        (b"\x89PNG", "something unknown"),
        (b"RIFF\x1a\x00\x00\x00WAVEfmt ", "something unknown"),
        (b"II*\x00\x08\x00", "TIFF"),
        (b"MM\x00*\x00\x08", "TIFF"),
        (b"BM\x36\x00\x0c\x00\x00\x00\x00\x00\x36\x00", "BMP"),
        (b"BMW is a car", "text"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "HEIC"),
        (b"\x00\x00\x00\x1cftypavif\x00\x00", "AVIF"),
        (b"\x00\x00\x00\x20ftypisom\x00\x00", "a video"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b"PK\x03\x04\x14\x00", "a ZIP archive"),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<SVG xmlns="">', "SVG"),
        (b"\n<!DOCTYPE html><html>", "HTML"),
        (b"version https://git-lfs.github.com/", "a Git LFS pointer in place of the file"),
        ("Ein schöner Text, 漢字".encode(), "text"),
        (b"\x80\x81", "something unknown"),
        (("é" * 400).encode()[:767], "text"),
        (b"\x00\x01\x02", "something unknown"),
        (b"", "something unknown"),
    ],
)  # fmt: skip
def test_what_bytes_are(content, what) -> None:
    """The four types that Valar takes are told apart, and others are named for the message."""
    assert told_by_head(content) == what


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.png",
        "HTTP://example.org:8080/a%20b.png?x=1#y",
        "https://example.org",
        f"data:image/png;base64,{encoded(PNG)}",
        f"DATA:Image/PNG;Base64,{encoded(PNG)}",
        f"data:image/jpeg;name=a.jpg;charset=utf-8;base64,{encoded(JPEG)}",
        f"data:image/webp;base64,{encoded(WEBP)}",
        f"data:image/gif;base64,{encoded(GIF)}",
        f"data:image/gif;base64,{encoded(GIF + b'x')}",
        f"data:image/gif;base64,{encoded(GIF + b'xy')}",
    ],
)
def test_urls_that_are_taken(url) -> None:
    """http, https, and data URIs in any case, with parameters, with any padding."""
    check_url(url)


NO_URL = "is neither an http or https URL nor a data URI"
BEYOND = "the base64 is broken by a sign beyond ASCII or a ?"
FAULTS = [
    ("file:///a.png", "not a URL", f"'file:///a.png' {NO_URL}"),
    ("pics/a.png", "not a URL", f"'pics/a.png' {NO_URL}"),
    ("s3://b/a.png", "not a URL", f"'s3://b/a.png' {NO_URL}"),
    ("", "not a URL", f"'' {NO_URL}"),
    ("https:///a.png", "not a URL", "'https:///a.png' is not a whole URL"),
    ("http://a b/c.png", "not a URL", "'http://a b/c.png' is not a whole URL"),
    ("httpd://x", "not a URL", "'httpd://x' is not a whole URL"),
    ("data:image/png", "not a data URI", "the data URI does not say ;base64,"),
    ("data:image/svg+xml,%3Csvg", "not a data URI", "the data URI does not say ;base64,"),
    ("data:;base64,", "empty", "the image is empty"),
    (f"data:;base64,{encoded(PNG)}", "wrong type", "declared as nothing, but it is image/png"),
    (
        f"data:image/jpeg;base64,{encoded(PNG)}",
        "wrong type",
        "declared as image/jpeg, but it is image/png",
    ),
    (
        f"data:image/jpg;base64,{encoded(JPEG)}",
        "wrong type",
        "declared as image/jpg, but it is image/jpeg",
    ),
    (
        f"data:image/png;base64,{encoded(b'%PDF-1.7')}",
        "not an image",
        "not a JPEG, PNG, WebP or GIF image: it looks like PDF",
    ),
    ("data:image/png;base64,iVBO%2Bg%3D%3D", "not base64", "the base64 is percent-encoded"),
    ("data:image/png;base64,iVBO-w==", "not base64", "the base64 is URL-safe base64"),
    ("data:image/png;base64,iVBO\niVBO", "not base64", "the base64 is broken by white space"),
    ("data:image/png;base64,iVB=iVBO", "not base64", "the base64 is broken by '='"),
    ("data:image/png;base64,iVBÖ", "not base64", BEYOND),
    ("data:image/png;base64,iVB\udc80", "not base64", BEYOND),
    ("data:image/png;base64,iVBOR", "not base64", "the base64 is cut off, or lacks its padding"),
    ("data:image/png;base64,iVBORw", "not base64", "the base64 is cut off, or lacks its padding"),
    ("data:image/png;base64,=", "not base64", "the base64 is cut off, or lacks its padding"),
    ("data:image/png;base64,====", "not base64", "the base64 is broken by '='"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "kind", "message"), FAULTS)
def test_urls_that_are_refused(url, kind, message) -> None:
    """What is wrong is said, with what to do."""
    with pytest.raises(ImageRefused) as refused:
        check_url(url)
    assert (refused.value.kind, refused.value.message) == (kind, message)
    assert refused.value.hint or kind == "empty"


def test_the_size_at_the_limit() -> None:
    """Twenty million bytes are taken, one more is not; both are told by the length alone."""
    most = PNG + bytes(MAX_IMAGE_BYTES - len(PNG))
    check_url(f"data:image/png;base64,{encoded(most)}")
    with pytest.raises(ImageRefused) as refused:
        check_url(f"data:image/png;base64,{encoded(most + b'x')}")
    assert (refused.value.kind, refused.value.message) == (
        "too large",
        "the image has 20,000,001 bytes; at most 20,000,000",
    )


@given(
    st.sampled_from([0, BASE64_STEP - 4, BASE64_STEP, 2 * BASE64_STEP]),
    st.one_of(
        st.binary(max_size=60).map(encoded),
        st.text("AQgw+/=-% \n", max_size=12),
        st.tuples(st.integers(0, 400), st.characters(codec="ascii")).map(
            lambda cut: encoded(PNG)[: cut[0]] + cut[1] + encoded(PNG)[cut[0] :]
        ),
    ),
)
def test_base64_is_held_to_its_rule(before, text) -> None:
    """Base64 is groups of four signs with padding in the last, wherever the check cuts it."""
    payload = encoded(PNG[:24]) + "A" * before + text
    url = f"data:image/png;base64,{payload}"
    if STRICT_BASE64.fullmatch(payload):
        check_url(url)
    else:
        with pytest.raises(ImageRefused) as refused:
            check_url(url)
        assert refused.value.kind == "not base64"


def message(*parts: dict, role: str = "user") -> dict:
    return {"role": role, "content": list(parts)}


def image(url: object = "https://example.org/a.png", **more: object) -> dict:
    return {"type": "input_image", "image_url": url, **more}


@pytest.mark.parametrize(
    ("value", "model", "problems"),
    [
        ([message(image())], "google/gemma-4-31B-it", []),
        ([message(image())], "no/such-model", []),
        ([message(image())], None, []),
        ([message(image(detail="low"), image())], None, []),
        ([message(*[image()] * MAX_IMAGES)], None, []),
        (
            [message(image())],
            "openai/gpt-oss-120b",
            [
                Problem(
                    "model",
                    "input",
                    "model 'openai/gpt-oss-120b' does not support image input",
                    TAKERS,
                )
            ],
        ),
        (
            {"messages": [message(*[image()] * 20), message(image())]},
            None,
            [Problem("too many", "input.messages", "21 images; at most 20 in a request")],
        ),
        (
            [message(image(7, detail="most"))],
            None,
            [
                Problem(
                    "wrong type", "input.0.content.0.image_url", "7 is an integer, not a string"
                ),
                Problem(
                    "not allowed",
                    "input.0.content.0.detail",
                    "'most' is not one of auto, low, high",
                ),
            ],
        ),
        (
            [message({"type": "input_text", "text": "x"}, image(f"data:;base64,{encoded(GIF)}"))],
            None,
            [
                Problem(
                    "wrong type",
                    "input.0.content.1.image_url",
                    "declared as nothing, but it is image/gif",
                    "declare it as image/gif",
                )
            ],
        ),
    ],
)
def test_images_in_ready_messages(value, model, problems) -> None:
    """Images of finished requests and ready messages are held to the same rules."""
    assert check_input(value, model) == problems


def test_images_of_params_are_counted() -> None:
    """The images in the bytes of a request, and how much of it they are."""
    url = f"data:image/png;base64,{encoded(PNG)}"
    several = [message(image(url), image()), {"role": "user", "content": "x"}, message(image(url))]
    sizes = 2 * len(url) + len("https://example.org/a.png")
    for value, count in (
        (several, (3, sizes)),
        ({"messages": several}, (3, sizes)),
        ('say "input_image"', (0, 0)),
        ([message({"type": "input_text", "text": '{"type":"input_image"}'})], (0, 0)),
    ):
        assert images_in(json.dumps({"model": "m", "input": value}).encode()) == count
    aside = {"input": "x", "metadata": {"type": "input_image"}}
    assert images_in(json.dumps(aside).encode()) == (0, 0)
