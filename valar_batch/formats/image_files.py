"""Local images: the bytes of the files that rows name."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from valar_batch.core.images import HEAD_BYTES, ImageRefused, check_head, check_size
from valar_batch.core.rules import MAX_IMAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

RELATIVE = "a relative path begins at the input's folder, or here for standard input"


class ImageFiles:
    """Reads images by the paths and file URLs in rows; `base` says where relative ones begin."""

    def __init__(self, base: Callable[[], Path]) -> None:
        self._base = base

    def __call__(self, name: str) -> bytes:
        """Give the bytes of an image. Raises ImageRefused, which names the path."""
        path = self._path(name)
        try:
            return content_of(path)
        except ImageRefused as refused:
            raise ImageRefused(refused.kind, f"{path}: {refused.message}", refused.hint) from None
        except (FileNotFoundError, NotADirectoryError):
            message = f"there is no file {path}"
            raise ImageRefused("no file", message, RELATIVE) from None
        except PermissionError:
            raise ImageRefused("unreadable", f"{path} may not be read", "check its mode") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ImageRefused("unreadable", f"{path} cannot be read: {reason}") from error

    def _path(self, name: str) -> Path:
        if name[:7].lower() != "file://":
            return self._base() / name
        parts = urlsplit(name)
        if parts.netloc not in ("", "localhost"):
            message = f"{name} is a file of another machine"
            raise ImageRefused("no file", message, "a file URL is file:///folder/image.png")
        return self._base() / url2pathname(parts.path)


def content_of(path: Path) -> bytes:
    """Read an image; one that is too large is not read. Raises ImageRefused, OSError, ValueError.

    Only ordinary files are opened: a pipe would be waited for.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "no ordinary file"
        raise ImageRefused("no file", f"this is {what}", "name an image file")
    check_size(found.st_size)
    with path.open("rb") as file:
        content = file.read(MAX_IMAGE_BYTES + 1)
    check_size(len(content))
    check_head(content[:HEAD_BYTES])
    return content
