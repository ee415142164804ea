"""Poll the batches of a run and bring their results home while they are still at work.

The main thread polls, the fan-out's thread fetches, the spooler's thread writes to the disk.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valar_batch.client.answers import UNDECODABLE
from valar_batch.client.api import result_path
from valar_batch.client.clocks import awake, passed
from valar_batch.client.fanout import Fanout
from valar_batch.core.backoff import OUTAGE_SECONDS, Contact, PollBudget
from valar_batch.core.lifecycle import BatchState, Vain
from valar_batch.core.statuses import TERMINAL, remote_status
from valar_batch.core.wire import decode_response, result_line
from valar_batch.errors import NotFound
from valar_batch.flow.events import Collecting, Notice, Waiting, back, in_use
from valar_batch.flow.spooling import Spooler
from valar_batch.flow.watch import Key, Watched
from valar_batch.runs.run import UNSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from valar_batch.client.api import Valar
    from valar_batch.client.connection import Connection
    from valar_batch.errors import ApiError
    from valar_batch.flow.events import Reporter
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.run import Run

TICK = 0.2
ENOUGH_QUEUED = 50_000
"""While so many results wait to be fetched, finding more of them can wait."""
ASK_AGAIN_AT_MOST = 15.0
WELL_SHARE, WELL_AT_LEAST = 0.15, 2.0
"""Valar counts as well while a call of any kind succeeded within this share of `missing_after`, or
within so many seconds. Where results fail it is polled when half of that is over, to tell a fault
of theirs from an outage."""
SAID_AFTER = 5.0
"""Seconds for which fetching may fail before the user is told."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How collecting behaves: the most GETs at a time, and how long what is waited for.

    A result that Valar says is there, or does not mention at all, counts as missing when it was
    answered for in vain over `missing_after` seconds in which Valar was well. A Valar that is away
    is waited for `patience` seconds.
    """

    concurrency: int = 200
    missing_after: float = 600.0
    patience: float = OUTAGE_SECONDS


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


def soonest(batches: Iterable[Watched]) -> Watched | None:
    """Give the batch that is polled next."""
    return min(batches, key=lambda watched: watched.next_poll, default=None)


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
        self._polling = PollBudget()
        self._contact = Contact()
        self._pauses = Contact()
        self._well_at = awake()
        self._away_until = 0.0  # a poll waited until then, and that was told

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
            is_well=self._is_well,
            most=self._pace.concurrency,
            patience=self._pace.patience,
        )

    def _follow(self, fanout: Fanout[Key]) -> None:
        """Poll what is due and let the results come, until nothing is left to wait for."""
        while True:
            due = soonest(watched for watched in self._watched if watched.unsettled)
            if due is not None and due.next_poll and not self._wait:
                due = None
            if is_unsure := bool(fanout.trouble) and not self._is_well(0.5):
                due = soonest(watched for watched in self._watched if watched.is_open)
            if due is None and fanout.wait(TICK):
                return self._progress(fanout)
            if due is not None:
                at = max(due.next_poll, self._polling.resumes_at) if due.next_poll else 0.0
                left = 0.0 if is_unsure else at - passed()
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
        began, cpu = passed(), time.thread_time()
        try:
            answer = self._valar.changed_status(watched.batch_id, watched.seen)
        except NotFound as error:
            error.hint = (
                "a batch belongs to the account that sent it: is this the key that the run was "
                "submitted with?"
            )
            raise
        self._well_at, answered = awake(), passed()
        if answered - began >= SAID_AFTER:
            self._away_until = self._well_at
        keys = list(watched.settle(answer.request_status)) if answer else []
        fanout.put((result_path(watched.batch_id, key.custom_id), key) for key in keys)
        for word in watched.unknown_words - self._words:
            self._words.add(word)
            self._report(Notice(f"Valar says {word!r}, a status unknown to this version: waiting"))
        now = passed()
        polled_at_a_time = sum(1 for other in self._watched if other.unsettled)
        seconds = (self._valar.took + now - answered) * max(1, polled_at_a_time)
        watched.polled(now, moved=len(keys), seconds=seconds)
        cpu = time.thread_time() - cpu
        self._polling.polled(now, cpu, moved=len(keys), left=watched.unsettled)

    def _accept(self, key: Key, body: bytes) -> bool:
        """Take a result only when it is a response object in a terminal state."""
        try:
            response = decode_response(body)
        except UNDECODABLE:
            return self._in_vain(key, is_fault=True)
        status = remote_status(response.status)
        if status is None or status not in TERMINAL:
            return self._in_vain(key, is_fault=False)
        self._spooler.put(key.watched.folder.spool_path, result_line(key.custom_id, status, body))
        key.watched.count(key.position, status, response.usage)
        self._well_at = awake()
        return True

    def _in_vain(self, key: Key, *, is_fault: bool) -> bool:
        """Count an answer without the result; whether it is not asked for again.

        A fault may be an outage's, so it counts only while other calls succeed.
        """
        vain = key.vain = key.vain or Vain()
        if not is_fault:
            self._well_at = awake()
        elif not self._is_well():
            vain.interrupted()
            return False
        vain.answered(awake())
        if not self._wait:
            key.watched.give_back(key.position)
        elif vain.is_enough(self._pace.missing_after, is_fault=is_fault):
            key.watched.give_up(key.position)
        else:
            return False
        return True

    def _not_found(self, key: Key) -> float | None:
        if self._in_vain(key, is_fault=False):
            return None
        seconds = key.vain.seconds if key.vain else 0.0
        return min(ASK_AGAIN_AT_MOST, max(TICK, seconds / 2))

    def _give_up(self, key: Key, error: ApiError) -> bool:
        """Keep one result that Valar cannot give from holding up the run."""
        if not self._in_vain(key, is_fault=True):
            return False
        self._report(Notice(f"the result {key.custom_id} cannot be fetched: {error.message}"))
        return True

    def _is_well(self, share: float = 1.0) -> bool:
        within = max(WELL_AT_LEAST, WELL_SHARE * self._pace.missing_after)
        return awake() - self._well_at < share * within

    def _failed(self, key: Key, error: ApiError) -> None:
        key.watched.give_up(key.position)
        self._report(Notice(f"the result {key.custom_id} cannot be fetched: {error.message}"))

    def _tell_of_trouble(self, fanout: Fanout[Key]) -> None:
        """Say that Valar wants a pause, or that fetching alone fails; polls tell of an outage."""
        now, paused, trouble = awake(), fanout.paused, fanout.trouble
        begins = paused >= 1 and not self._is_paused
        self._is_paused = paused >= 1
        if begins and self._pauses.failed(now, paused):
            self._report(Waiting("fetching results", paused, str(fanout.paused_by)))
        if trouble is None:
            if lasted := self._contact.answered(now):
                self._report(back("results come", lasted))
        elif (
            not paused
            and fanout.failing_for >= SAID_AFTER
            and fanout.failed_at >= self._away_until
            and self._contact.failed(now, 0)
        ):
            self._report(Waiting("fetching results", 0, str(trouble), fanout.failing_for))

    def _progress(self, fanout: Fanout[Key]) -> None:
        self._tell_of_trouble(fanout)
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
