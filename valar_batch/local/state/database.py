"""The file of the local Valar's state: its version, one writer at a time, a reader per thread."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING

from valar_batch.errors import StateError
from valar_batch.local.state.schema import SCHEMA, UPGRADES, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Database:
    """An SQLite file with the tables of the schema; one of an older version is brought up to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._write_lock = threading.Lock()
        self._writer = self._connect()
        self._writer.execute("PRAGMA journal_mode = WAL")
        version = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            self.close()
            message = f"{path} was written by a newer version"
            raise StateError(message, hint="upgrade valar-batch, or move the file away")
        if version == 0:
            self._writer.executescript(SCHEMA)
        for older in range(version or VERSION, VERSION):
            self._writer.executescript(UPGRADES[older])

    def close(self) -> None:
        """Close every connection; no other thread may be using the file."""
        for connection in self._connections:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=60, isolation_level=None, check_same_thread=False
        )
        # In WAL mode this survives a killed process; a power cut may take back the last POST, but
        # then its record and its reservation together.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        self._connections.append(connection)
        return connection

    @property
    def reader(self) -> sqlite3.Connection:
        """This thread's connection for questions."""
        connection: sqlite3.Connection | None = getattr(self._thread, "connection", None)
        if connection is None:
            connection = self._thread.connection = self._connect()
        return connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self._write_lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")
