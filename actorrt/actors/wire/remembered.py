"""Pure: a dict that forgets its oldest entries."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

REMEMBERED_COUNT: Final = 10_000


class Remembered(OrderedDict[K, V]):
    """A dict of a bounded size: beyond it, the entry that was set first is deleted.

    Args:
        most_count: how many entries it holds.
    """

    def __init__(self, most_count: int = REMEMBERED_COUNT) -> None:
        super().__init__()
        self._most_count = most_count

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most_count:
            del self[next(iter(self))]
