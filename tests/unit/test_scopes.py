"""A scope owns tasks and timers, and its owner is told of the first exception."""

from __future__ import annotations

import asyncio
import logging

import pytest

from actorrt.scopes import Scope


async def _raise(text: str) -> None:
    raise LookupError(text)


async def test_task_that_raises_ends_the_scope_and_its_owner_is_told_once() -> None:
    told: list[str] = []
    crashed = asyncio.Event()

    def on_crash(error: BaseException) -> None:
        told.append(str(error))
        crashed.set()

    scope = Scope("s", on_crash)
    waiting = scope.start(asyncio.Event().wait(), "waiting")
    scope.start(_raise("first"), "one")
    await asyncio.wait_for(crashed.wait(), 10)
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert told == ["first"]
    with pytest.raises(RuntimeError, match="scope 's' is closed: 'late' was not started"):
        scope.start(_raise("late"), "late")


async def test_timer_that_raises_ends_the_scope_as_a_task_does() -> None:
    told: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    scope = Scope("s", told.set_result)
    waiting = scope.start(asyncio.Event().wait(), "waiting")
    scope.after(0, lambda: {}["timer"])
    assert repr(await asyncio.wait_for(told, 10)) == "KeyError('timer')"
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert scope.is_closed


async def test_exception_of_a_task_during_close_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def raises_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LookupError("on the way out") from None

    scope = Scope("s", lambda error: pytest.fail(f"told {error!r}"))
    scope.start(raises_when_cancelled(), "one")
    await asyncio.sleep(0)
    with caplog.at_level(logging.ERROR, "actorrt.scopes"):
        await scope.close()
    [record] = caplog.records
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "on the way out"


async def test_cancelled_timer_does_not_run() -> None:
    ran: list[str] = []
    scope = Scope("s", lambda error: pytest.fail(f"told {error!r}"))
    cancel = scope.after(0, lambda: ran.append("cancelled"))
    later = asyncio.Event()
    scope.after(0, later.set)
    cancel()
    await asyncio.wait_for(later.wait(), 10)
    assert ran == []
    await scope.close()
