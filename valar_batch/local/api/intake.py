"""What the local Valar takes: POST bodies to checked requests, or the refusal Valar would give.

The rules are those of `core.rules`; here they meet bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from valar_batch.core.checks import check_of, shorten
from valar_batch.core.prices import shipped_prices
from valar_batch.core.rules import BATCH_WINDOWS, CHAT, MESSAGES, RESPONSES
from valar_batch.core.rules.batch import ENVELOPE, ITEM
from valar_batch.core.validate import check_body, check_unique, nearest, single_windows
from valar_batch.local.api.chat import chat_params
from valar_batch.local.api.exchange import JSON
from valar_batch.local.api.messages import message_params
from valar_batch.local.refusals import refuse
from valar_batch.local.state.records import ANY_OBJECT, NewBatch, Request

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from valar_batch.core.problems import Problem
    from valar_batch.core.rules import Surface

T = TypeVar("T")

# Requests stay raw until they are looked at, so that a body near the limit is not held twice over.
Source = bytes | bytearray | msgspec.Raw
RAW_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
RAW_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
ANY = msgspec.json.Decoder()

CHECK_ENVELOPE, CHECK_ITEM = check_of(ENVELOPE), check_of(ITEM)
SINGLE = {surface.path: surface for surface in (RESPONSES, CHAT, MESSAGES)}
"""The surfaces that answer one request, by their path."""


def shipped_models() -> Collection[str]:
    """Name the models that Valar serves."""
    return shipped_prices().models.keys()


def read_batch(body: Source, served: Collection[str] | None = None) -> NewBatch:
    """Read and check the body of `POST /v1/batches`; the first problem raises RequestRefused.

    `served` are the models that may be asked for, by default those that Valar serves.
    """
    fields = decode(RAW_OBJECT, body, None)
    raw = fields.get("requests")
    items = None if raw is None else decode(RAW_ARRAY, raw, "requests")
    frame = {name: decode(ANY, value, name) for name, value in fields.items() if value is not raw}
    # The requests stand in their place: their order is that of the fields.
    refuse_first(CHECK_ENVELOPE(frame if items is None else {**frame, "requests": items}), "")
    requests: list[Request] = []
    positions: dict[str, int] = {}
    for position, item in enumerate(items or ()):
        request = read_request(item, f"requests.{position}", served)
        refuse_first(check_unique(request.custom_id, position, positions), "")
        requests.append(request)
    return NewBatch(requests, frame.get("label"))


def read_request(item: Source, where: str, served: Collection[str] | None = None) -> Request:
    """Read and check one element of `requests`; `where` is its dotted path."""
    fields = decode(RAW_OBJECT, item, where)
    decoded = {name: decode(ANY, value, join(where, name)) for name, value in fields.items()}
    refuse_first(CHECK_ITEM(decoded), where)
    check(RESPONSES, decoded["params"], f"{where}.params", BATCH_WINDOWS, served)
    return Request(decoded["custom_id"], bytes(fields["params"]))


def read_single(
    surface: Surface, body: Source, served: Collection[str] | None = None
) -> dict[str, Any]:
    """Read and check the body of a single request; the first problem raises RequestRefused."""
    params = decode(ANY_OBJECT, body, None)
    check(surface, params, "", single_windows(surface, params), served)
    return params


def single_params(endpoint: str, body: Source, served: Collection[str] | None = None) -> bytes:
    """Read the body of a single request of any surface; give the params of a response, as JSON.

    The body of a response stays as it came; what is checked is the body of its own surface.
    """
    surface = SINGLE[endpoint]
    checked = read_single(surface, body, served)
    if surface is CHAT:
        return JSON.encode(chat_params(checked))
    if surface is MESSAGES:
        return JSON.encode(message_params(checked))
    return bytes(body)


def check(
    surface: Surface,
    params: dict[str, Any],
    where: str,
    windows: Collection[str],
    served: Collection[str] | None,
) -> None:
    """Refuse what Valar would refuse; `windows` are those of the place of use."""
    refuse_first(check_body(surface, params, windows=windows), where)
    served = shipped_models() if served is None else served
    name = params["model"]
    if name not in served:
        near = nearest(name, tuple(served)) or "GET /models lists what is"
        refuse(f"model {shorten(name)} is not served here: {near}", join(where, "model"))


def refuse_first(problems: Iterable[Problem], where: str) -> None:
    """Refuse the first problem, if there is one."""
    for problem in problems:
        hint = f"; {problem.hint}" if problem.hint else ""
        refuse(problem.message + hint, join(where, problem.field) or None)


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
    return f"{where}.{name}" if where and name else where or name
