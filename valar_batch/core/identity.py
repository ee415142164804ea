"""Who is who: custom_ids, run ids, labels and idempotency keys, all derived from content."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valar_batch.core.rules import CUSTOM_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

HASHED_PREFIX = "x-"
ROW_PREFIX = "r-"
FOREIGN_PREFIX = "ext-"


def custom_id_for_value(value: str) -> str:
    """Give the custom_id of a user's own id: itself where Valar's pattern takes it, else a hash.

    Literal ids that begin with `x-` are hashed too, so a hash can never meet a literal.
    """
    if CUSTOM_ID.fullmatch(value) and not value.startswith(HASHED_PREFIX):
        return value
    digest = hashlib.blake2b(value.encode(), digest_size=16).digest()
    return HASHED_PREFIX + base64.b32encode(digest).decode().rstrip("=").lower()


def custom_id_of_request(value: str) -> str:
    """Give the custom_id of a finished request: its own wherever it fits, also one like a hash.

    So requests that `preview` wrote stay what they are. Ids that then meet are found as duplicates.
    """
    return value if CUSTOM_ID.fullmatch(value) else custom_id_for_value(value)


def custom_id_for_row(row: int) -> str:
    """Give the custom_id of a row without an id column; rows count from 1."""
    return f"{ROW_PREFIX}{row}"


def params_hash(params: bytes) -> bytes:
    """16 bytes that stand for the exact bytes of a request's params."""
    return hashlib.blake2b(params, digest_size=16).digest()


INVALID_ROW = b"!"
"""Stands in the identity for a row that has no request."""


class RunIdentity:
    """The digest of a run: its target, its mode, and each row's request bytes in order.

    A request's bytes hold its custom_id and its final params. How requests are packed into
    batches, names and output choices do not enter, so they do not make another run.
    """

    def __init__(self, target: str, mode: str) -> None:
        self._digest = hashlib.sha256(f"{target}\n{mode}\n".encode())

    def add(self, requests: Iterable[bytes]) -> None:
        """Take in the next rows: request bytes, or INVALID_ROW. One alone is not copied."""
        if lines := list(requests):
            self._digest.update(b"\n".join(lines))
            self._digest.update(b"\n")

    def hexdigest(self) -> str:
        """Give the identity so far."""
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True)
class RunId:
    """`run-<16 hex>`, with `-<generation>` from the second generation on."""

    digest: str
    generation: int = 1

    def __str__(self) -> str:
        base = f"run-{self.digest[:16]}"
        return base if self.generation == 1 else f"{base}-{self.generation}"

    def next(self, generation: int) -> RunId:
        """Give the same work, to be paid again."""
        return RunId(self.digest, generation)


@dataclass(frozen=True, slots=True)
class Label:
    """A batch's label at Valar: `<run id>-<attempt>-<batch>`, both numbers without padding."""

    run: str
    attempt: int
    batch: int

    def __str__(self) -> str:
        return f"{self.run}-{self.attempt}-{self.batch}"


def parse_label(text: str) -> Label | None:
    """Read a label back; None if it is not one of ours."""
    head, _, batch = text.rpartition("-")
    run, _, attempt = head.rpartition("-")
    if run.startswith("run-") and is_number(attempt) and is_number(batch):
        return Label(run, int(attempt), int(batch))
    return None


def is_number(text: str) -> bool:
    """Whether text is a number as we write it: `²` and its like are digits, too."""
    return text.isascii() and text.isdecimal() and len(text) < 10


def foreign_name(target: str, batch_id: str) -> str:
    """Name the folder of a batch that was not sent from here: `ext-<16 hex>`."""
    digest = hashlib.sha256(f"{target}\n{batch_id}".encode()).hexdigest()
    return f"{FOREIGN_PREFIX}{digest[:16]}"


def idempotency_key(label: Label, body_sha256: str) -> str:
    """Give the Idempotency-Key of a batch: 64 hex digits from what it is, never from when."""
    return hashlib.sha256(f"{label}\n{body_sha256}".encode()).hexdigest()


def key_fingerprint(api_key: str, salt: bytes) -> str:
    """Tell keys apart without keeping them: a salted hash of the key."""
    return hashlib.blake2b(api_key.encode(), key=salt[:64], digest_size=16).hexdigest()
