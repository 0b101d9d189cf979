"""A worker whose user's code has used up all descriptors: a reply is sent later, or ends in an error."""

from __future__ import annotations

import asyncio
import os
import resource

import pytest

import actorrt as art

WITHIN_S = 30.0


class Hoarder(art.Actor):
    """Uses up all descriptors before its process has ever replied."""

    def __init__(self) -> None:
        self.hoarded: list[int] = []

    def _hoard(self) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
        while True:
            try:
                self.hoarded.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                return

    def _give_back(self) -> None:
        while self.hoarded:
            os.close(self.hoarded.pop())

    async def small(self) -> str:
        self._hoard()
        asyncio.get_running_loop().call_later(0.2, self._give_back)
        return "small"

    async def large(self) -> bytes:
        self._hoard()
        asyncio.get_running_loop().call_later(0.2, self._give_back)
        return b"x" * 1_000_000

    async def raising(self) -> None:
        self._hoard()
        asyncio.get_running_loop().call_later(0.2, self._give_back)
        raise ValueError("without a descriptor")

    def keeping(self) -> None:
        self._hoard()

    def value(self) -> str:
        return "well"


async def outcome(reply):
    """Return how a call ended, in time."""
    done, _ = await art.wait([reply], timeout_s=WITHIN_S)
    assert done == [reply], "the call did not end"
    return await asyncio.gather(awaited(reply), return_exceptions=True)


async def awaited(reply):
    return await reply


@pytest.mark.parametrize("method", ["small", "large", "raising"])
async def test_outcome_that_finds_no_descriptor_comes_when_there_is_one_or_is_an_error(node_runtime, method):
    hoarder = await Hoarder.options(isolation="process").spawn()
    (came,) = await outcome(getattr(hoarder, method)())
    if method == "small":
        assert came == "small"
    elif method == "raising":
        assert (type(came), came.executed) == (ValueError, "yes")
    else:
        assert len(came) == 1_000_000 if isinstance(came, bytes) else came.executed == "yes"
    assert await asyncio.wait_for(awaited(hoarder.value()), WITHIN_S) == "well"


async def test_outcome_for_which_there_never_is_a_descriptor_ends_in_an_error(node_runtime):
    hoarder = await Hoarder.options(isolation="process").spawn()
    (came,) = await outcome(hoarder.keeping())
    assert isinstance(came, art.ActorRtError)
    await hoarder.kill()
