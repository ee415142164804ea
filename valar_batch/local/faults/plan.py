"""A plan of faults: its TOML as typed values, every mistake in it named by table and field."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from valar_batch.errors import UsageError
from valar_batch.local.rehearsal.fate import Odds

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Count = Annotated[int, msgspec.Meta(ge=1)]

STATUSES = (400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 501, 502, 503, 504, 529)
HINT = (
    "a [[fault]] has a kind (status, drop, slow, never, truncated, garbled, html, map, late, "
    "running), and may say on, share, calls, from, to, per, most and key"
)
RESULTS = "GET /v1/batches/*/*"
STATUS_MAPS = "GET /v1/batches/*"


class Fault(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """What is hit: calls at `on`, a method and a path in which `*` is one segment.

    All of them, or those that fit every condition: a `share`, drawn for each call; `calls`, or
    those `from` … `to`, by their ordinals from 1 among all calls that `on` and `key` name, or with
    `per = "path"` among those of the same path; at `most` so many; only under the API key `key`.
    """

    on: str = "*"
    share: Share = 1.0
    calls: tuple[Count, ...] | None = None
    first: Count = msgspec.field(default=1, name="from")
    last: Count | None = msgspec.field(default=None, name="to")
    per: Literal["path"] | None = None
    most: Count | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        if self.on != "*":
            method, _, path = self.on.partition(" ")
            if not (method == "*" or (method.isalpha() and method.isupper())) or not (
                path == "*" or path.startswith("/v1/")
            ):
                raise ValueError('on: looks like "GET /v1/batches/*", or is "*"')
        if self.last is not None and self.last < self.first:
            raise ValueError(f"to: comes before from, which is {self.first}")


class Status(Fault, frozen=True, kw_only=True, tag="status"):
    """An error in Valar's envelope, instead of working at the call or, `processed`, after it."""

    status: int
    retry_after: Seconds | None = None
    as_date: bool = False
    processed: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status not in STATUSES:
            raise ValueError(f"status: is one of {', '.join(map(str, STATUSES))}")
        if self.as_date and self.retry_after is None:
            raise ValueError("as_date: needs retry_after")
        if self.processed and self.status < 500:
            raise ValueError("processed: a 4xx says that nothing was done; this goes with 5xx")


class Drop(Fault, frozen=True, kw_only=True, tag="drop"):
    """The connection ends before the body is read, after the call is done, or inside the answer."""

    when: Literal["before", "after", "inside"]


class Slow(Fault, frozen=True, kw_only=True, tag="slow"):
    """The answer comes after `seconds`, in pieces of `bytes` with a `pause` of seconds between."""

    seconds: Seconds = 0.0
    pause: Seconds = 0.0
    bytes: Count = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.seconds and not self.pause:
            raise ValueError("seconds: either this or pause is needed")


class Never(Fault, frozen=True, kw_only=True, tag="never"):
    """The connection stays open without an answer; `processed`, the call was worked at."""

    processed: bool = False


class Truncated(Fault, frozen=True, kw_only=True, tag="truncated"):
    """A `part` of the answer's body, under the length of the whole or under its own."""

    under: Literal["the whole length", "its own length"] = "its own length"
    part: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.5


class Garbled(Fault, frozen=True, kw_only=True, tag="garbled"):
    """The answer's body is no JSON."""


class Html(Fault, frozen=True, kw_only=True, tag="html"):
    """A proxy's page under `status`; `processed`, the call was worked at."""

    status: int = 200
    processed: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status != 200 and self.status not in STATUSES:
            raise ValueError(f"status: is 200 or one of {', '.join(map(str, STATUSES))}")


class Map(Fault, frozen=True, kw_only=True, tag="map"):
    """The first `polls` status maps of a batch are wrong about a `share` of its requests.

    They lack them, name a stranger beside each, say RUNNING of what was said to be settled, or say
    a `word` that nobody knows.
    """

    on: str = STATUS_MAPS
    what: Literal["lacks", "unknown ids", "back", "word"]
    polls: Count = 3
    word: str = "PONDERING"


class Late(Fault, frozen=True, kw_only=True, tag="late"):
    """A `share` of the results is a 404 to the first `asks`, or for `seconds` after the first."""

    on: str = RESULTS
    asks: Count | None = None
    seconds: Seconds | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.asks is None) == (self.seconds is None):
            raise ValueError("asks: either this or seconds is needed")


class Running(Fault, frozen=True, kw_only=True, tag="running"):
    """A `share` of the results still says in_progress to the first `asks`."""

    on: str = RESULTS
    asks: Count = 1


Taking = Status | Drop | Slow | Never | Truncated | Garbled | Html
"""What has a call for itself: of several that hit it, the first in the plan."""
Within = Map | Late | Running
"""What changes an answer from within: all of those that hit it do so."""
AnyFault = Taking | Within


def is_worked_at(fault: AnyFault | None) -> bool:
    """Whether a call that a fault has for itself is worked at all the same."""
    match fault:
        case Status(processed=False) | Html(processed=False) | Never(processed=False):
            return False
        case Drop(when="before"):
            return False
    return True


class Fates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shares of requests that end without an answer; they stand in for `--failure-share`."""

    failed: Share = 0.0
    cancelled: Share = 0.0

    def __post_init__(self) -> None:
        if self.failed + self.cancelled > 1:
            raise ValueError("cancelled: with failed, it is more than all of them")

    @property
    def odds(self) -> Odds:
        """The same, as requests are drawn by."""
        return Odds(self.failed, self.cancelled)


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong. The `seed` changes what every share hits.

    An idempotency reservation expires after `reservation_seconds`, by default never.
    """

    seed: int = 0
    reservation_seconds: Annotated[float, msgspec.Meta(ge=0)] = math.inf
    requests: Fates = Fates()
    faults: tuple[AnyFault, ...] = msgspec.field(default=(), name="fault")

    @property
    def summary(self) -> str:
        """Its faults, counted in words."""
        count = len(self.faults)
        said = [f"{count} fault{'' if count == 1 else 's'}"]
        failed, cancelled = self.requests.odds
        if failed:
            said.append(f"{failed:.0%} of requests fail")
        if cancelled:
            said.append(f"{cancelled:.0%} of requests are cancelled")
        if math.isfinite(self.reservation_seconds):
            said.append(f"reservations expire after {self.reservation_seconds:g} s")
        return ", ".join(said)


def load_plan(path: Path) -> Plan:
    """Read a plan from a TOML file. Raises UsageError."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"--faults {path}: {error.strerror}", hint="check the path") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: it is not UTF-8 text", hint=HINT) from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: this is not TOML: {error}", hint=HINT) from error
    return read_plan(document, str(path))


def read_plan(document: dict[str, Any], source: str) -> Plan:
    """Read a plan from its tables; `source` is what a UsageError calls it."""
    faults = document.get("fault", [])
    if isinstance(faults, list):
        for number, fault in enumerate(faults, start=1):
            convert(fault, AnyFault, f"{source}: [[fault]] {number}")
    convert(document.get("requests", {}), Fates, f"{source}: [requests]")
    plan: Plan = convert(document, Plan, source)
    return plan


def convert(value: Any, kind: Any, where: str) -> Any:
    """Convert one table, its mistakes told as `<where>: <field>: <what>`."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        field = place.rstrip("`").lstrip(".")
        raise UsageError(": ".join(filter(None, (where, field, what))), hint=HINT) from None
