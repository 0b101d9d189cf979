"""Operations on the runtime's loop, whose scope may close before they begin."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.errors import ActorDiedError, ActorRtError, CallCancelledError
from actorrt.scopes import Scope


async def _error_of_an_operation_that_never_began(closed_by: ActorRtError | None) -> BaseException | None:
    threads, scope = LoopThread(), Scope("actors", lambda _: None)
    threads.begin(asyncio.get_running_loop(), scope)
    operation = threads.operate("the start of X", asyncio.Event().wait)
    threads.closed_by = closed_by
    await scope.close()
    return operation.error()


async def test_operation_that_ends_before_its_first_step_ends_with_what_closed_the_runtime() -> None:
    lost = ActorDiedError("the node is lost")
    assert await _error_of_an_operation_that_never_began(lost) is lost


async def test_operation_that_ends_before_its_first_step_is_cancelled_where_nothing_closed_the_runtime() -> None:
    error = await _error_of_an_operation_that_never_began(None)
    with pytest.raises(CallCancelledError, match="the start of X was cancelled"):
        raise error or AssertionError("it has no error")
