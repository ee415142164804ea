"""Images of a request: what Valar takes, told from an image's first bytes and its size.

Source of the rules: API reference, Responses, Image input, by way of `core.rules`.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import msgspec

from valar_batch.core.prices import shipped_prices
from valar_batch.core.problems import Problem
from valar_batch.core.rules import IMAGE_TYPES, MAX_IMAGE_BYTES, MAX_IMAGES

if TYPE_CHECKING:
    pass

HEAD_BYTES = 768
"""As many bytes as tell what an image is; a multiple of 3, so that base64 can be cut there."""

SIGNATURES: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), what)
    for pattern, what in (
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        (rb"RIFF....WEBP", "image/webp"),
        (rb"GIF8[79]a", "image/gif"),
        (rb"II\*\0|MM\0\*", "TIFF"),
        (rb"BM....\0\0\0\0", "BMP"),
        (rb"....ftyp(?:hei|hev|mif1|msf1)", "HEIC"),
        (rb"....ftypavi", "AVIF"),
        (rb"....ftyp", "a video"),
        (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL"),
        (rb"\0\0\0\x0cjP  ", "JPEG 2000"),
        (rb"\0\0\x01\0", "an icon"),
        (rb"8BPS", "a Photoshop file"),
        (rb"%PDF-", "PDF"),
        (rb"PK\x03\x04", "a ZIP archive"),
        (rb"\x1f\x8b", "gzip"),
        (rb"version https://git-lfs", "a Git LFS pointer in place of the file"),
        (
            rb"(?i:(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<(?:!doctype )?svg)",
            "SVG",
        ),
        (rb"(?i:(?:\xef\xbb\xbf)?\s*<(?:!doctype )?html)", "HTML"),
        (rb"(?:[\t\r\n -~]|[\xc2-\xf4][\x80-\xbf]+)+[\xc2-\xf4]?\Z", "text"),
    )
)
"""How files begin: a media type of IMAGE_TYPES, or what else it is in words."""

ACCEPTED = "JPEG, PNG, WebP or GIF"
DATA_URI = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
LONGEST_DATA_URI_HEAD = 1_000
WEB_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
DATA_URI_HINT = "an image in base64 is written data:image/png;base64,…"
URL_HINT = f"{DATA_URI_HINT}; --image COLUMN sends local files"

BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
BASE64_STEP = 1 << 16
"""Characters looked at a time: nothing of the size of the image is made."""

BASE64_FAULTS = {
    "%": ("percent-encoded", "write + / and = as they are"),
    "-": ("URL-safe base64", "write + in place of -, and / in place of _"),
    "_": ("URL-safe base64", "write + in place of -, and / in place of _"),
    " ": ("broken by white space", "take the spaces and line breaks out of it"),
    "\n": ("broken by white space", "take the spaces and line breaks out of it"),
    "\r": ("broken by white space", "take the spaces and line breaks out of it"),
    "?": ("broken by a sign beyond ASCII or a ?", DATA_URI_HINT),
}

IMAGE_PARTS = frozenset({"input_image", "image_url", "image"})
"""The types of images in the content of messages: of Responses, Chat Completions and Messages."""

IMAGE_MARK = b'"input_image"'
"""Params without it have no image: a quote inside of a text is written otherwise."""


class ImageRefused(Exception):
    """An image that cannot be sent, with what to do; `kind` as in Problem."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint

    def at(self, field: str) -> Problem:
        """Give the problem that it is of a field."""
        return Problem(self.kind, field, self.message, self.hint)


def told_by_head(head: bytes) -> str:
    """Tell by its first HEAD_BYTES what a file is: a media type of IMAGE_TYPES, else in words."""
    return next((what for pattern, what in SIGNATURES if pattern.match(head)), "something unknown")


def check_head(head: bytes) -> str:
    """Give the media type of an image that Valar takes. Raises ImageRefused."""
    found = told_by_head(head)
    if found not in IMAGE_TYPES:
        hint = f"Valar takes {ACCEPTED}: convert it, or correct the value"
        raise ImageRefused("not an image", f"not a {ACCEPTED} image: it looks like {found}", hint)
    return found


def check_size(size: int) -> None:
    """Refuse what is empty, or larger than Valar takes; `size` in bytes. Raises ImageRefused."""
    if size == 0:
        raise ImageRefused("empty", "the image is empty")
    if size > MAX_IMAGE_BYTES:
        message = f"the image has {size:,} bytes; at most {MAX_IMAGE_BYTES:,}"
        raise ImageRefused("too large", message, "make the image smaller")


def data_uri(content: bytes) -> tuple[bytes, bytes]:
    """Give the data URI of an image in two pieces: the head and the base64. Raises ImageRefused."""
    check_size(len(content))
    kind = check_head(content[:HEAD_BYTES])
    return b"data:%b;base64," % kind.encode(), base64.b64encode(content)


