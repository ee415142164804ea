"""Batch: what `POST /v1/batches` may be, around the params of its items.

Source: API reference, Batches.
"""

from __future__ import annotations

from valar_batch.core.rules.limits import BATCH_ENDPOINT, CUSTOM_ID, LABEL, MAX_BATCH_REQUESTS
from valar_batch.core.rules.shared import ANY_OBJECT, ANYTHING, Surface
from valar_batch.core.shapes import Array, Field, Object, Shape, Text, choice

ITEM = Object(
    (
        Field("custom_id", Text(pattern=CUSTOM_ID), required=True),
        Field("params", ANY_OBJECT, required=True),
    )
)
"""The params are those of Responses, checked for themselves."""


def batch_of(item: Shape) -> Object:
    """Give the shape of a batch with such items."""
    only_responses = "only Responses can be batched"
    return Object(
        (
            Field("endpoint", choice(BATCH_ENDPOINT), required=True, hint=only_responses),
            Field("requests", Array(item, 1, MAX_BATCH_REQUESTS), required=True),
            Field("label", Text(pattern=LABEL)),
        )
    )


ENVELOPE = batch_of(ANYTHING)
"""A batch before its items are looked at."""

BATCH = Surface("Batch", "/v1/batches", batch_of(ITEM))
