"""The runtimes in the tests' own process: what they know is checked when they close, and after each test.

So a table that contradicts itself fails the test that brought it about, and not one that trips over it later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from weakref import WeakSet

from actorrt.actors.cells.cell import Cell
from actorrt.actors.endpoint.consistency import check_system
from actorrt.actors.endpoint.endpoint import System
from actorrt.node.daemon.core import NodeCore
from actorrt.node.driver.runtime import Runtime

CHECK_TIMEOUT_S = 10.0

_living: dict[type, WeakSet[Any]] = {System: WeakSet(), NodeCore: WeakSet()}
_broken: list[str] = []


def systems() -> list[System]:
    """Return the endpoints in this process: in local mode, all of them."""
    return list(_living[System])


def cores() -> list[NodeCore]:
    """Return the nodes in this process: those of local mode."""
    return list(_living[NodeCore])


def hosted_cells() -> list[Cell]:
    """Return the cells of all actors in this process: in local mode, of all actors."""
    return [cell for system in systems() for cell in system.population.cells()]


def look_at_all() -> list[str]:
    """Check what lives in this process, and return all contradictions that were found since the last time."""
    for cls, living in _living.items():
        for one in list(living):
            if not _is_over(one) and not one.scope.loop.is_closed():
                _on_its_loop(one.scope.loop, lambda cls=cls, one=one: _look(cls, one))
    found, _broken[:] = _broken[:], []
    return found


def _on_its_loop(loop: asyncio.AbstractEventLoop, look: Callable[[], None]) -> None:
    if not loop.is_running():
        look()
        return
    looked: Future[None] = Future()

    def run() -> None:
        look()
        looked.set_result(None)

    loop.call_soon_threadsafe(run)
    looked.result(CHECK_TIMEOUT_S)


def _look(cls: type, one: Any) -> None:
    if _is_over(one):
        return
    try:
        if cls is System:
            check_system(one)
        else:
            one.check_invariants()
    except AssertionError as error:
        _broken.append(f"{cls.__name__} of {one.transport.address}: {error}")


def _is_over(one: Any) -> bool:
    """Whether a runtime has ended, or failed: it is on its way to nowhere, and may leave everything as it is."""
    return one.scope.is_closed or bool(getattr(one, "is_closed", False))


def _watch(cls: Any) -> None:
    """Have everything of a class looked at when it closes, and known while it lives."""
    start, close = cls.start, cls.close

    async def start_and_note(one: Any) -> None:
        await start(one)
        _living[cls].add(one)

    async def look_and_close(one: Any, *args: Any, **kwargs: Any) -> None:
        if one in _living[cls]:
            _living[cls].discard(one)
            _look(cls, one)
        await close(one, *args, **kwargs)

    cls.start, cls.close = start_and_note, look_and_close


def _watch_drivers() -> None:
    """Have everything on a driver's loop looked at before the driver ends what it has started."""
    close = Runtime.close

    async def look_and_close(runtime: Runtime) -> None:
        for cls, living in _living.items():
            for one in list(living):
                if one.scope.loop is asyncio.get_running_loop():
                    _look(cls, one)
        await close(runtime)

    Runtime.close = look_and_close  # type: ignore[method-assign]


for _cls in _living:
    _watch(_cls)
_watch_drivers()
