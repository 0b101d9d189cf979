"""Ctrl-C in local mode, where the methods of actors run in the calling thread."""

import pytest

import actorrt as art


class Stubborn(art.Actor):
    def plain(self) -> None:
        raise KeyboardInterrupt

    async def waiting(self) -> None:
        raise KeyboardInterrupt

    def answer(self) -> int:
        return 42


@pytest.mark.parametrize("method", ["plain", "waiting"])
def test_interrupt_in_a_method_reaches_the_waiting_code_and_the_actor_goes_on(method):
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
