"""Children that a method forks and that return into the loop: they are ended there and do not affect the parent."""

from __future__ import annotations

import asyncio
import os

import actorrt as art


class Forking(art.Actor):
    """Forks in every kind of method; the parent returns the exit status of the child."""

    def __init__(self) -> None:
        self.handled = 0

    def _waited_for(self, child: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def plain(self) -> int:
        child = os.fork()
        return self._waited_for(child) if child else 0

    def large(self) -> object:
        child = os.fork()
        return self._waited_for(child) if child else b"x" * 50_000  # too large to be sent at the end of a step

    def raising(self) -> int:
        child = os.fork()
        if not child:
            raise ValueError("in the child")
        return self._waited_for(child)

    async def waiting(self) -> int:
        await asyncio.sleep(0)
        child = os.fork()
        if not child:
            await asyncio.sleep(0)
        return self._waited_for(child) if child else 0

    async def at_once(self) -> int:
        child = os.fork()
        if not child:
            await asyncio.sleep(0)
        return self._waited_for(child) if child else 0

    def exiting(self) -> int:
        child = os.fork()
        if not child:
            os._exit(3)
        return self._waited_for(child)

    def note(self, fd: int) -> None:
        os.write(fd, b".")

    def fork_before(self, fd: int) -> int:
        """Fork while messages are queued that only the parent may handle."""
        return self.plain()

    def open(self, path: str) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


async def test_forked_child_that_returns_into_the_loop_is_ended_and_its_parent_still_answers(node_runtime):
    forking = await Forking.options(isolation="process").spawn()
    for _ in range(3):
        for method in (forking.plain, forking.large, forking.raising, forking.waiting, forking.at_once):
            assert await asyncio.wait_for(method(), 20) == 70, method
    assert await forking.exiting() == 3


async def test_messages_after_the_one_that_forked_are_handled_by_the_parent_only(node_runtime, tmp_path):
    forking = await Forking.options(isolation="process").spawn()
    path = tmp_path / "notes"
    fd = await forking.open(str(path))
    replies = [forking.fork_before(fd), *[forking.note(fd) for _ in range(20)]]
    assert (await art.gather(*replies))[0] == 70
    assert path.read_bytes() == b"." * 20
