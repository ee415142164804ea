"""Many GETs at once: queue, retries and pace, in one plain thread around libcurl."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import pycurl

from valar_batch.client.answers import error_of, unreadable
from valar_batch.client.clocks import awake, passed
from valar_batch.client.transfers import Finished, Transfers
from valar_batch.core.backoff import OUTAGE_SECONDS, ROUND, Concurrency, backoff_delay, next_try
from valar_batch.core.rate import LearnedRate
from valar_batch.errors import (
    ApiError,
    BillingRefused,
    ConnectionFailed,
    KeyRefused,
    NotFound,
    RateLimited,
    RemoteError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from valar_batch.client.connection import Connection

Key = TypeVar("Key")

LOOK_UP = 0.05
"""Seconds after which the loop looks up from a silent network: for new jobs, retries, the end."""
SHORTEST = 0.002
"""Nor does it look up more often than that for the next request that the rate permits."""
LONGEST_REST = 5.0


@dataclass(slots=True)
class _Job(Generic[Key]):
    path: str
    key: Key
    failures: int = 0
    sent: float = 0.0


class Fanout(Generic[Key]):
    """Fetches many small objects in a thread of its own; a context manager.

    The callbacks run in that thread, one at a time, and every job ends in exactly one:

    `accept(key, body)` takes the body of a 200: True, the job is finished; False, the body is of
        no use (yet), and it is asked for again with growing delays.
    `not_found(key)` hears of a 404: the seconds until to ask again, or None, the job is finished.
    `failed(key, error)` hears of any other 4xx: the job is finished.
    `give_up(key, error)` hears of a 5xx that would be asked again: True, the job is finished.

    429, 5xx, timeouts and lost connections are asked again with growing delays. 429s also set the
    rate of all that is asked, and a Retry-After holds the whole fan-out. So does an outage: many
    failures in a row, without a connection or while `is_well` says that other calls fail as well;
    then one job at a time is tried. It stops for good on a refused key or billing, on an exception
    in a callback, and after `patience` seconds (while the machine is awake) of nothing but
    failures; `put`, `wait` and the end of the context then raise that error in the caller's
    thread. `jitter` (in [0, 1)) is a seam for tests.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        accept: Callable[[Key, bytes], bool],
        not_found: Callable[[Key], float | None],
        failed: Callable[[Key, ApiError], None],
        give_up: Callable[[Key, ApiError], bool] = lambda _key, _error: False,
        is_well: Callable[[], bool] = lambda: True,
        most: int = 200,
        patience: float = OUTAGE_SECONDS,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._secret = connection.api_key
        self._accept = accept
        self._not_found = not_found
        self._failed = failed
        self._give_up = give_up
        self._is_well = is_well
        self._patience = patience
        self._jitter = jitter
        self._transfers: Transfers[_Job[Key]] = Transfers(connection, most)
        self._concurrency = Concurrency(most)
        self._rate = LearnedRate()
        self._ready: deque[_Job[Key]] = deque()
        self._later: list[tuple[float, int, _Job[Key]]] = []
        self._order = itertools.count()
        self._paused_until = 0.0  # by the clock that goes on in a sleep, as all that is due
        self._resumes_at = 0.0
        self._in_a_row = 0
        self._pauses = 0
        self._failing_since: float | None = None  # by the clock that does not
        self.failed_at = 0.0  # the last failure, in awake seconds
        self.paused_by: RemoteError | None = None
        self._trouble: RemoteError | None = None
        self._arrived = 0  # written by callers, under the condition
        self._finished = 0  # written by the thread alone
        self._stopping = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="fanout", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Drop what is not finished and join the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        if kind is None:
            self._raise_failure()

    def put(self, jobs: Iterable[tuple[str, Key]]) -> None:
        """Queue jobs: `(path below the base URL, quoted; key)`."""
        arrived = [_Job(path, key) for path, key in jobs]
        with self._changed:
            self._raise_failure()
            self._arrived += len(arrived)
            self._ready.extend(arrived)
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every job is finished, or `timeout` seconds; whether every job is."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or not self.pending, timeout)
            self._raise_failure()
            return not self.pending

    @property
    def pending(self) -> int:
        """How many jobs are not finished."""
        return self._arrived - self._finished

    @property
    def concurrency(self) -> int:
        """How many requests may be under way at this moment."""
        return self._concurrency.limit

    @property
    def paused(self) -> float:
        """Seconds until anything is asked for again: what a Retry-After demands."""
        return max(0.0, self._paused_until - passed())

    @property
    def failing_for(self) -> float:
        """Seconds for which nothing but failures came, while the machine was awake."""
        since = self._failing_since
        return 0.0 if since is None else awake() - since

    @property
    def trouble(self) -> RemoteError | None:
        """The last transient error, or None once an answer has been good again."""
        return self._trouble

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with self._transfers:
                while not self._stopping:
                    self._turn()
        except pycurl.error as error:
            self._failure = RemoteError(f"libcurl failed: {error}")
        except BaseException as error:
            self._failure = error
        with self._changed:
            self._changed.notify_all()

    def _turn(self) -> None:
        """Start what may be started, hear what has ended, or wait for either."""
        now = passed()
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])
        if now >= max(self._paused_until, self._resumes_at):
            self._start(now)
        if not len(self._transfers):
            self._rest(now)
            return
        wait = self._rate.wait if self._ready else 0.0
        for finished in self._transfers.finished(
            min(LOOK_UP, max(wait, SHORTEST)) if wait else LOOK_UP
        ):
            self._hear(finished)
        if not self.pending:
            with self._changed:
                self._changed.notify_all()

    def _start(self, now: float) -> None:
        """Start as many as may be under way, and as the rate permits."""
        most = 1 if self._pauses else self._concurrency.limit
        wanted = min(len(self._ready), most - len(self._transfers))
        if wanted > 0:
            for _ in range(self._rate.take(now, wanted)):
                job = self._ready.popleft()
                job.sent = now
                self._transfers.start(job.path, job)

    def _rest(self, now: float) -> None:
        """Nothing is under way: sleep until a job is due or put, or until the end."""
        held = len(self._ready)
        due = now if held else self._later[0][0] if self._later else now + LONGEST_REST
        until = max(due, self._paused_until, self._resumes_at, now + self._rate.wait)
        rest = min(LONGEST_REST, until - now)
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or len(self._ready) > held, rest)

    def _hear(self, finished: Finished[_Job[Key]]) -> None:
        """Lead what ended to its callback, or back to the heap."""
        job = finished.ticket
        if finished.status != 429:
            self._rate.succeeded()
        if finished.status != 200:
            self._hear_error(job, finished)
        elif self._accept(job.key, finished.body):
            self._concurrency.succeeded()
            self._end()
        else:
            self._concurrency.succeeded()
            answer = self._transfers.answer(finished)
            self._again(job, unreadable(answer, "no finished result", secret=self._secret))

    def _hear_error(self, job: _Job[Key], finished: Finished[_Job[Key]]) -> None:
        answer = self._transfers.answer(finished)
        error = finished.error or error_of(answer, secret=self._secret)
        if isinstance(error, NotFound) and not error.is_transient:
            self._concurrency.succeeded()
            delay = self._not_found(job.key)
            if delay is None:
                self._end()
            else:
                self._fares_well()
                self._ask_later(job, delay)
        elif error.is_transient:
            if isinstance(error, RateLimited):
                now = passed()
                reach = self._concurrency.limit / max(now - job.sent, SHORTEST)
                self._rate.refused(now, job.sent, reach, error.retry_after or 0.0)
            else:
                self._concurrency.faulted()
                if isinstance(error, ApiError) and self._give_up(job.key, error):
                    self._finished += 1
                    return
                self._hold_in_an_outage(error)
            self._again(job, error)
        elif isinstance(error, ApiError) and not isinstance(error, KeyRefused | BillingRefused):
            self._concurrency.succeeded()
            self._failed(job.key, error)
            self._end()
        else:
            raise error

    def _end(self) -> None:
        self._fares_well()
        self._finished += 1

    def _fares_well(self) -> None:
        self._failing_since = None
        self._trouble = None
        self._in_a_row = self._pauses = 0
        self._resumes_at = 0.0

    def _again(self, job: _Job[Key], error: RemoteError) -> None:
        """Ask again after a delay; raise the error where patience has run out."""
        self.failed_at = awake()
        if self._failing_since is None:
            self._failing_since = self.failed_at
        job.failures += 1
        delay = next_try(
            job.failures,
            self.failing_for,
            patience=self._patience,
            jitter=self._jitter(),
            retry_after=error.retry_after,
        )
        if delay is None:
            raise error
        self._trouble = error
        if error.retry_after is not None:
            self._paused_until = max(self._paused_until, passed() + delay)
            self.paused_by = error
        self._ask_later(job, delay)

    def _hold_in_an_outage(self, error: RemoteError) -> None:
        """Ask for nothing for a while, so that thousands of jobs do not all run into the outage.

        What was under way when it began fails too, and does not make the pause longer.
        """
        self._in_a_row += 1
        is_outage = isinstance(error, ConnectionFailed) or not self._is_well()
        if is_outage and self._in_a_row >= ROUND and passed() >= self._resumes_at:
            self._pauses += 1
            self._resumes_at = passed() + backoff_delay(self._pauses, jitter=self._jitter())

    def _ask_later(self, job: _Job[Key], delay: float) -> None:
        heapq.heappush(self._later, (passed() + delay, next(self._order), job))
