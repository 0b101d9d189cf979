"""Pure: a dict of a bounded size."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

DEFAULT_COUNT: Final = 10_000


class BoundedDict(OrderedDict[K, V]):
    """A dict that deletes its oldest entry when it exceeds its size; an entry that is set again is the newest.

    Args:
        most_count: how many entries it holds.
    """

    def __init__(self, most_count: int = DEFAULT_COUNT) -> None:
        super().__init__()
        self._most_count = most_count

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most_count:
            del self[next(iter(self))]
