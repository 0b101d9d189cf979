"""Callbacks are told of a run's end whichever of them fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actorrt.rl.runs.callbacks import Callback, Callbacks


class Noting(Callback):
    """Notes what it is told, and raises at some events."""

    def __init__(self, name: str, told: list[str], *raises_at: str) -> None:
        self.name, self.told, self.raises_at = name, told, raises_at

    def on_start(self, run: Any) -> None:
        self._note("start")

    async def on_end(self, run: Any) -> None:
        self._note("end")

    def _note(self, event: str) -> None:
        self.told.append(f"{self.name} {event}")
        if event in self.raises_at:
            raise OSError(f"{self.name} failed at the {event}")


def callbacks(told: list[str], *kinds: tuple[str, ...]) -> Callbacks:
    made = [Noting(name, told, *raises_at) for name, *raises_at in kinds]
    return Callbacks(SimpleNamespace(progress=None), made)  # type: ignore[arg-type]


async def test_callback_that_fails_at_the_end_keeps_no_other_one_from_its_end() -> None:
    told: list[str] = []
    every = callbacks(told, ("a",), ("b", "end"), ("c",))
    await every.began()
    with pytest.raises(OSError, match="b failed at the end"):
        await every.ended()
    assert told == ["a start", "b start", "c start", "a end", "b end", "c end"]


async def test_only_callbacks_that_began_are_told_of_the_end() -> None:
    told: list[str] = []
    every = callbacks(told, ("a",), ("b", "start"), ("c",))
    with pytest.raises(OSError, match="b failed at the start"):
        await every.began()
    await every.ended()
    assert told == ["a start", "b start", "a end"]
