"""From a run to batches at Valar, so that no repeat of anything can pay twice."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from valar_batch.client.clocks import passed
from valar_batch.core.identity import parse_label
from valar_batch.core.lifecycle import Adopt, BatchState, Doubt, Send, Tries, before_sending
from valar_batch.errors import DoubtError, RemoteError, RequestRefused, StateError
from valar_batch.flow.events import Sending, in_use
from valar_batch.flow.remote import requests_in
from valar_batch.locks import Abandoned
from valar_batch.runs.records import now
from valar_batch.runs.run import UNSENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from valar_batch.client.api import Valar
    from valar_batch.core.wire import Batch
    from valar_batch.flow.events import Reporter
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.records import BatchRecord
    from valar_batch.runs.run import Run

GRACE = 5.0
"""Seconds that an interrupt gives the threads of uploads to end."""
IN_FLIGHT = 4
"""How many bodies are uploaded at a time, after the first went alone."""

SPACE_PER_REQUEST = 1024
SPACE_AT_LEAST = 64 << 20


@dataclass(frozen=True, slots=True)
class Sent:
    """How many batches were sent, and how many were found at Valar and adopted."""

    posted: int = 0
    adopted: int = 0


def send(run: Run, valar: Valar, key: str, report: Reporter, *, resend: bool = False) -> Sent:
    """Bring every unsent batch of a run to Valar. `key` fingerprints the API key in use.

    Before anything is sent, Valar is asked which of the run's labels it has: those are adopted.
    Raises KeyRefused and BillingRefused at once, DoubtError for a batch that may be there and
    cannot be found, RequestRefused with the row that Valar refused; all state is kept.
    """
    unsent = run.unsent()
    if not unsent:
        return Sent()
    check_space(run, unsent)
    sender = Sender(run, valar, key, report, resend=resend)
    first, *others = unsent
    sender.send(first)
    pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="upload")
    futures: list[Future[None]] = []
    try:
        futures += (pool.submit(sender.send, batch) for batch in others)
        ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
        failed = [future for future in futures if future in ended and future.exception()]
        if failed:
            sender.stop.set()
            valar.stop_retrying()
        pool.shutdown(cancel_futures=True)
    except KeyboardInterrupt:
        # Uploads under way are dropped: their intent is on the disk, and resuming finds them.
        sender.stop.set()
        valar.drop()
        pool.shutdown(wait=False, cancel_futures=True)
        wait(futures, GRACE)
        raise
    # One that ended because another had failed is not the reason.
    for failure in sorted(filter(None, (future.exception() for future in failed)), key=is_passing):
        raise failure
    return sender.sent


def is_passing(failure: BaseException) -> bool:
    """Whether the same may succeed later."""
    return isinstance(failure, RemoteError) and failure.is_transient


def check_space(run: Run, unsent: list[BatchFolder]) -> None:
    """Refuse to spend where the answers would not fit on the disk."""
    requests = sum(batch.read().requests for batch in unsent)
    wanted = SPACE_AT_LEAST + requests * SPACE_PER_REQUEST
    disk = shutil.disk_usage(run.path)
    if disk.total and disk.free < wanted:  # some file systems do not say how large they are
        raise StateError(
            f"only {disk.free / 1e6:,.0f} MB are free beside {run.path}; "
            f"{requests:,} answers may need {wanted / 1e6:,.0f} MB",
            hint="make room, or set VALAR_BATCH_HOME to a larger disk",
        )


class Sender:
    """Sends the batches of one run; the batches at Valar with the run's labels are known to it."""

    def __init__(self, run: Run, valar: Valar, key: str, report: Reporter, *, resend: bool) -> None:
        self.stop = threading.Event()
        self.sent = Sent()
        self._run = run
        self._valar = valar
        self._key = key
        self._report = report
        self._resend = resend
        self._remote = labelled(run.id, valar)
        self._lock = threading.Lock()
        records = [batch.read() for batch in run.all_batches]
        self._progress = Sending(
            batches=sum(1 for record in records if record.requests),
            sent=sum(1 for r in records if r.requests and r.state not in UNSENT),
            bytes=sum(record.bytes for record in records if record.requests),
            sent_bytes=sum(r.bytes for r in records if r.requests and r.state not in UNSENT),
        )
        report(self._progress)

    def send(self, batch: BatchFolder) -> None:
        """Send one batch, or adopt it, unless another process did so meanwhile."""
        waiting = in_use(batch.read().title, self._report)
        with contextlib.suppress(Abandoned), batch.writing(waiting, self.stop):
            tries = Tries()
            while batch.read().state in UNSENT and not self.stop.is_set():
                self._send_once(batch, tries)

    def _send_once(self, batch: BatchFolder, tries: Tries) -> None:
        """Send a batch, or adopt it; or try so long that it has to be looked for again."""
        record = batch.read()
        match self._step(batch, record, tries):
            case Adopt(batch_id):
                batch.mark_submitted(batch_id, adopted=True)
                self._advance(batches=1, sent_bytes=record.bytes, adopted=1)
            case Doubt(reason):
                raise DoubtError(
                    f"{record.title} of {self._run.id} may have reached Valar, "
                    f"and its label is not listed there: {reason}",
                    hint=f"if you are sure that it did not: "
                    f"`valar-batch resume {self._run.id} --resend`",
                )
            case _ if self._post(batch, tries):
                self._advance(batches=1, posted=1)

    def _step(self, batch: BatchFolder, record: BatchRecord, tries: Tries) -> Adopt | Doubt | Send:
        is_doubtful = record.state is BatchState.SUBMITTING
        if is_doubtful and not (tries.are_doubtful or self._resend):
            tries.may_have_arrived(passed() - (now() - (record.intent_at or now())))

        def look() -> Adopt | Doubt | Send:
            return before_sending(
                record.state,
                found=self._found(batch, record),
                same_key=record.key in (None, self._key),
                intent_age=tries.age(passed()),
                resend=self._resend and not tries.are_doubtful,
            )

        step = look()
        if isinstance(step, Doubt) or (
            self._resend and is_doubtful and not isinstance(step, Adopt)
        ):
            # Only the list tells, and another process may have sent the batch since it was made.
            self._remote = labelled(self._run.id, self._valar)
            step = look()
        return step

    def _advance(
        self, *, batches: int = 0, sent_bytes: int = 0, posted: int = 0, adopted: int = 0
    ) -> None:
        with self._lock:
            self.sent = Sent(self.sent.posted + posted, self.sent.adopted + adopted)
            before = self._progress
            self._progress = replace(
                before, sent=before.sent + batches, sent_bytes=before.sent_bytes + sent_bytes
            )
            self._report(self._progress)

    def _found(self, batch: BatchFolder, record: BatchRecord) -> str | None:
        """Find a batch at Valar by its label, and make sure that it is the very same batch.

        The label of a first attempt follows from its requests; that of a retry does not say which
        rows were chosen, so it is looked at whose they are.
        """
        found = self._remote.get(record.label)
        if found is None:
            return None
        if found.request_counts != record.requests:
            message = f"but of {found.request_counts:,} requests instead of {record.requests:,}"
        elif record.attempt > 1 and (
            requests_in(found, self._run, self._valar) != set(batch.custom_ids())
        ):
            message = "but of other rows, as far as it names them"
        else:
            return found.id
        hint = (
            "the run was first packed with another --batch-size or --batch-bytes: move "
            f"{self._run.path} away and repeat the command with that one"
        )
        if record.attempt > 1:
            hint = (
                "rows of this run were sent again from elsewhere: move "
                f"{batch.path.parent.parent} away and repeat `valar-batch retry {self._run.id}`, "
                "which takes up what is at Valar first"
            )
        raise DoubtError(
            f"Valar has a batch {found.id} with the label {record.label}, {message}", hint=hint
        )

    def _post(self, batch: BatchFolder, tries: Tries) -> bool:
        """Send a batch; False where a try may have arrived so long ago that no other is safe."""
        record = batch.mark_submitting(self._key)
        began = passed()

        def body() -> Iterator[bytes]:
            nonlocal began
            began = passed()
            return self._counted(batch)

        def may_repeat(error: RemoteError) -> bool:
            if error.may_have_arrived:
                tries.may_have_arrived(began)
            return tries.may_repeat(passed()) and not self.stop.is_set()

        try:
            created = self._valar.create_batch(
                body, record.bytes, record.idempotency_key, may_repeat
            )
        except RemoteError as error:
            if not tries.are_doubtful:
                batch.mark_refused()
            elif error.is_transient and not tries.may_repeat(passed()):
                return False
            raise located(error, batch, self._run) from error
        except StateError:  # the body is damaged, so Valar never had it whole
            if not tries.are_doubtful:
                batch.mark_refused()
            raise
        batch.mark_submitted(created.id)
        return True

    def _counted(self, batch: BatchFolder) -> Iterator[bytes]:
        for piece in batch.checked_body():
            yield piece
            self._advance(sent_bytes=len(piece))


