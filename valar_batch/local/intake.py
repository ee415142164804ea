"""What the local Valar takes: POST bodies to checked requests, or the refusal Valar would give.

Source of the rules: API reference, Batches and Responses, by way of `core.rules`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from valar_batch.core.prices import shipped_prices
from valar_batch.core.rules import (
    ALL_WINDOWS,
    BATCH_ENDPOINT,
    BATCH_WINDOWS,
    CUSTOM_ID,
    LABEL,
    MAX_BATCH_REQUESTS,
)
from valar_batch.core.validate import check_params, nearest, shorten
from valar_batch.local.refusals import refuse

if TYPE_CHECKING:
    from collections.abc import Collection

T = TypeVar("T")

# Values stay raw until they are looked at, so that a body near the limit is not held twice over.
Source = bytes | bytearray | msgspec.Raw
ANY_OBJECT = msgspec.json.Decoder(dict[str, Any])
RAW_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
RAW_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
TEXT = msgspec.json.Decoder(str)


class Request(NamedTuple):
    """A request of a batch that has passed every check; `params` are the bytes as they came."""

    custom_id: str
    params: bytes


@dataclass(frozen=True, slots=True)
class NewBatch:
    """The body of `POST /v1/batches`."""

    requests: list[Request]
    label: str | None


def read_batch(body: Source) -> NewBatch:
    """Read and check the body of `POST /v1/batches`; the first problem raises RequestRefused."""
    fields = read_fields(body, "", required=("endpoint", "requests"), optional=("label",))
    endpoint = decode(TEXT, fields["endpoint"], "endpoint")
    if endpoint != BATCH_ENDPOINT:
        refuse(f"{shorten(endpoint)} cannot be batched: use {BATCH_ENDPOINT!r}", "endpoint")
    label = decode(TEXT, fields["label"], "label") if "label" in fields else None
    if label is not None and not LABEL.fullmatch(label):
        refuse(f"{shorten(label)} does not match {LABEL.pattern}", "label")
    items = decode(RAW_ARRAY, fields["requests"], "requests")
    if not 1 <= len(items) <= MAX_BATCH_REQUESTS:
        refuse(f"a batch has 1 to {MAX_BATCH_REQUESTS} requests, not {len(items)}", "requests")
    requests: list[Request] = []
    positions: dict[str, int] = {}
    for position, item in enumerate(items):
        request = read_request(item, f"requests.{position}")
        before = positions.setdefault(request.custom_id, position)
        if before != position:
            refuse(
                f"{request.custom_id!r} is the custom_id of requests.{before} too",
                f"requests.{position}.custom_id",
            )
        requests.append(request)
    return NewBatch(requests, label)


def read_request(item: Source, where: str) -> Request:
    """Read and check one element of `requests`; `where` is its dotted path."""
    fields = read_fields(item, where, required=("custom_id", "params"))
    custom_id = decode(TEXT, fields["custom_id"], f"{where}.custom_id")
    if not CUSTOM_ID.fullmatch(custom_id):
        message = f"{shorten(custom_id)} does not match {CUSTOM_ID.pattern}"
        refuse(message, f"{where}.custom_id")
    check(decode(ANY_OBJECT, fields["params"], f"{where}.params"), f"{where}.params", BATCH_WINDOWS)
    return Request(custom_id, bytes(fields["params"]))


def read_response(body: Source) -> dict[str, Any]:
    """Read and check the body of `POST /v1/responses`; the first problem raises RequestRefused."""
    params = decode(ANY_OBJECT, body, None)
    # Completion windows: flex only in the background.
    in_background = params.get("background") is True
    check(params, "", [window for window in ALL_WINDOWS if in_background or window != "flex"])
    return params


def check(params: dict[str, Any], where: str, windows: Collection[str]) -> None:
    """Refuse params that Valar would refuse; `windows` are those of the place of use."""
    name = params.get("model")
    model = shipped_prices().models.get(name) if isinstance(name, str) else None
    if model is not None:
        windows = [window for window in windows if window in model.windows]
    for problem in check_params(params, windows=windows):
        hint = f"; {problem.hint}" if problem.hint else ""
        refuse(problem.message + hint, join(where, problem.field))
    if model is None:
        near = nearest(str(name), tuple(shipped_prices().models)) or "GET /models lists what is"
        refuse(f"model {name!r} is not served here: {near}", join(where, "model"))


def read_fields(
    source: Source, where: str, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, msgspec.Raw]:
    """Decode an object one level deep, and hold it to the fields that it may have."""
    fields = decode(RAW_OBJECT, source, where or None)
    for name in fields:
        if name not in required and name not in optional:
            refuse(f"unknown field; there are {', '.join(required + optional)}", join(where, name))
    for name in required:
        if name not in fields:
            refuse("a required field is missing", join(where, name))
    return fields


def decode(decoder: msgspec.json.Decoder[T], source: Source, param: str | None) -> T:
    """Decode JSON, or refuse it under the name of its field."""
    try:
        return decoder.decode(source)
    except msgspec.ValidationError as error:
        refuse(str(error), param)
    except (ValueError, RecursionError) as error:
        refuse(f"this is not JSON: {error}", param)


def join(where: str, name: str) -> str:
    """Put a field's name behind the dotted path of its object."""
    return f"{where}.{name}" if where else name
