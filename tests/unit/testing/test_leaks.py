"""The footprint, which every other test relies on, finds each kind of resource by its name."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
from pathlib import Path

from actorrt.testing.leaks import MARK, Footprint


def kinds(footprint: Footprint) -> list[str]:
    return [thing.kind for thing in footprint.left()]


def test_nothing_left_is_an_empty_list() -> None:
    assert Footprint().left() == []


def test_thread_is_seen_until_it_ends() -> None:
    footprint, end = Footprint(), threading.Event()
    thread = threading.Thread(target=end.wait, name="straggler")
    thread.start()
    assert [str(thing) for thing in footprint.left()] == ["thread 'straggler'"]
    end.set()
    assert footprint.wait_until_gone(2) == []
    thread.join()


def test_descriptor_is_seen() -> None:
    footprint = Footprint()
    reader, writer = os.pipe()
    assert kinds(footprint) == ["descriptor", "descriptor"]
    os.close(reader)
    os.close(writer)
    assert footprint.left() == []


class Holder:
    """Closes a descriptor when it is collected, which a reference cycle delays."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.circle = self

    def __del__(self) -> None:
        os.close(self.fd)


def test_descriptor_that_only_garbage_holds_is_not_left_behind() -> None:
    footprint = Footprint()
    Holder(os.open(__file__, os.O_RDONLY))
    assert kinds(footprint) == ["descriptor"]
    assert footprint.wait_until_gone(2) == []


def test_second_descriptor_of_the_same_file_is_seen(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        footprint = Footprint()
        duplicate = os.dup(file.fileno())
        assert [thing.name for thing in footprint.left()] == [str(tmp_path / "file")]
        os.close(duplicate)


def test_child_is_seen_and_so_is_the_zombie_it_becomes() -> None:
    footprint = Footprint()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert "process" in kinds(footprint)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert "process" in kinds(footprint)
    child.communicate()
    assert footprint.left() == []


def test_orphan_that_carries_the_mark_is_seen() -> None:
    footprint = Footprint(mark=os.environ[MARK])
    program = (
        "import subprocess as s, sys\n"
        "print(s.Popen([sys.executable, '-c', 'input()'], stdin=0, stdout=s.DEVNULL, stderr=s.DEVNULL).pid)"
    )
    reader, writer = os.pipe()
    parent = subprocess.run([sys.executable, "-c", program], stdin=reader, stdout=subprocess.PIPE, check=True)
    os.close(reader)
    assert [thing.identity for thing in footprint.left() if thing.kind == "process"] == [parent.stdout.decode().strip()]
    os.close(writer)
    assert footprint.wait_until_gone(5) == []


def test_shared_memory_is_seen_while_it_is_mapped() -> None:
    footprint = Footprint()
    fd = os.memfd_create("segment")
    os.ftruncate(fd, 4096)
    mapped = mmap.mmap(fd, 4096)
    os.close(fd)
    assert "shared memory" in kinds(footprint)
    mapped.close()
    assert footprint.left() == []


def test_file_in_a_watched_directory_is_seen_at_any_depth(tmp_path: Path) -> None:
    footprint = Footprint([tmp_path])
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "socket").touch()
    assert [thing.name for thing in footprint.left()] == [str(tmp_path / "a"), str(tmp_path / "a" / "socket")]


def test_semaphore_of_another_programs_multiprocessing_is_not_left_behind(tmp_path: Path) -> None:
    before = Footprint([tmp_path])
    (tmp_path / "sem.mp-2__xehx0").touch()
    (tmp_path / "left").touch()
    assert [resource.name for resource in before.left()] == [str(tmp_path / "left")]
