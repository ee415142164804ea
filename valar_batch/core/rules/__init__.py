"""What Valar takes and refuses, as data: limits, and every field of its four surfaces.

Validation, the local Valar, the tests and docs/api-support.md read these tables, so that a rule is
one line in one place. Source: Valar's API reference.
"""

from __future__ import annotations

from valar_batch.core.rules.batch import BATCH
from valar_batch.core.rules.chat import CHAT
from valar_batch.core.rules.limits import (
    ALL_WINDOWS,
    BATCH_ENDPOINT,
    BATCH_WINDOWS,
    CUSTOM_ID,
    DEFAULT_LIST_LIMIT,
    IMAGE_TYPES,
    LABEL,
    LOGPROBS,
    MAX_BATCH_BYTES,
    MAX_BATCH_REQUESTS,
    MAX_IDEMPOTENCY_KEY_LENGTH,
    MAX_IMAGE_BYTES,
    MAX_IMAGES,
    MAX_LIST_LIMIT,
    WINDOW_FIELD,
)
from valar_batch.core.rules.messages import MESSAGES
from valar_batch.core.rules.responses import INPUT, INPUT_MESSAGES, RESPONSES
from valar_batch.core.rules.shared import Surface

SURFACES = (RESPONSES, CHAT, MESSAGES, BATCH)

__all__ = [
    "ALL_WINDOWS",
    "BATCH",
    "BATCH_ENDPOINT",
    "BATCH_WINDOWS",
    "CHAT",
    "CUSTOM_ID",
    "DEFAULT_LIST_LIMIT",
    "IMAGE_TYPES",
    "INPUT",
    "INPUT_MESSAGES",
    "LABEL",
    "LOGPROBS",
    "MAX_BATCH_BYTES",
    "MAX_BATCH_REQUESTS",
    "MAX_IDEMPOTENCY_KEY_LENGTH",
    "MAX_IMAGES",
    "MAX_IMAGE_BYTES",
    "MAX_LIST_LIMIT",
    "MESSAGES",
    "RESPONSES",
    "SURFACES",
    "WINDOW_FIELD",
    "Surface",
]
