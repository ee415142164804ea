"""Local images are read by their paths; what cannot be read is named by its full path."""

from __future__ import annotations

import os

import pytest

from valar_batch.core.images import ImageRefused
from valar_batch.formats.image_files import RELATIVE, ImageFiles

LONG = "x" * 300
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.mark.parametrize(
    "name",
    ["a b.png", "sub/../a b.png", "{base}/a b.png", "file://{base}/a%20b.png",
     "FILE://localhost{base}/a%20b.png"],
)  # fmt: skip
def test_paths_that_are_read(tmp_path, name) -> None:
    """Relative to the base, absolute, and file URLs, percent-encoded as they are."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a b.png").write_bytes(PNG)
    assert ImageFiles(lambda: tmp_path)(name.format(base=tmp_path)) == PNG


@pytest.mark.parametrize(
    ("name", "kind", "message", "hint"),
    [
        ("no.png", "no file", "there is no file {base}/no.png", RELATIVE),
        ("a.png/b.png", "no file", "there is no file {base}/a.png/b.png", RELATIVE),
        ("sub", "no file", "{base}/sub: this is a folder", "name an image file"),
        ("pipe", "no file", "{base}/pipe: this is no ordinary file", "name an image file"),
        ("empty.png", "empty", "{base}/empty.png: the image is empty", ""),
        (
            "large.png",
            "too large",
            "{base}/large.png: the image has 20,000,001 bytes; at most 20,000,000",
            "make the image smaller",
        ),
        (
            "text.png",
            "not an image",
            "{base}/text.png: not a JPEG, PNG, WebP or GIF image: it looks like text",
            "Valar takes JPEG, PNG, WebP or GIF: convert it, or correct the value",
        ),
        (LONG, "unreadable", f"{{base}}/{LONG} cannot be read: File name too long", ""),
        ("a\0b", "unreadable", "{base}/a\0b cannot be read: embedded null byte", ""),
        (
            "file://elsewhere/a.png",
            "no file",
            "file://elsewhere/a.png is a file of another machine",
            "a file URL is file:///folder/image.png",
        ),
    ],
)  # fmt: skip
def test_paths_that_are_refused(tmp_path, name, kind, message, hint) -> None:
    """The message has the path that was tried, and what is there instead."""
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(20_000_001)
    with pytest.raises(ImageRefused) as refused:
        ImageFiles(lambda: tmp_path)(name)
    error = refused.value
    assert (error.kind, error.message, error.hint) == (kind, message.format(base=tmp_path), hint)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path) -> None:
    """A missing permission is said as that."""
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    path.chmod(0)
    with pytest.raises(ImageRefused, match=r"a\.png may not be read"):
        ImageFiles(lambda: tmp_path)("a.png")
