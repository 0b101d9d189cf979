"""What the messages in hand wait for, whatever they wait through."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actorrt.actors.refs import current
from actorrt.actors.refs.message import Message
from actorrt.actors.refs.message_waits import TaskWaiter, waited_for, waits_of
from actorrt.actors.refs.waiting import gather
from actorrt.actors.running.runner import resumed
from tests.unit.actors.calling.fakes import CallingSide


@pytest.fixture
def side() -> CallingSide:
    return CallingSide()


@pytest.fixture
def message() -> Any:
    """A message in hand, for code of the test."""
    in_hand = Message(None, 0, "method", (), (), None, None)
    token = current.message.set(in_hand)
    yield in_hand
    current.message.reset(token)


async def waiting(awaitable: Any) -> asyncio.Task[Any]:
    """Return a task that waits."""
    task = asyncio.ensure_future(_awaited(awaitable))
    await asyncio.sleep(0)
    return task


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def end(side: CallingSide, *replies: Any) -> None:
    for reply in replies:
        side.arrivals.succeeded(reply.call_id, [None], ())


def runs_in(message: Message, task: asyncio.Task[Any]) -> None:
    """Let a message run in a task, as its runner says."""
    runner: Any = type("Runner", (), {"task": task, "held": None, "waits_for": None})()
    message.runner = runner


async def test_message_that_waits_for_nothing(message: Message) -> None:
    assert [*waited_for(message)] == []


async def test_reply_that_the_task_of_the_message_awaits(side: CallingSide, message: Message) -> None:
    reply, other = side.ask(side.ref()), side.ask(side.ref())
    task = await waiting(reply)
    runs_in(message, task)
    assert [*waited_for(message)] == [reply]
    end(side, reply, other)
    await task
    assert [*waited_for(message)] == []


async def test_all_replies_of_a_gather(side: CallingSide, message: Message) -> None:
    replies = [side.ask(side.ref()) for _ in range(3)]
    task = await waiting(gather(*replies))
    runs_in(message, task)
    end(side, replies[1])
    assert [*waited_for(message)] == [replies[0], replies[2]]
    end(side, replies[0], replies[2])
    await task


async def test_reply_that_a_task_awaits_which_the_message_awaits(side: CallingSide, message: Message) -> None:
    reply, left = side.ask(side.ref()), side.ask(side.ref())
    inner, unrelated = await waiting(reply), await waiting(left)
    outer = await waiting(inner)
    runs_in(message, outer)
    assert [*waited_for(message)] == [reply]  # what another task awaits does not hold the message up
    end(side, reply, left)
    await asyncio.gather(outer, unrelated)


class Held(TaskWaiter):
    """A runner that holds a coroutine: its task waits on `future` meanwhile."""

    __slots__ = ()

    def __call__(self, _: Any) -> None:
        self.future.set_result(None)


async def test_reply_that_a_held_coroutine_waits_for(side: CallingSide, message: Message) -> None:
    reply = side.ask(side.ref())
    message.runner = held = Held()
    held.future = asyncio.get_running_loop().create_future()
    held.task = await waiting(held.future)
    held.held, held.waits_for = _awaited(reply), reply
    reply._callbacks.append(held)
    assert [*waited_for(message)] == [reply]
    end(side, reply)
    await held.task
    held.held.close()


async def test_reply_that_a_coroutine_awaits_which_a_runner_drives(side: CallingSide, message: Message) -> None:
    reply = side.ask(side.ref())
    coroutine = _awaited(reply)
    task = await waiting(resumed(coroutine, coroutine.send(None)))
    runs_in(message, task)
    assert [*waited_for(message)] == [reply]
    end(side, reply)
    await task


async def test_replies_of_a_gather_of_asyncio(side: CallingSide, message: Message) -> None:
    replies = [side.ask(side.ref()) for _ in range(2)]
    task = await waiting(asyncio.gather(replies[0], _awaited(replies[1])))
    await asyncio.sleep(0)
    runs_in(message, task)
    assert [*waited_for(message)] == replies
    assert [wait.completion for wait in waits_of(task)] == replies
    end(side, *replies)
    await task


async def test_task_that_waits_for_something_else_waits_for_no_completion() -> None:
    event = asyncio.Event()
    task = await waiting(event.wait())
    assert [*waits_of(task)] == []
    event.set()
    await task
