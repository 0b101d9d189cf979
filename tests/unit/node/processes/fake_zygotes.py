"""A forker whose zygotes, watches and orphans are fakes: they answer, end and are replaced without a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from actorrt.node.processes import forker as forker_module
from actorrt.node.processes import zygotes as zygotes_module
from actorrt.node.processes.forker import Forker
from actorrt.node.processes.process_watch import ProcessExit

READY, NOT_READY = True, False


class FakeZygote:
    """A zygote that answers when the test says so."""

    def __init__(
        self,
        _: Any,
        preload: tuple[str, ...],
        lease_fd: int | None,
        on_answer: Callable[[Any], None],
        on_end: Callable[[bool], None],
    ) -> None:
        self.lease_fd = lease_fd
        self.preload, self._on_answer, self._on_end = preload, on_answer, on_end
        self.pid = 1000
        self.is_ready = True
        self.is_reaped = False
        self.sent: list[dict[str, Any]] = []
        self.fds: list[tuple[int, ...]] = []
        self.kills_count = 0
        self.unsendable: set[int] = set()

    def send(self, packet: bytes, fds: tuple[int, ...] = (), number: int | None = None) -> None:
        self.sent.append(msgpack.unpackb(packet))
        self.fds.append(fds)

    def unsend(self, number: int) -> bool:
        return number in self.unsendable

    def kill(self) -> None:
        self.kills_count += 1

    def close(self) -> None:
        """There is nothing to close."""

    async def wait_ended(self) -> None:
        """It has no process."""

    # What the test has it do

    def asked(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.sent if message["kind"] == kind]

    def forks(self, number: int, pid: int) -> None:
        self._on_answer({"kind": "forked", "id": number, "pid": pid})

    def guarded(self, pid: int) -> None:
        self._on_answer({"kind": "guarded", "pid": pid})

    def refuses(self, number: int, message: str) -> None:
        self._on_answer({"kind": "refused", "id": number, "message": message})

    def preloaded(self, module: str, problem: str | None, *, is_end: bool = False) -> None:
        self._on_answer({"kind": "preloaded", "module": module, "problem": problem, "is_end": is_end})

    def ends(self, was_ready: bool) -> None:
        self.is_reaped = True
        self._on_end(was_ready)


class FakeWatch:
    """A worker that ends when it is killed."""

    def __init__(self, pid: int, on_exit: Callable[[ProcessExit], None]) -> None:
        self.pid, self.on_exit = pid, on_exit

    def kill(self, signal: int = 9) -> None:
        asyncio.get_running_loop().call_soon(self.on_exit, ProcessExit(self.pid, signal=9, was_killed_by_us=True))

    def close(self) -> None:
        """There is nothing to close."""


class FakeOrphans:
    """Ends nothing, and notes what it is to end."""

    def __init__(self, _: Any) -> None:
        self.sessions: list[int] = []
        self.unwatched: list[int] = []
        self.spared: list[set[int]] = []

    def end_session(self, pid: int) -> None:
        self.sessions.append(pid)

    def end_unwatched(self, pid: int) -> None:
        self.unwatched.append(pid)

    def reap_strays(self, spared: set[int]) -> None:
        self.spared.append(set(spared))

    async def end_children(self) -> None:
        """There are none."""

    def close(self) -> None:
        """There is nothing to close."""


class FakeLease:
    """A lease that only has a descriptor."""

    fd = 77

    def close(self) -> None:
        """There is nothing to close."""


class World:
    """A forker, its zygotes and its workers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lease: Any = None) -> None:
        self.watches: dict[int, FakeWatch] = {}
        self.zygotes: list[FakeZygote] = []
        self.start_error: OSError | None = None
        self.watch_error: OSError | None = None
        self.watched: list[int] = []
        monkeypatch.setattr(zygotes_module, "ZygoteProcess", self._new_zygote)
        monkeypatch.setattr(forker_module, "Orphans", FakeOrphans)
        monkeypatch.setattr(forker_module, "watch_exit", self._watch)
        self.forker = Forker(asyncio.get_running_loop(), preload=("numpy",), fork_timeout_s=5.0, lease=lease)

    def _new_zygote(self, *args: Any) -> FakeZygote:
        if self.start_error is not None:
            raise self.start_error
        self.zygotes.append(FakeZygote(*args))
        return self.zygotes[-1]

    def _watch(self, _: Any, pid: int, on_exit: Callable[[ProcessExit], None]) -> FakeWatch:
        if self.watch_error is not None:
            raise self.watch_error
        self.watched.append(pid)
        self.watches[pid] = FakeWatch(pid, on_exit)
        return self.watches[pid]

    @property
    def zygote(self) -> FakeZygote:
        return self.zygotes[-1]

    @property
    def orphans(self) -> Any:
        return self.forker._orphans

    async def fork(self, *preload: str, **config: Any) -> asyncio.Future[int]:
        forking = asyncio.ensure_future(self.forker.fork(config, 1, 2, preload))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return forking
