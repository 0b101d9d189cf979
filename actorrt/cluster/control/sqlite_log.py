"""Keeps the rows of a control store in a SQLite file of the standard library.

One connection, used by one thread at a time: versions of SQLite before 3.51.3 can damage a file in WAL mode that two
connections write to. The file is locked while the store is open, so a second process is refused.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from actorrt.cluster.control.tables import Batch, Tables
from actorrt.protocol.cluster.control import Row

_FORMAT: Final = 1
"""The version of the file's format, in its `user_version`."""
_LOCK_TIMEOUT_S: Final = 0.5
_MAKE: Final = (
    "CREATE TABLE state (version INTEGER NOT NULL, view INTEGER NOT NULL, forgotten_until INTEGER NOT NULL)",
    "CREATE TABLE rows (name TEXT NOT NULL, key BLOB NOT NULL, value BLOB, version INTEGER NOT NULL, "
    "PRIMARY KEY (name, key)) WITHOUT ROWID",
    "CREATE TABLE nonces (nonce BLOB PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO state VALUES (0, 0, 0)",
    f"PRAGMA user_version = {_FORMAT}",
)


class SqliteLog:
    """A `Log` in a file.

    Args:
        path: the file, which is made if there is none, for this user only.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def open(self) -> Tables:
        self.close()
        with self._failures("open"):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = self._connection = sqlite3.connect(
                self._path, timeout=_LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
                connection.execute(f"PRAGMA {setting}").fetchall()
            connection.execute("BEGIN EXCLUSIVE")  # another process that has the file open is found now
            (made,) = connection.execute("PRAGMA user_version").fetchone()
            for statement in _MAKE if made == 0 else ():
                connection.execute(statement)
            connection.execute("COMMIT")
            if made not in (0, _FORMAT):
                raise OSError(f"{self._path} has the format {made} of another version of actorrt, not {_FORMAT}")
            ((damage,), *_) = connection.execute("PRAGMA quick_check(1)").fetchall()
            if damage != "ok":
                raise sqlite3.DatabaseError(damage)
            return _load(connection)

    def commit(self, batch: Batch) -> None:
        with self._failures("write to"):
            connection = self._connection
            if connection is None:
                raise OSError(f"the control store {self._path} is not open")
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)",
                [(row.table, row.key, row.value, row.version) for row in batch.rows.values()],
            )
            connection.executemany("DELETE FROM rows WHERE name = ? AND key = ?", batch.forgotten)
            connection.executemany("INSERT INTO nonces VALUES (?, ?)", batch.nonces.items())
            connection.executemany("DELETE FROM nonces WHERE nonce = ?", ((n,) for n in batch.forgotten_nonces))
            connection.execute(
                "UPDATE state SET version = ?, view = ?, forgotten_until = ?",
                (batch.version, batch.view, batch.forgotten_until),
            )
            connection.execute("COMMIT")

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _failures(self, action: str) -> Iterator[None]:
        """Close the connection after a failure, which rolls back what is not committed, and raise OSError."""
        try:
            yield
        except sqlite3.Error as error:
            self.close()
            raise OSError(f"can't {action} the control store {self._path}: {_advice(error)}") from error
        except BaseException:
            self.close()
            raise


def _load(connection: sqlite3.Connection) -> Tables:
    version, view, forgotten_until = connection.execute("SELECT * FROM state").fetchone()
    rows = (Row(*row) for row in connection.execute("SELECT name, key, value, version FROM rows"))
    nonces = connection.execute("SELECT nonce, version FROM nonces")
    return Tables.loaded(version, view, forgotten_until, rows, nonces)


def _advice(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return f"{error}; another node runs on this state directory: stop it, or give another with --state-dir"
    if code == sqlite3.SQLITE_FULL:
        return f"{error}; free some space, and the cluster goes on by itself"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, 0):
        return f"{error}; the file is damaged: restore it from a copy, or start a new cluster with another --state-dir"
    return str(error)
