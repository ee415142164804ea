"""Rows sent again: which ones, packed from the very bytes of their first attempt."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from valar_batch.core.attempts import UNANSWERED, may_send_again, winner
from valar_batch.core.identity import parse_label
from valar_batch.core.lifecycle import BatchState
from valar_batch.core.pack import Packer
from valar_batch.core.statuses import Status, remote_status
from valar_batch.core.wire import request_bytes
from valar_batch.errors import DoubtError, StateError
from valar_batch.flow.events import Notice, in_use
from valar_batch.flow.named_rows import named_rows
from valar_batch.flow.overlay import Overlay
from valar_batch.flow.remote import requests_in
from valar_batch.flow.send import Sent, labelled, send
from valar_batch.runs.draft import PreparedRows, old_requests
from valar_batch.runs.records import damaged
from valar_batch.runs.rounds import Round, origins, with_origin
from valar_batch.runs.run import UNSENT
from valar_batch.runs.spool import decode_entry, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from valar_batch.client.api import Valar
    from valar_batch.core.wire import Batch
    from valar_batch.flow.events import Reporter
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.draft import BatchDraft
    from valar_batch.runs.records import BatchRecord
    from valar_batch.runs.run import Run

ALREADY_ANSWERED = UNANSWERED | {Status.COMPLETED}
"""What may be sent again where rows are named: an answer can be asked for anew, on purpose."""


@dataclass(slots=True)
class Retried:
    """What a retry came to.

    `rows` counts the rows of a new round by the status that they had; it is empty where none was
    begun. `under_way` counts rows that were left out because an attempt of theirs is not settled,
    or settled and not fetched. `is_earlier` tells that an earlier round was not all sent: it was
    sent now, and no new one begun.
    """

    rows: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    under_way: int = 0
    is_earlier: bool = False
    sent: Sent = field(default_factory=Sent)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows are wanted: those of these statuses and, where `rows` names a file, those in it.

    Without `only`, the unanswered; of named rows, those with an answer too.
    """

    only: frozenset[Status] | None = None
    rows: Path | None = None

    @property
    def statuses(self) -> frozenset[Status]:
        """The statuses that are wanted."""
        return self.only or (ALREADY_ANSWERED if self.rows else UNANSWERED)


def retry(
    run: Run,
    choice: Choice,
    valar: Valar,
    key: str,
    report: Reporter,
    *,
    resend: bool = False,
    announce: Callable[[Run], None] = lambda _: None,
) -> Retried:
    """Send rows of a run again. Given again after a crash, it goes on and begins nothing new.

    Raises StateError where the first attempt is not all sent, InputError where `choice` names rows
    that are not in the run, and what `send` raises.
    """
    if run.is_foreign:
        raise nothing_to_send(run)
    with run.retrying(in_use(f"the choice of rows of {run.id}", report)):
        if any(batch.read().state in UNSENT for batch in run.batches):
            raise StateError(
                f"{run.id} is not all sent yet",
                hint=f"`valar-batch resume {run.id}` sends the rest; retry is for what was sent",
            )
        retried = Retried(is_earlier=not run.is_sent())
        if not retried.is_earlier:
            take_up_lost(run, valar, report)
            begin_round(run, choice, retried, report)
    announce(run)
    retried.sent = send(run, valar, key, report, resend=resend)
    return retried


def nothing_to_send(run: Run) -> StateError:
    """Say that a batch from elsewhere has no requests here."""
    return StateError(
        f"{run.record.name} was not sent from here: there is nothing of it to send again",
        hint=f"`valar-batch fetch {run.record.name} --to OUT` brings its answers",
    )


def begin_round(run: Run, choice: Choice, retried: Retried, report: Reporter) -> None:
    """Choose rows and make them the next round of a run; none is begun where there are none."""
    attempt = max(run.attempts(), default=1) + 1
    overlay = Overlay(run, known_statuses)
    with Round(run, attempt) as round_:
        named = None
        if choice.rows is not None:
            named = named_rows(run, choice.rows, round_.path / "ids")
        packing = Packing(round_)
        chooser = Chooser(choice.statuses, named, retried)
        for folder in run.batches:
            record = folder.read()
            again = overlay.over(record)
            if again or named is not None or not all_completed(record):
                first = known_statuses(folder, record)
                requests = enumerate(checked_requests(folder))
                for places, rows in chooser.choose(folder, record, [first, *again]):
                    packing.add(rows, taken(requests, places, rows, folder))
        retried.batches = len(round_.batches)
        if retried.batches:
            report(Notice(sending_again(retried, attempt)))
            round_.commit()


def sending_again(retried: Retried, attempt: int) -> str:
    """Say which rows are sent again."""
    parts = [f"{retried.rows[s]:,} {s.value}" for s in Status if retried.rows[s]]
    count = retried.rows.total()
    return (
        f"sending {count:,} {'row' if count == 1 else 'rows'} again, as attempt {attempt}: "
        f"{', '.join(parts)}; in {retried.batches:,} "
        f"{'batch' if retried.batches == 1 else 'batches'}"
    )


def all_completed(record: BatchRecord) -> bool:
    """Whether every request of a batch has its answer here."""
    return record.state is BatchState.COLLECTED and not record.statuses.keys() - {Status.COMPLETED}


