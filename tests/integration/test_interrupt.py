"""Ctrl-C in local mode, where the methods of actors run in the calling thread."""

import asyncio
import signal

import pytest

import actorrt as art


class Stubborn(art.Actor):
    def plain(self) -> None:
        signal.raise_signal(signal.SIGINT)

    async def waiting(self) -> None:
        await asyncio.sleep(0)
        signal.raise_signal(signal.SIGINT)

    def raising(self) -> None:
        raise KeyboardInterrupt

    def answer(self) -> int:
        return 42


@pytest.mark.parametrize("method", ["plain", "waiting"])
def test_interrupt_in_a_method_reaches_the_waiting_code_and_the_actor_survives(method: str) -> None:
    handler = signal.getsignal(signal.SIGINT)
    art.init(mode="local")
    try:
        actor = Stubborn.spawn().result(10)
        interrupted = getattr(actor, method)()
        with pytest.raises(KeyboardInterrupt):
            interrupted.result(10)
        with pytest.raises(art.CallCancelledError):
            interrupted.result(10)
        assert actor.answer().result(10) == 42
    finally:
        art.shutdown()
    assert signal.getsignal(signal.SIGINT) is handler


def test_keyboard_interrupt_that_a_method_raises_ends_only_its_call() -> None:
    art.init(mode="local")
    try:
        actor = Stubborn.spawn().result(10)
        with pytest.raises(art.RemoteActorError, match="KeyboardInterrupt"):
            actor.raising().result(10)
        assert actor.answer().result(10) == 42
    finally:
        art.shutdown()


async def test_keyboard_interrupt_that_a_method_raises_ends_only_its_call_in_async_code() -> None:
    async with art.Runtime(mode="local"):
        actor = await Stubborn.spawn()
        with pytest.raises(art.RemoteActorError, match="KeyboardInterrupt"):
            await actor.raising()
        assert await actor.answer() == 42
