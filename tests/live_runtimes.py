"""The runtimes in the tests' own process: their invariants are checked when they close, and after each test.

So a table that contradicts itself fails the test that caused the contradiction, and not a later test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from weakref import WeakSet

from actorrt.actors.cells.cell import Cell
from actorrt.actors.endpoint.consistency import check_endpoint
from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.node.daemon.core import NodeCore
from actorrt.node.driver.runtime import Runtime

CHECK_TIMEOUT_S = 10.0

_live: dict[type, WeakSet[Any]] = {ActorEndpoint: WeakSet(), NodeCore: WeakSet()}
_broken: list[str] = []


def endpoints() -> list[ActorEndpoint]:
    """Return the endpoints in this process; in local mode these are all endpoints."""
    return list(_live[ActorEndpoint])


def cores() -> list[NodeCore]:
    """Return the nodes of local mode, which are in this process."""
    return list(_live[NodeCore])


def hosted_cells() -> list[Cell]:
    """Return the cells of the actors in this process; in local mode these are all actors."""
    return [cell for endpoint in endpoints() for cell in endpoint.population.cells()]


def check_live_runtimes() -> list[str]:
    """Check every live runtime of this process; return the contradictions found since the last call."""
    for cls, instances in _live.items():
        for one in list(instances):
            if not _is_over(one) and not one.scope.loop.is_closed():
                _run_on_loop(one.scope.loop, lambda cls=cls, one=one: _check(cls, one))
    found, _broken[:] = _broken[:], []
    return found


def _run_on_loop(loop: asyncio.AbstractEventLoop, check: Callable[[], None]) -> None:
    if not loop.is_running():
        check()
        return
    checked: Future[None] = Future()

    def run() -> None:
        check()
        checked.set_result(None)

    loop.call_soon_threadsafe(run)
    checked.result(CHECK_TIMEOUT_S)


def _check(cls: type, one: Any) -> None:
    if _is_over(one):
        return
    try:
        if cls is ActorEndpoint:
            check_endpoint(one)
        else:
            one.check_invariants()
    except AssertionError as error:
        _broken.append(f"{cls.__name__} of {one.transport.address}: {error}")


def _is_over(one: Any) -> bool:
    """Whether a runtime has ended or failed. Its tables need not be consistent any more."""
    return one.scope.is_closed or bool(getattr(one, "is_closed", False))


def _check_at_close(cls: Any) -> None:
    """Note the instances of a class while they live, and check each one when it closes."""
    start, close = cls.start, cls.close

    async def start_and_note(one: Any) -> None:
        await start(one)
        _live[cls].add(one)

    async def check_and_close(one: Any, *args: Any, **kwargs: Any) -> None:
        if one in _live[cls]:
            _live[cls].discard(one)
            _check(cls, one)
        await close(one, *args, **kwargs)

    cls.start, cls.close = start_and_note, check_and_close


def _check_before_drivers_close() -> None:
    """Check every instance on a driver's loop before the driver closes them."""
    close = Runtime.close

    async def check_and_close(runtime: Runtime) -> None:
        for cls, instances in _live.items():
            for one in list(instances):
                if one.scope.loop is asyncio.get_running_loop():
                    _check(cls, one)
        await close(runtime)

    Runtime.close = check_and_close  # type: ignore[method-assign]


for _cls in _live:
    _check_at_close(_cls)
_check_before_drivers_close()
