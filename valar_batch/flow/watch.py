"""A batch at Valar, as far as this process knows it: which requests are settled, which are here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valar_batch.client.api import Seen
from valar_batch.client.clocks import passed
from valar_batch.core.backoff import POLL_SOONEST, next_poll_delay
from valar_batch.core.statuses import TERMINAL, remote_status
from valar_batch.runs import spool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

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
    """One byte for each request; the custom_ids stay on the disk and are read for each poll.

    The thread that polls asks, the thread that fetches hears what comes of it, so each of the
    counts has one writer.
    """

    def __init__(self, folder: BatchFolder, record: BatchRecord) -> None:
        self.folder = folder
        self.batch_id = str(record.batch_id)
        self.states = bytearray(record.requests)
        # Every status from the start: one thread counts while another reads, so it may not grow.
        self.statuses: Counter[str] = Counter(dict.fromkeys(TERMINAL, 0))
        self.tokens = 0
        self.unknown_words: set[str] = set()
        self.seen = Seen()
        self.next_poll = 0.0
        self.is_closed = False
        self._ended = 0  # here or given up
        self._given_back = 0
        self._interval = POLL_SOONEST
        self._since = passed()
        known = {entry.custom_id: entry for entry in spool.recover(folder.spool_path)}
        if known:
            for position, custom_id in enumerate(folder.custom_ids()):
                entry = known.get(custom_id)
                if entry is not None:
                    self.count(position, entry.status, entry.response.usage)
        self._asked = self._ended

    def count(self, position: int, status: str, usage: Usage | None) -> None:
        """Note that a result is here."""
        self._end(position, HERE)
        self.statuses[status] += 1
        if usage is not None:
            self.tokens += usage.total

    def give_up(self, position: int) -> None:
        """Note that a result cannot be had."""
        self._end(position, MISSING)

    def give_back(self, position: int) -> None:
        """Note that a result is not there yet, though Valar said so."""
        self.states[position] = UNKNOWN
        self._given_back += 1

    def _end(self, position: int, state: int) -> None:
        self.states[position] = state
        self._ended += 1

    @property
    def unsettled(self) -> int:
        """How many requests are not known to be settled at Valar."""
        return len(self.states) - self._asked + self._given_back

    @property
    def is_open(self) -> bool:
        """Whether a request is neither here nor given up."""
        return self._ended < len(self.states)

    def settle(self, statuses: Mapping[str, RequestStatus]) -> Iterator[Key]:
        """Read a status answer: give the results that can be fetched from now on.

        Requests that Valar does not mention are asked for directly, once all others are settled.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        meanings = {word: remote_status(word) for word in {e.status for e in statuses.values()}}
        self.unknown_words.update(word for word, status in meanings.items() if status is None)
        ended = {word for word, status in meanings.items() if status in TERMINAL}
        settled = [custom_id for custom_id, e in statuses.items() if e.status in ended]
        # Arrow compares them: a loop in Python would cost more than all the rest of a poll.
        states = pa.Array.from_buffers(
            pa.uint8(), len(self.states), [None, pa.py_buffer(bytes(self.states))]
        )
        is_unknown = pc.equal(states, pa.scalar(UNKNOWN, pa.uint8()))
        positions = pc.indices_nonzero(is_unknown)
        custom_ids = self.folder.custom_id_column().filter(is_unknown)
        is_settled = pc.is_in(custom_ids, value_set=pa.array(settled, pa.string()))
        yield from self._ask(positions.filter(is_settled), custom_ids.filter(is_settled))
        is_left = pc.invert(is_settled)
        left = custom_ids.filter(is_left)
        if not any(custom_id.as_py() in statuses for custom_id in left):
            yield from self._ask(positions.filter(is_left), left)

    def _ask(self, positions: pa.Array, custom_ids: pa.Array) -> Iterator[Key]:
        chosen = zip(positions.to_pylist(), custom_ids.to_pylist(), strict=True)
        for position, custom_id in chosen:
            self.states[position] = ASKED
            self._asked += 1
            yield Key(self, position, custom_id)

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
