"""What keeps the rows of a control store over the end of its process: the interface, and one that keeps nothing."""

from __future__ import annotations

from typing import Protocol

from actorrt.cluster.control.tables import Batch, Tables


class Log(Protocol):
    """Keeps rows. Its methods block, and are called by one thread at a time.

    Each raises OSError if the rows can't be kept or read, with what to do about it. Then `open` is called before
    anything else.
    """

    def open(self) -> Tables:
        """Return the rows that are kept. May be called again, to find out whether a batch that failed was kept."""

    def commit(self, batch: Batch) -> None:
        """Keep a batch whole. When this returns, it outlives the process and the machine's power."""

    def close(self) -> None:
        """Release what is open. Idempotent."""


class MemoryLog:
    """Keeps rows as long as the process: for embedded nodes, and for tests."""

    def __init__(self) -> None:
        self._tables = Tables()

    def open(self) -> Tables:
        kept, self._tables = self._tables, Tables()
        rows, _ = kept.since(-1, kept.names)
        deleted = kept.oldest_deletions(kept.deletions_count)
        nonces = [(nonce, kept.made_by(nonce) or 0) for nonce in kept.oldest_nonces(kept.nonces_count)]
        self._tables = Tables.loaded(kept.version, kept.view, kept.forgotten_until, [*rows, *deleted], nonces)
        return Tables.loaded(kept.version, kept.view, kept.forgotten_until, [*rows, *deleted], nonces)

    def commit(self, batch: Batch) -> None:
        self._tables.add(batch)

    def close(self) -> None:
        pass
