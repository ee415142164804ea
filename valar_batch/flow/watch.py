"""A batch at Valar, as far as this process knows it: which requests are settled, which are here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valar_batch.client.clocks import passed
from valar_batch.core.backoff import POLL_SOONEST, next_poll_delay
from valar_batch.core.statuses import TERMINAL, remote_status
from valar_batch.runs import spool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from valar_batch.core.lifecycle import Vain
    from valar_batch.core.wire import RequestStatus, Usage
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.records import BatchRecord

UNKNOWN, ASKED, HERE, MISSING = range(4)
"""What is known of a request: nothing yet, it is being fetched, it is here, it cannot be had."""


@dataclass(slots=True, eq=False)
class Key:
    """A result to fetch: its place, and how often it was asked for in vain, if it was."""

    watched: Watched
    position: int
    custom_id: str
    vain: Vain | None = None


class Watched:
    """One byte for each request; the custom_ids stay on the disk and are read for each poll."""

    def __init__(self, folder: BatchFolder, record: BatchRecord) -> None:
        self.folder = folder
        self.batch_id = str(record.batch_id)
        self.states = bytearray(record.requests)
        # Every status from the start: one thread counts while another reads, so it may not grow.
        self.statuses: Counter[str] = Counter(dict.fromkeys(TERMINAL, 0))
        self.tokens = 0
        self.unknown_words: set[str] = set()
        self.next_poll = 0.0
        self.is_closed = False
        self._interval = POLL_SOONEST
        self._since = passed()
        known = {entry.custom_id: entry for entry in spool.recover(folder.spool_path)}
        if known:
            for position, custom_id in enumerate(folder.custom_ids()):
                entry = known.get(custom_id)
                if entry is not None:
                    self.count(position, entry.status, entry.response.usage)

    def count(self, position: int, status: str, usage: Usage | None) -> None:
        """Note that a result is here."""
        self.states[position] = HERE
        self.statuses[status] += 1
        if usage is not None:
            self.tokens += usage.total

    @property
    def unsettled(self) -> int:
        """How many requests are not known to be settled at Valar."""
        return self.states.count(UNKNOWN)

    @property
    def is_open(self) -> bool:
        """Whether a request is neither here nor given up."""
        return UNKNOWN in self.states or ASKED in self.states

    def settle(self, statuses: Mapping[str, RequestStatus]) -> Iterator[Key]:
        """Read a status answer: give the results that can be fetched from now on.

        Requests that Valar does not mention are asked for directly, once all others are settled.
        """
        absent: list[tuple[int, str]] = []
        others_settled = True
        for position, custom_id in enumerate(self.folder.custom_ids()):
            if self.states[position] != UNKNOWN:
                continue
            entry = statuses.get(custom_id)
            if entry is None:
                absent.append((position, custom_id))
            elif (status := remote_status(entry.status)) in TERMINAL:
                yield self._ask(position, custom_id)
            else:
                others_settled = False
                if status is None:
                    self.unknown_words.add(entry.status)
        if others_settled:
            for position, custom_id in absent:
                yield self._ask(position, custom_id)

    def _ask(self, position: int, custom_id: str) -> Key:
        self.states[position] = ASKED
        return Key(self, position, custom_id)

    def polled(self, now: float, *, moved: int, seconds: float) -> None:
        """Choose the time of the next poll, after one that took `seconds` and settled `moved`."""
        elapsed = now - self._since
        self._interval = next_poll_delay(self._interval, moved, self.unsettled, seconds, elapsed)
        self.next_poll = now + self._interval

    def close(self) -> None:
        """Record how the batch ended."""
        self.is_closed = True
        mark = self.folder.mark_settled if MISSING in self.states else self.folder.mark_collected
        mark({status: count for status, count in self.statuses.items() if count}, self.tokens)
