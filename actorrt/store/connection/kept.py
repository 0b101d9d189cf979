"""Refs and views that a process keeps for a few milliseconds, because it is likely to use them next."""

from __future__ import annotations

from typing import Final

from actorrt.ids import ObjectId

MAX_KEPT_COUNT: Final = 64


class Kept:
    """The refs and views of one process that are released soon.

    Attributes:
        refs: refs that arrived in messages, because the next message often has the same ref.
        views: objects that the store pinned ahead of a request, because the process has waited for them and reads them
            next.
    """

    def __init__(self) -> None:
        self.refs: dict[ObjectId, object] = {}
        self.views: dict[ObjectId, memoryview] = {}

    def clear(self) -> None:
        """Release everything. Idempotent."""
        self.refs.clear()
        self.views.clear()
