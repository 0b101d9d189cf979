"""`@art.offload`: methods that block run in a thread while the loop of the actor runs on."""

from __future__ import annotations

import threading

import pytest

import actorrt as art
from tests.integration.cast import Counter
from tests.running import wait_for_answer


class Blocking(art.Actor):
    """Blocks until `Opener.let_go`, beside light actors on its loop."""

    begun_count = 0
    lets_go: dict[str, threading.Event] = {}  # noqa: RUF012  shared by the actors of one process

    def __init__(self, name: str = "one") -> None:
        self.name = name
        self.entered = 0
        Blocking.begun_count = 0
        Blocking.lets_go[name] = threading.Event()

    @art.offload
    def block(self, value: int = 0, *, and_raise: bool = False) -> int:
        """Wait in a thread."""
        self.entered += 1
        Blocking.begun_count += 1
        assert Blocking.lets_go[self.name].wait(20)
        if and_raise:
            raise ValueError(f"{value} it is")
        return value

    @art.offload
    def exit(self) -> None:
        raise SystemExit("on purpose")

    @art.offload
    def thread_and_deadline(self) -> tuple[str, bool]:
        return threading.current_thread().name, self.context.deadline is not None

    @art.offload
    def ask_in_plain_code(self, counter: art.ActorRef[Counter]) -> int:
        return counter.add(5).result(20)

    def count(self) -> int:
        return self.entered


class Opener(art.Actor):
    """Lets the blocked methods of actors in its own process return."""

    async def on_start(self) -> None:
        self.blocking = await Blocking.spawn_many(1)
        self.many = [await Blocking.spawn(f"many {number}") for number in range(40)]

    async def children(self) -> list[art.ActorRef[Blocking]]:
        return [self.blocking[0], *self.many]

    def begun_count(self) -> int:
        """Return how many calls have begun to block."""
        return Blocking.begun_count

    def let_go(self, name: str = "one") -> None:
        Blocking.lets_go[name].set()


@pytest.fixture
async def opener(runtime):
    opener = await Opener.options(isolation="process").spawn()
    yield opener
    for name in ("one", *[f"many {number}" for number in range(40)]):
        await opener.let_go(name)


async def test_loop_runs_while_an_offloaded_method_blocks(opener):
    blocking, *_ = await opener.children()
    blocked = blocking.block(7)
    await opener.let_go()  # on the same loop
    assert await blocked == 7


async def test_actor_with_an_offloaded_method_still_handles_one_message_at_a_time(opener):
    blocking, *_ = await opener.children()
    blocked, behind = blocking.block(), blocking.count()
    done, _ = await art.wait([behind], timeout_s=0.1)
    assert done == []
    await opener.let_go()
    assert (await blocked, await behind) == (0, 1)


async def test_many_blocking_methods_do_not_wait_for_one_another(opener):
    _, *many = await opener.children()
    blocked = [actor.block(number) for number, actor in enumerate(many)]
    await opener.let_go("many 39")
    assert await blocked[39] == 39
    for number in range(39):
        await opener.let_go(f"many {number}")
    assert await art.gather(*blocked) == list(range(40))


async def test_exception_of_an_offloaded_method_is_raised_at_the_caller(opener):
    blocking, *_ = await opener.children()
    await opener.let_go()
    with pytest.raises(ValueError, match="3 it is"):
        await blocking.block(3, and_raise=True)
    assert await blocking.count() == 1


async def test_exit_of_an_offloaded_method_fails_the_actor(opener):
    blocking, *_ = await opener.children()
    with pytest.raises(art.ActorDiedError):
        await blocking.exit()


async def test_cancelled_and_late_calls_end_at_once_for_their_caller(opener):
    blocking, *_ = await opener.children()
    with pytest.raises(art.CallTimeoutError) as caught:
        await blocking.block.options(timeout_s=0.1)()
    assert caught.value.executed == "maybe"
    blocked = blocking.block()
    await wait_for_answer(opener.begun_count, lambda count: count >= 2, "the second call has begun")
    blocked.cancel()
    with pytest.raises(art.CallCancelledError):
        await blocked


async def test_offloaded_method_has_its_context_and_may_call_in_plain_code(opener):
    blocking, *_ = await opener.children()
    name, has_deadline = await blocking.thread_and_deadline.options(timeout_s=20)()
    assert (name, has_deadline) == ("Blocking.thread_and_deadline", True)
    assert await blocking.ask_in_plain_code(await Counter.spawn(1)) == 6


async def test_wrong_argument_is_refused_at_the_caller(opener):
    blocking, *_ = await opener.children()
    with pytest.raises(TypeError, match=r"Blocking\.block"):
        blocking.block(1, 2)


def test_offload_of_an_async_or_streaming_method_is_refused():
    async def wait(self):
        pass

    def count(self):
        yield 1

    for method in (wait, count):
        with pytest.raises(TypeError, match="async or yields"):
            art.offload(method)