def known_statuses(folder: BatchFolder, record: BatchRecord) -> Mapping[str, Status]:
    """Give the status of every request of a batch as far as it is known here.

    What is not here is pending, unless Valar has no result for it. A collected batch whose spool
    was damaged since has pending rows, too: their results are at Valar.
    """
    absent = Status.MISSING if record.state is BatchState.SETTLED else Status.PENDING
    statuses = dict.fromkeys(folder.custom_ids(), absent)
    for line in read_lines(folder.spool_path):
        entry = decode_entry(line)
        statuses[entry.custom_id] = remote_status(entry.status) or absent
    return statuses


class Chooser:
    """Chooses rows and counts what it chose. `named`, where given, has a byte for each row."""

    def __init__(
        self, wanted: Collection[Status], named: bytearray | None, retried: Retried
    ) -> None:
        self._wanted = wanted
        self._named = named
        self._retried = retried

    def choose(
        self,
        folder: BatchFolder,
        record: BatchRecord,
        attempts: Sequence[Mapping[str, Status]],
    ) -> Iterator[tuple[list[int], pa.RecordBatch]]:
        """Give the chosen rows of a batch with their origin, and the places of their requests."""
        place = 0
        for rows in folder.row_keys():
            sent = rows.filter(rows["problem"].is_null())
            numbers, ids = sent["row"].to_pylist(), sent["custom_id"].to_pylist()
            chosen = [
                index
                for index, (number, custom_id) in enumerate(zip(numbers, ids, strict=True))
                if (self._named is None or self._named[number])
                and self._takes([status[custom_id] for status in attempts if custom_id in status])
            ]
            if chosen:
                yield [place + index for index in chosen], with_origin(sent.take(chosen), record)
            place += sent.num_rows

    def _takes(self, statuses: Sequence[Status]) -> bool:
        if Status.PENDING in statuses:
            self._retried.under_way += 1
        if not may_send_again(statuses, self._wanted):
            return False
        self._retried.rows[statuses[winner(statuses)]] += 1
        return True


def checked_requests(folder: BatchFolder) -> Iterator[bytes]:
    """Give the requests of a body, once it is known to be the one that was prepared."""
    for _ in folder.checked_body():
        pass
    yield from old_requests(folder)


def taken(
    requests: Iterator[tuple[int, bytes]],
    places: Sequence[int],
    rows: pa.RecordBatch,
    folder: BatchFolder,
) -> list[bytes]:
    """Take the requests at these places of a body, making sure that they are those of the rows."""
    found: list[bytes] = []
    for place, custom_id in zip(places, rows["custom_id"].to_pylist(), strict=True):
        request = next((line for number, line in requests if number == place), b"")
        if not request.startswith(request_bytes(custom_id, b"")[:-1]):
            raise damaged(folder.body_path, "it is not what was prepared")
        found.append(request)
    return found


class Packing:
    """Packs requests into the batches of a round, under the limits of the run."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._packer = Packer(round_.run.record.limits)
        self._open: BatchDraft | None = None

    def add(self, rows: pa.RecordBatch, requests: Sequence[bytes]) -> None:
        """Take in the next rows, each with its request."""
        start = 0
        for index, request in enumerate(requests):
            if self._open is None or not self._packer.fits(len(request)):
                self._append(rows.slice(start, index - start), requests[start:index])
                start = index
                self._next_batch(rows["row"][index].as_py())
            self._packer.add(len(request))
        self._append(rows.slice(start), requests[start:])

    def _append(self, rows: pa.RecordBatch, requests: Sequence[bytes]) -> None:
        if self._open is not None and requests:
            prepared = PreparedRows(rows["custom_id"].to_pylist(), requests, [None] * len(requests))
            self._open.add(rows["input"], prepared, rows["row"].to_pylist())

    def _next_batch(self, first_row: int) -> None:
        if self._open is not None:
            self._open.close()
        self._packer.close()
        self._open = self._round.new_batch(first_row)


def take_up_lost(run: Run, valar: Valar, report: Reporter) -> None:
    """Take up the rounds of a run that are at Valar and not here, since their folder was lost.

    So their rows are known to be under way, whatever is chosen now.
    """
    lost: defaultdict[int, dict[int, Batch]] = defaultdict(dict)
    known = {1, *run.attempts()}
    for text, batch in labelled(run.id, valar).items():
        label = parse_label(text)
        if label is not None and label.attempt not in known:
            lost[label.attempt][label.batch] = batch
    for attempt, batches in sorted(lost.items()):
        with Round(run, attempt) as round_:
            for number, batch in sorted(batches.items()):
                round_.take_up(batch, number, rows_of(run, batch, valar), of=len(batches))
            round_.commit()
        count = sum(batch.request_counts for batch in batches.values())
        report(Notice(f"attempt {attempt} with {count:,} rows was found at Valar and taken up"))


def rows_of(run: Run, batch: Batch, valar: Valar) -> list[pa.RecordBatch]:
    """Find the rows of a run that a batch at Valar is about. Raises DoubtError for strangers."""
    import pyarrow as pa

    ids = pa.array(list(requests_in(batch, run, valar)), pa.string())
    rows = [
        chosen
        for part in origins(run)
        if (chosen := part.filter(pa.compute.is_in(part["custom_id"], ids))).num_rows
    ]
    if not rows or sum(part.num_rows for part in rows) != batch.request_counts:
        raise DoubtError(
            f"Valar has a batch {batch.id} with the label {batch.label}, of rows that {run.id} "
            "does not have",
            hint=f"`valar-batch fetch {batch.id} --to OUT` brings its answers",
        )
    return rows
