"""Limits, windows and patterns of the API.

Sources: Valar's API reference, Batches, Idempotency, Image input and Completion windows.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BATCH_ENDPOINT = "/v1/responses"
MAX_BATCH_REQUESTS = 100_000
MAX_BATCH_BYTES = 256_000_000
MAX_LIST_LIMIT = 200
DEFAULT_LIST_LIMIT = 25
MAX_IDEMPOTENCY_KEY_LENGTH = 255
CUSTOM_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
LABEL = re.compile(r"[a-zA-Z0-9_-]{1,128}")

WINDOW_FIELD = "metadata.completion_window"
BATCH_WINDOWS: Mapping[str, str] = MappingProxyType(
    {
        "standard": "",
        "flex": "flex in a batch is newer than the batch guide: Valar may refuse it",
    }
)
"""The windows that a batch item may ask for, each with a warning or an empty string."""
ALL_WINDOWS = ("asap", "standard", "flex")

MAX_IMAGES = 20
MAX_IMAGE_BYTES = 20_000_000
"""Bytes of one image as a file, so decoded from base64."""
IMAGE_TYPES: Mapping[str, str] = MappingProxyType(
    {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WebP", "image/gif": "GIF"}
)
"""The media types of the images that Valar takes, each with its name."""

LOGPROBS = "message.output_text.logprobs"
"""What `include` asks for where one logprob per output token is wanted."""
