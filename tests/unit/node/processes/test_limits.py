"""What a node takes of the machine's memory, and of its control group's."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from actorrt.config import GIB
from actorrt.node.processes import limits
from actorrt.node.processes.limits import memory_bytes, store_capacity_bytes

MEMINFO = "MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:   8388608 kB\n"


@pytest.fixture
def cgroup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of 16 GiB, half of it free, with a control group that says nothing yet."""
    read = limits._read
    monkeypatch.setattr(limits, "_read", lambda path: MEMINFO if path == Path("/proc/meminfo") else read(path))
    monkeypatch.setattr(limits, "_CGROUP", tmp_path)
    return tmp_path


def limit(cgroup: Path, max_bytes: int, used_bytes: int) -> None:
    (cgroup / "memory.max").write_text(f"{max_bytes}\n")
    (cgroup / "memory.current").write_text(f"{used_bytes}\n")


def test_a_store_takes_three_tenths_of_the_memory_unless_told(cgroup: Path) -> None:
    assert memory_bytes() == (16 * GIB, 8 * GIB)
    assert store_capacity_bytes(None) == int(0.3 * 16 * GIB)
    assert store_capacity_bytes(GIB) == GIB


def test_a_store_takes_no_more_than_is_free_unless_told(cgroup: Path) -> None:
    limit(cgroup, 12 * GIB, 9 * GIB)
    assert memory_bytes() == (12 * GIB, 3 * GIB)
    assert store_capacity_bytes(None) == 3 * GIB


def test_a_store_never_takes_more_than_there_is(cgroup: Path, caplog: pytest.LogCaptureFixture) -> None:
    limit(cgroup, 2 * GIB, 0)
    with caplog.at_level(logging.WARNING):
        assert store_capacity_bytes(4 * GIB) == 2 * GIB
    assert f"store_bytes={4 * GIB}: there are {2 * GIB} bytes of memory" in caplog.text


def test_a_control_group_without_a_limit_is_the_machines(cgroup: Path) -> None:
    (cgroup / "memory.max").write_text("max\n")
    assert memory_bytes() == (16 * GIB, 8 * GIB)
