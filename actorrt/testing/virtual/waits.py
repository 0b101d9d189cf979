"""Where tasks wait: the story of a program that is stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from actorrt.testing.virtual.processes import SimulatedProcess

_OWN_FOLDERS = (str(Path(asyncio.__file__).parent), str(Path(__file__).parents[2]))


def waiting_tasks(process: SimulatedProcess) -> list[str]:
    """Return a line for each task of user code in a process: its name, and the line of user code that waits."""
    lines = []
    for task in process.tasks():
        if not task.done() and (place := _place_of(task)):
            lines.append(f"{process.name}: {task.get_name()} waits at {place}")
    return sorted(lines)


def _place_of(task: asyncio.Task[Any]) -> str:
    """Return the innermost line of user code in which a task is suspended; empty if there is none."""
    place = ""
    for code, line in _frames(task.get_coro()):
        if not code.co_filename.startswith(_OWN_FOLDERS):
            place = f"{Path(code.co_filename).name}:{line} in {code.co_qualname}"
    return place


def _frames(suspended: Any) -> Iterator[tuple[CodeType, int]]:
    """Yield the code and the line of each coroutine of a chain, outermost first."""
    while suspended is not None:
        frame = getattr(suspended, "cr_frame", None) or getattr(suspended, "gi_frame", None)
        if frame is not None:
            yield frame.f_code, frame.f_lineno
        suspended = getattr(suspended, "cr_await", None) or getattr(suspended, "gi_yieldfrom", None)
