"""A row's image columns to the image parts of its prompt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from valar_batch.core.images import (
    DATA_URI_HINT,
    ImageRefused,
    check_count,
    check_url,
    data_uri,
    shortened,
)
from valar_batch.core.problems import Problem
from valar_batch.core.rules import MAX_BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

URL = re.compile(r"data:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
FILE_URL = re.compile(r"file://", re.IGNORECASE)
LONGEST_PATH = 4_096
"""Characters; a longer text without a scheme is not a path."""

NO_IMAGE = ImageRefused("null", "there is no image", "--null '' sends such rows without it")


def no_files(path: str) -> bytes:
    """Stand for a reader of files where there is none."""
    raise ImageRefused("not a URL", f"{shortened(path)} is a path, and files are not read here")


class ImageColumns:
    """The columns `names` of a recipe.

    A value is an http or https URL, a data URI, bytes, a path, the struct `{"bytes", "path"}` of
    Hugging Face datasets, or a list of these. `skip_null`: a null or empty value has no image,
    and is no problem. `read` gives the bytes of a file by its path or file URL, or raises
    ImageRefused.
    """

    def __init__(
        self, names: Sequence[str], *, skip_null: bool, read: Callable[[str], bytes]
    ) -> None:
        self._names = names
        self._skip_null = skip_null
        self._read = read

    def content(self, text: bytes, row: Mapping[str, Any]) -> tuple[list[bytes], list[Problem]]:
        """Give a message's content, `text` (as JSON) and the row's images, or what is wrong.

        The JSON comes in pieces: a large image is not copied more often than it must be. Nothing
        is read of a row that has too many.
        """
        found = [leaf for name in self._names for leaf in leaves(row.get(name), name)]
        images = [(field, value) for field, value in found if not is_empty(value)]
        if len(images) < len(found) and not self._skip_null:
            return [], [NO_IMAGE.at(field) for field, value in found if is_empty(value)]
        if too_many := check_count(len(images), ", ".join(self._names)):
            return [], [too_many]
        pieces: list[bytes] = [b'[{"type":"input_text","text":', text, b"}"]
        problems: list[Problem] = []
        size = 0
        for field, value in images:
            try:
                url = self._url(value)
            except ImageRefused as refused:
                problems.append(refused.at(field))
                continue
            pieces += (b',{"type":"input_image","image_url":', *url, b"}")
            size += sum(map(len, url))
            if size >= MAX_BATCH_BYTES:
                return [], [*problems, too_large(size, field)]
        pieces.append(b"]")
        return pieces, problems

    def _url(self, value: Any) -> tuple[bytes, ...]:
        """Give the JSON of an image's URL, in pieces. Raises ImageRefused."""
        if isinstance(value, str):
            if URL.match(value) and not FILE_URL.match(value):
                check_url(value)
                return (orjson.dumps(value),)
            if len(value) > LONGEST_PATH:
                message = f"a text of {len(value):,} characters is neither a path nor a URL"
                raise ImageRefused("not a URL", message, DATA_URI_HINT)
            value = self._read(value)
        if not isinstance(value, bytes):
            message = f"{shortened(str(value))} is no image"
            raise ImageRefused("wrong type", message, "an image is a path, URL, data URI or bytes")
        return b'"', *data_uri(value), b'"'


def too_large(size: int, field: str) -> Problem:
    """Give the problem of images that fit in no batch; the rest of them need not be read."""
    message = f"the images up to here have {size:,} bytes in base64"
    return Problem("too large", field, message, f"a request stays under {MAX_BATCH_BYTES:,} bytes")


def leaves(value: Any, field: str) -> Iterator[tuple[str, Any]]:
    """Give the single images of a value, each with the path of its place."""
    if isinstance(value, list) and value:
        for position, inner in enumerate(value):
            yield from leaves(inner, f"{field}.{position}")
    elif isinstance(value, dict) and value.keys() <= {"bytes", "path"}:
        content = value.get("bytes")
        yield field, value.get("path") if is_empty(content) else content
    else:
        yield field, value


def is_empty(value: Any) -> bool:
    """Whether a value has no image."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or value in (b"", [])
