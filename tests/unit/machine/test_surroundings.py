"""What this machine gives to a process: threads, a disk, and the process's own number."""

from __future__ import annotations

import asyncio
import os
import threading
from contextvars import ContextVar
from pathlib import Path

import pytest

from actorrt.machine.disk import Disk, OsDisk
from actorrt.machine.surroundings import Surroundings
from actorrt.machine.threads import OsThreads
from actorrt.testing.shells.chance import Chance
from actorrt.testing.shells.disk import SimulatedDisk

PRESENT: ContextVar[str] = ContextVar("present", default="")


def test_surroundings_of_a_process_have_its_number_and_ids_that_never_repeat() -> None:
    one, other = Surroundings.of_process(), Surroundings.of_process()
    assert one.pid == os.getpid()
    assert one.ids.actor() != other.ids.actor()
    assert 0.0 <= one.random() < 1.0


async def test_function_runs_in_a_thread_and_sees_the_callers_context() -> None:
    def look(number: int, *, by: int) -> tuple[bool, str, int]:
        return threading.current_thread() is threading.main_thread(), PRESENT.get(), number * by

    PRESENT.set("here")
    assert await OsThreads().run(look, 3, by=2) == (False, "here", 6)


async def test_error_of_a_function_in_a_thread_is_its_outcome() -> None:
    with pytest.raises(ZeroDivisionError):
        await OsThreads().run(lambda: 1 / 0)


def test_pool_runs_in_order_in_threads_of_its_name() -> None:
    pool, names = OsThreads().pool("actorrt-test"), list[str]()
    for _ in range(3):
        done = pool.submit(lambda: names.append(threading.current_thread().name))
    done.result(10)
    pool.shutdown()
    assert names == ["actorrt-test_0"] * 3


def test_thread_of_its_own_keeps_no_process_from_ending() -> None:
    is_daemon: list[bool] = []
    ran = threading.Event()

    def run() -> None:
        is_daemon.append(threading.current_thread().daemon)
        ran.set()

    OsThreads().start("test", run)
    assert ran.wait(10)
    assert is_daemon == [True]


@pytest.fixture(params=["real", "simulated"])
def disk(request: pytest.FixtureRequest) -> Disk:
    return OsDisk() if request.param == "real" else SimulatedDisk(Chance(1, "disk"))


def write(disk: Disk, path: str, data: bytes) -> None:
    file = disk.create(path)
    file.write(data)
    file.sync()
    file.close()


def test_files_are_written_renamed_read_and_removed(disk: Disk, tmp_path: Path) -> None:
    folder = f"{tmp_path}/a/b"
    disk.make_directory(folder)
    disk.make_directory(folder)
    write(disk, f"{folder}/partial", b"old")
    write(disk, f"{folder}/partial", b"one")
    disk.rename(f"{folder}/partial", f"{folder}/whole")
    disk.sync_directory(folder)
    assert (disk.names(folder), disk.read(f"{folder}/whole")) == (["whole"], b"one")
    write(disk, f"{folder}/partial", b"two")
    disk.rename(f"{folder}/partial", f"{folder}/whole")
    assert disk.read(f"{folder}/whole") == b"two"
    disk.remove(f"{folder}/whole")
    disk.remove(f"{folder}/whole")
    assert disk.names(folder) == []


def test_what_is_not_there_has_no_names_and_is_not_read(disk: Disk, tmp_path: Path) -> None:
    assert disk.names(f"{tmp_path}/nowhere") == []
    for act in (disk.read, disk.create, disk.sync_directory):
        with pytest.raises(FileNotFoundError):
            act(f"{tmp_path}/nowhere/file")
    with pytest.raises(FileNotFoundError):
        disk.rename(f"{tmp_path}/nowhere/file", f"{tmp_path}/nowhere/other")


def test_names_of_new_directories_are_synced_by_the_directories_above_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    disk = OsDisk()
    disk.make_directory(f"{tmp_path}/a/b")
    assert synced == [f"{tmp_path}", f"{tmp_path}/a"]
    disk.make_directory(f"{tmp_path}/a/b")
    assert len(synced) == 2
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        disk.make_directory(f"{tmp_path}/file")


async def test_function_that_is_cancelled_before_its_thread_begins_does_not_run() -> None:
    running = asyncio.get_running_loop()
    gate, ran = threading.Event(), list[int]()
    pool = OsThreads().pool("actorrt-test")
    running.set_default_executor(pool)  # type: ignore[arg-type]
    first = OsThreads().run(gate.wait)
    second = OsThreads().run(ran.append, 1)
    second.cancel()
    await asyncio.sleep(0)  # the loop tells the pool at its next step
    gate.set()
    assert await first
    assert ran == []
