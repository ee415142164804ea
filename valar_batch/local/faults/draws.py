"""Which calls a fault hits: by conditions and by draws that the order of calls does not change."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from valar_batch.local.faults.plan import Within

if TYPE_CHECKING:
    from valar_batch.local.faults.plan import AnyFault, Plan


def is_drawn(share: float, *where: object) -> bool:
    """Whether the draw at a place, which is always the same, falls within a share (0 to 1)."""
    if share >= 1:
        return True
    place = "/".join(map(str, where)).encode("utf-8", "surrogatepass")
    draw = int.from_bytes(hashlib.blake2b(place, digest_size=8).digest())
    return draw < share * 2**64


class Armed:
    """A fault of a plan at work: how many calls it was up for, and how often it struck.

    `number` is its place in the plan, from 1.
    """

    def __init__(self, fault: AnyFault, number: int, seed: int) -> None:
        self.fault = fault
        self.number = number
        self.calls = 0
        self.struck = 0
        self._seed = seed
        self._pattern = pattern_of(fault.on)
        self._said_settled: dict[str, set[str]] = {}
        self._first_asked: dict[str, float] = {}

    @property
    def draws_within(self) -> bool:
        """Whether its share is drawn of what answers are about, and not of calls."""
        return isinstance(self.fault, Within)

    def hits(self, call: str, key: str, nth: int) -> bool:
        """Count a call (`GET /v1/…`), the `nth` of its like, and say whether it is hit."""
        fault = self.fault
        if not self._pattern.fullmatch(call) or fault.key not in (None, key):
            return False
        self.calls += 1
        ordinal = nth if fault.per == "path" else self.calls
        if ordinal < fault.first or (fault.last is not None and ordinal > fault.last):
            return False
        if fault.calls is not None and ordinal not in fault.calls:
            return False
        return self.draws_within or self.draws(call, nth)

    def draws(self, *where: object) -> bool:
        """Whether its share takes in what is at a place."""
        return is_drawn(self.fault.share, self._seed, self.number, *where)

    def strikes(self) -> bool:
        """Strike once more, unless it has struck as often as it may."""
        if self.fault.most is not None and self.struck >= self.fault.most:
            return False
        self.struck += 1
        return True

    def said_settled(self, path: str) -> set[str]:
        """The requests of a batch that an answer said to be settled; to be added to."""
        return self._said_settled.setdefault(path, set())

    def first_asked(self, path: str, now: float) -> float:
        """When a result was first asked for."""
        return self._first_asked.setdefault(path, now)


class Draws:
    """The faults of a plan at work. What it remembers of calls grows with their paths."""

    def __init__(self, plan: Plan) -> None:
        self.armed = [
            Armed(fault, number, plan.seed) for number, fault in enumerate(plan.faults, start=1)
        ]
        self._calls: dict[str, int] = {}

    def next(self, method: str, path: str, key: str) -> tuple[int, list[Armed]]:
        """Take up a call: give which of its path it is, from 1, and the faults that it meets."""
        call = f"{method} {path}"
        nth = self._calls[call] = self._calls.get(call, 0) + 1
        return nth, [armed for armed in self.armed if armed.hits(call, key, nth)]


def pattern_of(on: str) -> re.Pattern[str]:
    """Give the pattern of calls that `on` stands for."""
    method, _, path = on.partition(" ")
    methods = "[A-Z]+" if method == "*" else method
    paths = ".*" if path in ("", "*") else "[^/]+".join(map(re.escape, path.split("*")))
    return re.compile(f"{methods} {paths}", re.DOTALL)
