"""A worker whose user code has used up all descriptors: a reply is sent later, or the call ends in an error."""

from __future__ import annotations

import asyncio
import os
import resource

import pytest

import actorrt as art

WITHIN_S = 30.0


class Hoarder(art.Actor):
    """Uses up all descriptors before its process has sent a reply."""

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

    def _close_descriptors(self) -> None:
        while self.hoarded:
            os.close(self.hoarded.pop())

    async def small(self) -> str:
        self._hoard()
        asyncio.get_running_loop().call_later(0.2, self._close_descriptors)
        return "small"

    async def large(self) -> bytes:
        self._hoard()
        asyncio.get_running_loop().call_later(0.2, self._close_descriptors)
        return b"x" * 1_000_000

    async def raising(self) -> None:
        self._hoard()
        asyncio.get_running_loop().call_later(0.2, self._close_descriptors)
        raise ValueError("without a descriptor")

    def keeping(self) -> None:
        self._hoard()

    def value(self) -> str:
        return "well"


async def outcome(reply):
    """Return the result or the error of a call, which must end in time."""
    done, _ = await art.wait([reply], timeout_s=WITHIN_S)
    assert done == [reply], "the call did not end"
    return await asyncio.gather(awaited(reply), return_exceptions=True)


async def awaited(reply):
    return await reply


@pytest.mark.parametrize("method", ["small", "large", "raising"])
async def test_outcome_without_a_free_descriptor_arrives_when_one_is_free_or_as_an_error(node_runtime, method):
    hoarder = await Hoarder.options(isolation="process").spawn()
    (found,) = await outcome(getattr(hoarder, method)())
    if method == "small":
        assert found == "small"
    elif method == "raising":
        assert (type(found), found.executed) == (ValueError, "yes")
    else:
        assert len(found) == 1_000_000 if isinstance(found, bytes) else found.executed == "yes"
    assert await asyncio.wait_for(awaited(hoarder.value()), WITHIN_S) == "well"


async def test_outcome_that_never_gets_a_descriptor_ends_in_an_error(node_runtime):
    hoarder = await Hoarder.options(isolation="process").spawn()
    (found,) = await outcome(hoarder.keeping())
    assert isinstance(found, art.ActorRtError)
    await hoarder.kill()
