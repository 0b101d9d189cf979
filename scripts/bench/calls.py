"""Counts the Python functions that are called for the start and the stop of a light actor, in all processes together.

    python scripts/bench/calls.py

In local mode, driver, node and workers are in one process and one thread, so `sys.setprofile` sees all of them. Counts
are the same on a busy machine, and times are not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import actorrt as art

COUNT: Final = 500
GROUP_COUNT: Final = 2_000


@contextmanager
def counted(what: str, count: int) -> Iterator[None]:
    """Print how many functions the block calls, divided by `count`."""
    calls = 0

    def profile(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)
    print(f"{calls / count:8.1f}  {what}")


class Child(art.Actor):
    """Does nothing."""


class Parent(art.Actor):
    """Spawns children on its own loop."""

    async def spawn_children(self) -> None:
        for _ in range(50):  # so that everything that is made only once exists
            await Child.spawn()
        with counted("a light child, spawned by its parent", COUNT):
            children = [await Child.spawn() for _ in range(COUNT)]
        with counted("its stop", COUNT):
            for child in children:
                await child.stop()
        with counted(f"a light child in a group of {GROUP_COUNT}", GROUP_COUNT):
            await Child.spawn_many(GROUP_COUNT)


async def main() -> None:
    parent = await Parent.spawn()
    await parent.spawn_children()
    for _ in range(50):
        await Child.spawn()
    with counted("a light actor, spawned by a driver: driver, node and worker together", COUNT):
        actors = [await Child.spawn() for _ in range(COUNT)]
    with counted("its stop, with the report of its exit", COUNT):
        for actor in actors:
            await actor.stop()


if __name__ == "__main__":
    art.run(main, mode="local")
