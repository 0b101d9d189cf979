"""A runtime that breaks a promise is found out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import actorrt as art
from actorrt.actors.calling.call_table import CallTable
from actorrt.actors.cells.deduplication import Deduplication
from actorrt.actors.cells.execution import Execution
from actorrt.actors.cells.mailbox import Mailbox
from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.actors.hosting.callers import RemoteCaller
from actorrt.actors.refs.route import WaitingCalls
from actorrt.invariants import BrokenInvariantError
from actorrt.testing import BrokenPromiseError, World
from actorrt.testing.world import world as world_module
from actorrt.testing.world.hosts import Hosts


class Echo(art.Actor):
    def echo(self, number: int) -> int:
        return number

    def fail(self) -> None:
        raise asyncio.CancelledError  # which arrives as RemoteActorError, "yes"

    async def once(self) -> int:
        await asyncio.sleep(0.1)
        return 1

    async def never(self) -> None:
        await asyncio.get_running_loop().create_future()


async def ask() -> None:
    echo = await Echo.options(isolation="process").spawn()
    replies = [echo.echo(number) for number in range(10)]
    await art.wait(replies, len(replies), 5.0)
    with_key = [echo.once.options(key="k", retries=1)() for _ in range(3)]
    await art.wait(with_key, len(with_key), 5.0)
    failed = [echo.fail(), echo.never.options(timeout_s=0.1)()]
    await art.wait(failed, len(failed), 60.0)


def say_that_nothing_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    fail = RemoteCaller.fail
    monkeypatch.setattr(
        RemoteCaller, "fail", lambda caller, call_id, error, where, _: fail(caller, call_id, error, where, "no")
    )


def run_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Execution.begin

    def begin_twice(execution: Execution, message: Any) -> Any:
        if message.method == "echo":
            begin(execution, message)
        return begin(execution, message)

    monkeypatch.setattr(Execution, "begin", begin_twice)


def answer_for_the_actor(monkeypatch: pytest.MonkeyPatch) -> None:
    send = CallTable.send

    def send_and_answer(table: CallTable, call: Any) -> None:
        send(table, call)
        if call.method == "echo":
            table.take(call.call_id)
            call.set_value(0)

    monkeypatch.setattr(CallTable, "send", send_and_answer)


def forget_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        CallTable, "expire", lambda table, call: table._threads.call_later(20.0, table._time_out, call, "maybe")
    )
    monkeypatch.setattr(Execution, "_overdue", lambda *_: None)


def never_end_by_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CallTable, "expire", lambda *_: None)
    monkeypatch.setattr(Execution, "_overdue", lambda *_: None)


def forget_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Deduplication, "is_first", lambda *_: True)


def answer_for_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(_: Any, message: Any, __: str) -> bool:
        message.caller.succeed(message.call_id, 1)
        return False

    monkeypatch.setattr(Deduplication, "is_first", answer)


def let_a_callback_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_it(*_: Any) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(ActorEndpoint, "drained", raise_it)


@pytest.mark.parametrize(
    ("mutate", "says"),
    [
        (say_that_nothing_ran, r"Echo-\w+.fail\(\) ran, and its caller is told that it did not"),
        (run_twice, r"echo\(\) has begun 2 times, and may begin 1 times"),
        (answer_for_the_actor, r"echo\(\) has a result, and never ran"),
        (answer_for_a_key, r"once\(\) has a result, and never ran"),
        (forget_keys, r"once\(\) is handled again for the key 'k', which has an outcome"),
        (never_end_by_deadlines, r"never\(\) has not ended \d+.\d+ s after its deadline"),
        (forget_deadlines, r"never\(\) ended 19.\d+ s after its deadline"),
    ],
)
def test_broken_promise_is_found(
    mutate: Callable[[pytest.MonkeyPatch], None], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    with pytest.raises(BrokenPromiseError, match=says):
        World(1).run(ask)


async def tell() -> None:
    echo = await Echo.options(isolation="process", mailbox_messages=10).spawn()
    for number in range(300):
        echo.echo.tell(number)
    await echo.echo(300)


def let_what_waits_leave_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    take = WaitingCalls.take

    def take_last(waiting: WaitingCalls) -> Any:
        waiting._calls.rotate(1)
        return take(waiting)

    monkeypatch.setattr(WaitingCalls, "take", take_last)


def handle_the_newest_message_first(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Mailbox.take

    def take_last(mailbox: Mailbox) -> Any:
        mailbox.queue.rotate(1)
        return take(mailbox)

    monkeypatch.setattr(Mailbox, "take", take_last)


@pytest.mark.parametrize(
    ("mutate", "says"),
    [
        (let_what_waits_leave_backwards, r"echo\(\) leaves after a message that was made later"),
        (handle_the_newest_message_first, r"echo\(\) begins after a message that arrived later"),
    ],
)
def test_tell_that_overtakes_an_older_one_is_found(
    mutate: Callable[[pytest.MonkeyPatch], None], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    with pytest.raises(BrokenPromiseError, match=says):
        World(1).run(tell)


@pytest.mark.parametrize("main", [ask, tell])
def test_a_right_runtime_breaks_nothing(main: Callable[[], Any]) -> None:
    World(1).run(main)


def test_broken_invariant_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    take = CallTable.take

    def take_and_keep(table: CallTable, call_id: int) -> Any:
        call = take(table, call_id)
        if call is not None:
            table._pending[call_id] = call
        return call

    monkeypatch.setattr(CallTable, "take", take_and_keep)
    world = World(1)
    world.check_every_count = 1
    with pytest.raises(BrokenInvariantError, match="it has ended, and is pending"):
        world.run(ask)


def test_actor_that_runs_in_two_processes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts: list[Hosts] = []
    monkeypatch.setattr(world_module, "check_process", lambda host, *_: hosts.append(host))

    async def main() -> None:
        echo, other = [await Echo.options(isolation="process").spawn() for _ in range(2)]
        await asyncio.gather(echo.once(), other.once())
        of_echo, of_other = (
            next(e.population for _, e in hosts[0].endpoints() if e.population.cell(ref._actor_id))
            for ref in (echo, other)
        )
        of_other.by_id[echo._actor_id] = of_echo.by_id[echo._actor_id]
        await asyncio.sleep(10)

    with pytest.raises(BrokenPromiseError, match=r"Echo-\w+ runs in node/worker-\d and in node/worker-\d"):
        World(1).run(main)


def test_defect_of_the_runtime_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    let_a_callback_raise(monkeypatch)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        World(1).run(ask)
