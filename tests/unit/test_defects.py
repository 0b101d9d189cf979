"""Exceptions of the runtime's own callbacks reach the owners of their loop; other exceptions do not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from actorrt.completion import Completion
from actorrt.defects import report_defects

Loop = asyncio.AbstractEventLoop


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    loop = request.param()
    yield loop
    loop.close()


def _broken() -> Completion[None]:
    """Return a completion whose completing raises: a callback of the runtime's own with a defect."""
    completion: Completion[None] = Completion()
    completion.add_callback(lambda _: {}["defect"])
    return completion


def _soon(loop: Loop, callback: Callable[..., None], *args: Any) -> None:
    loop.call_soon(callback, *args)


def _later(loop: Loop, callback: Callable[..., None], *args: Any) -> None:
    loop.call_later(0, callback, *args)


def _from_a_thread(loop: Loop, callback: Callable[..., None], *args: Any) -> None:
    loop.run_in_executor(None, loop.call_soon_threadsafe, callback, *args)


def _when_readable(loop: Loop, callback: Callable[..., None], *args: Any) -> None:
    read, write = os.pipe()

    def readable() -> None:
        loop.remove_reader(read)
        os.close(read)
        os.close(write)
        callback(*args)

    # the frame of a test would be the outermost, and make it a callback of a user's
    trigger: Completion[None] = Completion()
    trigger.add_callback(lambda _: readable())
    loop.add_reader(read, trigger.set_value, None)
    os.write(write, b"x")


@pytest.mark.parametrize("how", [_soon, _later, _from_a_thread, _when_readable])
def test_defect_in_a_callback_of_the_runtime_reaches_every_owner(loop: Loop, how: Callable[..., None]) -> None:
    told: list[tuple[str, str]] = []

    async def main() -> None:
        both = asyncio.Event()
        report_defects(loop, lambda error: told.append(("first", repr(error))))

        def second(error: BaseException) -> None:
            told.append(("second", repr(error)))
            both.set()

        report_defects(loop, second)
        how(loop, _broken().set_value, None)
        await asyncio.wait_for(both.wait(), 10)
        await loop.shutdown_default_executor()

    loop.run_until_complete(main())
    assert told[:2] == [("first", "KeyError('defect')"), ("second", "KeyError('defect')")]


def test_exceptions_of_users_callbacks_reach_the_former_handler(loop: Loop) -> None:
    told: list[BaseException] = []
    seen: list[BaseException] = []

    async def main() -> None:
        reported = asyncio.Event()

        def former(_: Loop, context: dict[str, Any]) -> None:
            seen.append(context["exception"])
            reported.set()

        loop.set_exception_handler(former)
        end = report_defects(loop, told.append)
        loop.call_soon(lambda: {}["of a user"])
        await asyncio.wait_for(reported.wait(), 10)
        end()
        assert loop.get_exception_handler() is former

    loop.run_until_complete(main())
    assert [repr(error) for error in seen] == ["KeyError('of a user')"]
    assert told == []


def test_owner_that_has_left_is_not_told_and_the_other_still_is(loop: Loop) -> None:
    told: list[str] = []

    async def main() -> None:
        reported = asyncio.Event()
        end = report_defects(loop, lambda _: told.append("left"))

        def stays(_: BaseException) -> None:
            told.append("stays")
            reported.set()

        report_defects(loop, stays)
        end()
        loop.call_soon(_broken().set_value, None)
        await asyncio.wait_for(reported.wait(), 10)

    loop.run_until_complete(main())
    assert told == ["stays"]


def test_owner_may_end_the_process_by_system_exit(loop: Loop) -> None:
    def leave(error: BaseException) -> None:
        raise SystemExit(7) from error

    report_defects(loop, leave)
    loop.call_soon(_broken().set_value, None)
    with pytest.raises(SystemExit, match="7"):
        loop.run_forever()
