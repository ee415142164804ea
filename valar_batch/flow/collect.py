"""Poll the batches of a run and bring their results home while they are still at work.

The main thread polls, the fan-out's thread fetches, the spooler's thread writes to the disk.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from valar_batch.client.api import result_path
from valar_batch.client.fanout import Fanout
from valar_batch.core.lifecycle import BatchState
from valar_batch.core.statuses import TERMINAL, remote_status
from valar_batch.core.wire import Response, result_line
from valar_batch.errors import NotFound
from valar_batch.flow.events import Collecting, Notice, Waiting, in_use
from valar_batch.flow.spooling import Spooler
from valar_batch.flow.watch import MISSING, UNKNOWN, Key, Watched
from valar_batch.runs.run import UNSENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from valar_batch.client.api import Valar
    from valar_batch.client.connection import Connection
    from valar_batch.errors import ApiError
    from valar_batch.flow.events import Reporter
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.run import Run

decode_response = msgspec.json.Decoder(Response).decode

TICK = 0.2
ENOUGH_QUEUED = 50_000
"""While so many results wait to be fetched, finding more of them can wait."""
ASK_AGAIN_AT_MOST = 15.0
OUTAGE_SECONDS = 60.0
"""Valar counts as well while a call of any kind succeeded within so many seconds."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How collecting behaves: the most GETs at a time, and how long a result may be missing.

    A result that Valar says is there, or does not mention at all, is asked for over
    `missing_after` seconds before it counts as missing.
    """

    concurrency: int = 200
    missing_after: float = 600.0


def collect(
    run: Run,
    valar: Valar,
    connection: Connection,
    report: Reporter,
    pace: Pace,
    *,
    wait: bool,
    on_collected: Callable[[BatchFolder], None] = lambda _: None,
) -> None:
    """Bring home the results of every batch that was sent; this never sends one.

    With `wait` it goes on until everything is settled, else it takes what is there now.
    `on_collected` is told each batch whose results are all here, while others are under way.
    """
    Collector(valar, connection, report, pace, wait=wait, on_collected=on_collected).collect(run)


class Collector:
    """One collecting of one run. It holds the writer lock of each batch that it collects."""

    def __init__(
        self,
        valar: Valar,
        connection: Connection,
        report: Reporter,
        pace: Pace,
        *,
        wait: bool,
        on_collected: Callable[[BatchFolder], None],
    ) -> None:
        self._valar = valar
        self._connection = connection
        self._report = report
        self._pace = pace
        self._wait = wait
        self._on_collected = on_collected
        self._here: deque[BatchFolder] = deque()
        self._spooler = Spooler()
        self._watched: list[Watched] = []
        self._requests = 0
        self._collected: Counter[str] = Counter()
        self._tokens = 0
        self._words: set[str] = set()
        self._is_paused = False
        self._well_at = time.monotonic()

    def collect(self, run: Run) -> None:
        """Collect what there is to collect."""
        with contextlib.ExitStack() as locks:
            for folder in run.all_batches:
                self._take_up(run, folder, locks)
            if self._watched:
                with self._spooler, self._fanout() as fanout:
                    self._follow(fanout)
            self._close()
            while self._here:
                self._on_collected(self._here.popleft())

    def _take_up(self, run: Run, folder: BatchFolder, locks: contextlib.ExitStack) -> None:
        record = folder.read()
        if record.state in UNSENT:
            return
        done = run.waits_for_nothing(folder, record)
        if not done:
            locks.enter_context(folder.writing(in_use(record.title, self._report)))
            record = folder.read()
            done = record.state is BatchState.COLLECTED
        self._requests += record.requests
        if done:
            self._collected.update(record.statuses)
            self._tokens += record.tokens
            self._here.append(folder)
        else:
            self._watched.append(Watched(folder, record))

    def _fanout(self) -> Fanout[Key]:
        return Fanout(
            self._connection,
            accept=self._accept,
            not_found=self._not_found,
            failed=self._failed,
            give_up=self._give_up,
            most=self._pace.concurrency,
            patience=2 * self._pace.missing_after + OUTAGE_SECONDS,
        )

    def _follow(self, fanout: Fanout[Key]) -> None:
        """Poll what is due and let the results come, until nothing is left to wait for."""
        while True:
            unsettled = [watched for watched in self._watched if watched.unsettled]
            if not unsettled and fanout.trouble and not self._is_well():
                unsettled = [watched for watched in self._watched if watched.is_open]
            due = min(unsettled, key=lambda watched: watched.next_poll, default=None)
            if due is not None and due.next_poll and not self._wait:
                due = None
            if due is None and fanout.wait(TICK):
                return self._progress(fanout)
            if due is not None:
                left = due.next_poll - time.monotonic()
                if left <= 0 and fanout.pending < ENOUGH_QUEUED:
                    self._poll(due, fanout)
                elif fanout.wait(TICK):
                    time.sleep(min(TICK, max(left, 0)))
            self._spooler.check()
            self._progress(fanout)
            self._close()
            if self._here:
                self._on_collected(self._here.popleft())

    def _close(self) -> None:
        """Record how batches ended whose results are safely on the disk."""
        for watched in self._watched:
            if watched.is_open or watched.is_closed:
                continue
            if self._spooler.has_written(watched.folder.spool_path):
                watched.close()
                self._here.append(watched.folder)

    def _poll(self, watched: Watched, fanout: Fanout[Key]) -> None:
        began = time.monotonic()
        try:
            answer = self._valar.batch_status(watched.batch_id)
        except NotFound as error:
            error.hint = (
                "a batch belongs to the account that sent it: is this the key that the run was "
                "submitted with?"
            )
            raise
        now = self._well_at = time.monotonic()
        keys = list(watched.settle(answer.request_status, now))
        fanout.put((result_path(watched.batch_id, key.custom_id), key) for key in keys)
        for word in watched.unknown_words - self._words:
            self._words.add(word)
            self._report(Notice(f"Valar says {word!r}, a status unknown to this version: waiting"))
        now = time.monotonic()
        polled_at_a_time = sum(1 for other in self._watched if other.unsettled)
        seconds = (now - began) * max(1, polled_at_a_time)
        watched.polled(now, moved=len(keys), seconds=seconds)

    def _accept(self, key: Key, body: bytes) -> bool:
        """Take a result only when it is a response object in a terminal state."""
        try:
            response = decode_response(body)
        except msgspec.MsgspecError:
            return self._gave_up(key)
        status = remote_status(response.status)
        if status is None or status not in TERMINAL:
            return self._gave_up(key)
        self._spooler.put(key.watched.folder.spool_path, result_line(key.custom_id, status, body))
        key.watched.count(key.position, status, response.usage)
        self._well_at = time.monotonic()
        return True

    def _gave_up(self, key: Key) -> bool:
        """Whether a result that should be there was asked for long enough."""
        if not self._wait:
            key.watched.states[key.position] = UNKNOWN
            return True
        if time.monotonic() - key.since < self._pace.missing_after:
            return False
        key.watched.states[key.position] = MISSING
        return True

    def _not_found(self, key: Key) -> float | None:
        if self._gave_up(key):
            return None
        asked = time.monotonic() - key.since
        return min(ASK_AGAIN_AT_MOST, max(TICK, asked / 2))

    def _give_up(self, key: Key, error: ApiError) -> bool:
        """Keep one result that Valar cannot give from stopping the run; an outage does stop it."""
        if not self._is_well() or not self._gave_up(key):
            return False
        self._report(Notice(f"the result {key.custom_id} cannot be fetched: {error.message}"))
        return True

    def _is_well(self) -> bool:
        return time.monotonic() - self._well_at < OUTAGE_SECONDS

    def _failed(self, key: Key, error: ApiError) -> None:
        key.watched.states[key.position] = MISSING
        self._report(Notice(f"the result {key.custom_id} cannot be fetched: {error.message}"))

    def _progress(self, fanout: Fanout[Key]) -> None:
        paused = fanout.paused
        if paused >= 1 and not self._is_paused:
            self._report(Waiting("fetching results", paused, str(fanout.trouble)))
        self._is_paused = paused >= 1
        statuses = self._collected.copy()
        for watched in self._watched:
            statuses.update(watched.statuses)
        unsettled = sum(watched.unsettled for watched in self._watched)
        self._report(
            Collecting(
                requests=self._requests,
                settled=self._requests - unsettled,
                fetched=statuses.total(),
                statuses=dict(statuses),
                tokens=self._tokens + sum(watched.tokens for watched in self._watched),
                concurrency=fanout.concurrency,
            )
        )
