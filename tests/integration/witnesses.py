"""An actor that records its actions in a file, and an actor that records the ends of another actor."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import actorrt as art
from tests.running import wait_until


class Subject(art.Actor):
    """Records its actions in a file, which can be read after its death.

    Args:
        folder: has the file `notes`; `hold` and `block` wait until it has a file `open`.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def _note(self, word: Any) -> None:
        with open(self.folder / "notes", "a") as file:
            file.write(f"{word}\n")

    @property
    def _is_open(self) -> bool:
        return (self.folder / "open").exists()

    def record(self, word: Any) -> Any:
        self._note(word)
        return word

    async def hold(self) -> str:
        self._note("holding")
        try:
            while not self._is_open:
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self._note("cancelled")
            raise
        self._note("held")
        return "held"

    def block(self) -> str:
        self._note("blocking")
        while not self._is_open:
            time.sleep(0.005)  # the fault that is tested: a method that blocks its loop
        self._note("blocked")
        return "blocked"

    def raise_value_error(self) -> None:
        raise ValueError("on purpose")

    def exit(self) -> None:
        raise SystemExit("on purpose")

    def incarnation(self) -> int:
        return self.context.incarnation

    def pid(self) -> int:
        return os.getpid()


class Notes:
    """Reads the notes of a `Subject`, and controls its waits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> None:
        """Let `hold` and `block` return."""
        (self.folder / "open").touch()

    def read(self) -> list[str]:
        """Return the notes."""
        path = self.folder / "notes"
        return path.read_text().split() if path.exists() else []

    def clear(self) -> None:
        """Delete the notes."""
        (self.folder / "notes").unlink()

    async def wait_for(self, word: str) -> None:
        """Wait until the word has been noted."""
        await asyncio.to_thread(wait_until, lambda: word in self.read(), f"{word!r} is noted")


class Observer(art.Actor):
    """Links to an actor and monitors it, and records the events that it receives."""

    def __init__(self) -> None:
        self.downs: list[str] = []
        self.exits: list[str] = []
        self.restarts: list[str] = []

    async def observe(self, ref: art.ActorRef[Any]) -> None:
        self.context.trap_exits = True
        self.context.link(ref)
        self.context.monitor(ref)
        self.watching = asyncio.ensure_future(self._watch(ref))  # ends with the actor, or in `stop_watching`
        await ref.is_alive()  # the link and the monitors have arrived before this answer

    async def _watch(self, ref: art.ActorRef[Any]) -> None:
        while True:
            down = await art.monitor(ref, restarts=True)
            if down.is_final:
                return
            self.restarts.append(str(down.reason.kind))

    async def on_down(self, down: art.Down) -> None:
        self.downs.append(str(down.reason.kind))

    async def on_exit(self, exit: art.Exit) -> None:
        self.exits.append(str(exit.reason.kind))

    async def events(self) -> tuple[list[str], list[str], list[str]]:
        """Return the reason kinds of the Downs, of the exits and of the restarts."""
        return self.downs, self.exits, self.restarts

    async def stop_watching(self) -> None:
        self.watching.cancel()


async def observed(ref: art.ActorRef[Any]) -> art.ActorRef[Observer]:
    """Return an observer of the actor, in its own process."""
    observer = await Observer.options(isolation="process").spawn()
    await observer.observe(ref)
    return observer


async def events_of(
    observer: art.ActorRef[Observer], *, down: str | None = None, restart: str | None = None
) -> tuple[list[str], list[str], list[str]]:
    """Wait until the observer has received a final Down, or a restart, of this kind; return all its events."""
    while True:
        downs, exits, restarts = seen = await observer.events()
        if (down is None or (down in downs and down in exits)) and (restart is None or restart in restarts):
            return seen


async def dead_letters(runtime: art.Runtime, method: str) -> int:
    """Return how many dead letters of a method the processes of the job have."""
    everywhere = (await runtime.statistics()).values()
    letters = [letter for here in everywhere for letter in here["dead_letters"]["last"]]
    return sum(letter["method"] == method for letter in letters)