def labelled(run_id: str, valar: Valar) -> Mapping[str, Batch]:
    """Find a run's batches at Valar by label; of two with one label, the older."""
    found: dict[str, Batch] = {}
    for batch in valar.list_batches():
        label = parse_label(batch.label or "")
        if label is not None and label.run == run_id:
            kept = found.setdefault(str(label), batch)
            if batch.created_at < kept.created_at:
                found[str(label)] = batch
    return found


REQUEST_PARAM = re.compile(r"requests[.\[](\d+)\]?\.?(.*)")


def located(error: RemoteError, batch: BatchFolder, run: Run) -> RemoteError:
    """Lead a refusal of `requests.17.params.temperature` back to the row that it came from."""
    param = error.param if isinstance(error, RequestRefused) else None
    match = REQUEST_PARAM.search(param or "")
    if match is None:
        return error
    row = nth_request_row(batch, int(match[1]))
    if row is None:
        return error
    where = run.record.input.name_of(row)
    field = match[2].removeprefix("params.")
    error.message = f"{where}{f', {field}' if field else ''}: {error.message}"
    return error


def nth_request_row(batch: BatchFolder, position: int) -> int | None:
    """Give the input row of the request at a position of the body, both as Valar counts it."""
    for rows in batch.rows():
        numbers = rows.filter(rows["problem"].is_null())["row"]
        if position < len(numbers):
            return int(numbers[position].as_py())
        position -= len(numbers)
    return None