def check_url(url: str) -> None:
    """Check an `image_url`: http, https or a data URI with an image. Raises ImageRefused.

    Of a data URI only the first bytes are decoded: its length gives the size.
    """
    scheme = url[:5].lower()
    if scheme == "data:":
        check_data_uri(url)
    elif not scheme.startswith("http"):
        message = f"{shortened(url)} is neither an http or https URL nor a data URI"
        raise ImageRefused("not a URL", message, URL_HINT)
    else:
        check_web_url(url)


def check_web_url(url: str) -> None:
    """Check an http or https URL. Raises ImageRefused."""
    if not WEB_URL.fullmatch(url):
        raise ImageRefused("not a URL", f"{shortened(url)} is not a whole URL", URL_HINT)


def check_data_uri(uri: str) -> None:
    """Check a data URI (RFC 2397) and the image in it. Raises ImageRefused."""
    head = DATA_URI.match(uri[:LONGEST_DATA_URI_HEAD])
    if head is None or not head[2].lower().endswith(";base64"):
        raise ImageRefused("not a data URI", "the data URI does not say ;base64,", DATA_URI_HINT)
    check_encoded(uri, head.end(), head[1].strip().lower())


def check_encoded(text: str, start: int, declared: str) -> None:
    """Check an image in base64, from `start` of a text on. Raises ImageRefused."""
    padding = 2 if text.endswith("==") else 1 if text.endswith("=") else 0
    check_size((len(text) - start) * 3 // 4 - padding)
    check_base64(text, start, len(text) - padding)
    first = text[start : start + HEAD_BYTES // 3 * 4]
    found = check_head(base64.b64decode(first))
    if declared != found:
        message = f"declared as {declared or 'nothing'}, but it is {found}"
        raise ImageRefused("wrong type", message, f"declare it as {found}")


def check_base64(text: str, start: int, stop: int) -> None:
    """Check that `text` is base64 from `start`, with padding from `stop`. Raises ImageRefused."""
    for at in range(start, stop, BASE64_STEP):
        piece = text[at : min(at + BASE64_STEP, stop)]
        if others := piece.encode("ascii", "replace").translate(None, BASE64):
            sign = others[:1].decode()
            what, hint = BASE64_FAULTS.get(sign, (f"broken by {sign!r}", DATA_URI_HINT))
            raise ImageRefused("not base64", f"the base64 is {what}", hint)
    if (len(text) - start) % 4:
        hint = "its length with the padding of = is a multiple of 4"
        raise ImageRefused("not base64", "the base64 is cut off, or lacks its padding", hint)


def check_images(items: list[Any], model: object, field: str) -> list[Problem]:
    """Check how many images messages hold, and that the model takes images at all."""
    count = len(image_parts(items))
    if not count:
        return []
    return [
        problem for problem in (check_model(model, field), check_count(count, field)) if problem
    ]


def check_sources(items: list[Any], field: str) -> list[Problem]:
    """Check the images that blocks of Messages hold in base64, beside their media type."""
    problems: list[Problem] = []
    for path, part in image_parts(items):
        source = part.get("source")
        data = source.get("data") if isinstance(source, dict) else None
        if isinstance(source, dict) and isinstance(data, str) and data:
            try:
                check_encoded(data, 0, str(source.get("media_type")))
            except ImageRefused as refused:
                problems.append(refused.at(f"{field}.{path}.source.data"))
    return problems


def check_count(count: int, field: str) -> Problem | None:
    """Give the problem of too many images in a request."""
    if count <= MAX_IMAGES:
        return None
    return Problem("too many", field, f"{count} images; at most {MAX_IMAGES} in a request")


def check_model(model: object, field: str) -> Problem | None:
    """Give the problem of images for a model that takes none; an unknown model may take them."""
    models = shipped_prices().models
    known = models.get(model) if isinstance(model, str) else None
    if known is None or known.images:
        return None
    takers = ", ".join(name for name, other in models.items() if other.images)
    message = f"model {model!r} does not support image input"
    return Problem("model", field, message, f"models that do: {takers}")


def image_parts(items: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    """Give the images in messages of any surface, each with its path."""
    found = []
    for position, item in enumerate(items):
        for name in ("content", "output") if isinstance(item, dict) else ():
            content = item.get(name)
            if isinstance(content, list):
                found += [
                    (f"{position}.{name}.{place}", part)
                    for place, part in enumerate(content)
                    if isinstance(part, dict) and part.get("type") in IMAGE_PARTS
                ]
    return found


def images_in(params: bytes) -> tuple[int, int]:
    """Count the images in the checked params of a request, and the characters of their URLs."""
    if IMAGE_MARK not in params:
        return 0, 0
    value = msgspec.json.decode(params).get("input")
    items = value.get("messages") if isinstance(value, dict) else value
    parts = image_parts(items) if isinstance(items, list) else []
    sizes = [len(part["image_url"]) for _, part in parts]
    return len(sizes), sum(sizes)


def shortened(text: str) -> str:
    """Show a text in a message, cut where it is long."""
    return repr(text if len(text) <= 60 else text[:59] + "…")
