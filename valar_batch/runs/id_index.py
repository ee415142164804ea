"""Which custom_ids occur twice in a whole run: 16 bytes for each, in files when they are many."""

from __future__ import annotations

import hashlib
import shutil
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

BUCKETS = 256
RECORD = struct.Struct("<16sQ")
SPILL_BYTES = 4 << 20


class IdIndex:
    """Collects ids with their rows; memory stays under about 4 MB, the rest is in `folder`.

    An id's digest decides its bucket, so twins meet in one, and a bucket is small enough to sort.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._buckets = [bytearray() for _ in range(BUCKETS)]
        self._held = 0

    def add(self, custom_id: str, row: int) -> None:
        """Take in the id of a row."""
        self.add_all([(custom_id, row)])

    def add_all(self, ids: Iterable[tuple[str, int]]) -> None:
        """Take in ids, each with its row."""
        buckets, pack, digest_of, count = self._buckets, RECORD.pack, hashlib.blake2b, 0
        for custom_id, row in ids:
            digest = digest_of(custom_id.encode(), digest_size=16).digest()
            buckets[digest[0]] += pack(digest, row)
            count += 1
        self._held += count * RECORD.size
        if self._held >= SPILL_BYTES:
            self._spill()

    def remove(self) -> None:
        """Remove what was written to `folder`."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"ids-{number:02x}"

    def _spill(self) -> None:
        self._folder.mkdir(exist_ok=True)
        for number, bucket in enumerate(self._buckets):
            with self._path(number).open("ab") as file:
                file.write(bucket)
            bucket.clear()
        self._held = 0

    def duplicates(self) -> Iterator[tuple[int, int]]:
        """Give `(row, first row with the same id)` for every row that repeats an id."""
        for number, held in enumerate(self._buckets):
            path = self._path(number)
            records = path.read_bytes() + held if path.exists() else bytes(held)
            first: dict[bytes, int] = {}
            for digest, row in RECORD.iter_unpack(records):
                earlier = first.setdefault(digest, row)
                if earlier != row:
                    yield row, earlier
