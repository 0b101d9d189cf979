"""An actor whose state is a number, kept in snapshots."""

from __future__ import annotations

import actorrt as art


class Keeper(art.Actor):
    def __init__(self) -> None:
        self.number = 0

    def add(self) -> int:
        self.number += 1
        return self.number

    def snapshot(self) -> int:
        return self.number

    def restore(self, state: int) -> None:
        self.number = state
