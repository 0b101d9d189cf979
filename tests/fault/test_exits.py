"""The reason of the death of a process, and how often the death counts for a supervisor."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import actorrt as art

MEMORY_GROUPS = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"  # cgroup v1; v2 has all controllers in one tree
MEMORY_GROUPS_V2 = Path("/sys/fs/cgroup"), "memory.max"
SPARE_BYTES = 64 << 20


class Mortal(art.Actor):
    """An actor that can end its process in many ways."""

    def segfault(self):
        ctypes.string_at(0)

    def exit(self, status):
        print("my last words", flush=True)
        os._exit(status)

    def swell(self):
        print("more and more", flush=True)
        return [bytearray(1 << 20) for _ in range(1 << 20)]  # 1 TiB, written

    def block(self, seconds):
        time.sleep(seconds)  # the fault that is tested: a method that blocks its loop

    def pid(self):
        return os.getpid()

    def incarnation(self):
        return self.context.incarnation


class Keeper(art.Supervisor):
    def children(self):
        yield art.Child(Mortal, id="mortal", isolation="process")


async def death_of(mortal, method, *args):
    exit = art.monitor(mortal, restarts=True)
    with pytest.raises((art.ActorUnavailableError, art.ActorDiedError)):
        await getattr(mortal, method)(*args)
    return (await exit).reason


async def test_segmentation_fault_is_reported_with_its_signal_and_stack(node_runtime):
    mortal = await Mortal.options(isolation="process").spawn()
    reason = await death_of(mortal, "segfault")
    assert (reason.kind, reason.signal) == (art.ExitKind.CRASHED, signal.SIGSEGV)
    assert "Segmentation fault" in reason.traceback
    assert "in segfault" in reason.traceback


async def test_exit_status_and_last_output_are_reported(node_runtime):
    mortal = await Mortal.options(isolation="process").spawn()
    reason = await death_of(mortal, "exit", 7)
    assert (reason.kind, reason.exit_status) == (art.ExitKind.CRASHED, 7)
    assert "my last words" in reason.detail


@contextmanager
def memory_limit(pid, limit_bytes):
    """Let the kernel kill a process that takes more memory than this, until the block ends."""
    root, limit = MEMORY_GROUPS if MEMORY_GROUPS[0].is_dir() else MEMORY_GROUPS_V2
    group = root / f"actorrt-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    try:
        if not (group / limit).exists():
            pytest.skip("cgroups limit no memory here")
        (group / limit).write_text(str(limit_bytes))
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        group.rmdir()


async def test_process_killed_for_lack_of_memory_is_told_apart_from_a_process_killed_by_a_user(node_runtime):
    keeper = await Keeper.spawn()
    mortal = await keeper.child("mortal")
    with memory_limit(await mortal.pid(), SPARE_BYTES):
        reason = await death_of(mortal, "swell")
    assert (reason.kind, reason.signal) == (art.ExitKind.OUT_OF_MEMORY, signal.SIGKILL)
    assert "more and more" in reason.detail
    assert await mortal.incarnation.options(retries=3)() == 2
    (info,) = await keeper.children_info()
    assert info.last_exit.kind is art.ExitKind.OUT_OF_MEMORY
    reason = await killed(mortal)
    assert (reason.kind, reason.signal) == (art.ExitKind.CRASHED, signal.SIGKILL)


async def killed(mortal):
    exit = art.monitor(mortal, restarts=True)
    os.kill(await mortal.pid(), signal.SIGKILL)
    return (await exit).reason


async def test_children_info_has_the_stack_of_the_last_exit(node_runtime):
    keeper = await Keeper.spawn()
    await death_of(await keeper.child("mortal"), "segfault")
    (info,) = await keeper.children_info()
    assert "in segfault" in info.last_exit.traceback
    assert info.restarts == 1


async def test_death_of_a_shared_worker_counts_once_for_a_supervisor_of_several(node_runtime):
    class Many(art.Supervisor):
        max_restarts = 1

        def children(self):
            for n in range(12):
                yield art.Child(Mortal, id=f"m{n}")

    many = await Many.spawn()
    children = [await many.child(f"m{n}") for n in range(12)]
    pids = [await child.pid() for child in children]
    lost = [child for child, pid in zip(children, pids, strict=True) if pid == pids[0]]
    assert len(lost) > 1
    os.kill(pids[0], signal.SIGKILL)
    assert [await child.incarnation.options(retries=3)() for child in lost] == [2] * len(lost)
    assert [info.restarts for info in await many.children_info()] == [int(pid == pids[0]) for pid in pids]


async def test_kill_of_an_actor_whose_loop_is_blocked_kills_its_process(node_runtime):
    mortal = await Mortal.spawn()
    pid = await mortal.pid()
    blocked = mortal.block(600)
    with pytest.raises(art.CallTimeoutError):  # so that it has begun to block
        await mortal.pid.options(timeout_s=0.2)()
    started = time.monotonic()
    await mortal.kill()
    assert time.monotonic() - started < 10
    with pytest.raises(art.ActorDiedError):
        await blocked
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
