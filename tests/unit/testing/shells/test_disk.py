"""A simulated disk loses what was not synced, tears what it can't write, and snapshots survive that."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from errno import EIO
from itertools import count, repeat
from typing import Any

import pytest

from actorrt.actors.cells import snapshot_files
from actorrt.testing.shells.chance import Chance
from actorrt.testing.shells.disk import SimulatedDisk, SimulatedFile

SEEDS = range(200)


def new_disk(seed: int) -> SimulatedDisk:
    disk = SimulatedDisk(Chance(seed, "disk"))
    disk.make_directory("/d")
    return disk


def write(disk: SimulatedDisk, path: str, data: bytes, *, is_synced: bool) -> None:
    file = disk.create(path)
    file.write(data)
    if is_synced:
        file.sync()
    file.close()


def after_power_loss(act: Callable[[SimulatedDisk], None]) -> set[tuple[tuple[str, bytes], ...]]:
    """Return what may be left when the power is lost after an act, by many seeds."""
    found = set()
    for seed in SEEDS:
        disk = new_disk(seed)
        write(disk, "/d/old", b"old", is_synced=True)
        disk.sync_directory("/d")
        act(disk)
        disk.lose_power()
        found.add(tuple((name, bytes(disk.read(f"/d/{name}"))) for name in sorted(disk.names("/d"))))
    return found


def test_data_that_was_not_synced_is_lost_from_some_byte_on() -> None:
    def act(disk: SimulatedDisk) -> None:
        write(disk, "/d/new", b"ab", is_synced=False)
        disk.sync_directory("/d")

    old = ("old", b"old")
    assert after_power_loss(act) == {(("new", data), old) for data in (b"", b"a", b"ab")}


def test_new_name_that_was_not_synced_may_be_lost() -> None:
    old = ("old", b"old")
    found = after_power_loss(lambda disk: write(disk, "/d/new", b"ab", is_synced=True))
    assert found == {(old,), (("new", b"ab"), old)}


def test_replaced_and_removed_names_that_were_not_synced_may_come_back() -> None:
    def replace(disk: SimulatedDisk) -> None:
        write(disk, "/d/new", b"new", is_synced=True)
        disk.sync_directory("/d")
        disk.rename("/d/new", "/d/old")

    found = after_power_loss(replace)
    assert (("old", b"new"),) in found
    assert (("new", b"new"), ("old", b"old")) in found
    assert after_power_loss(lambda disk: disk.remove("/d/old")) == {(), (("old", b"old"),)}


def test_what_was_synced_with_its_name_stays() -> None:
    def act(disk: SimulatedDisk) -> None:
        write(disk, "/d/new", b"ab", is_synced=True)
        disk.sync_directory("/d")

    assert after_power_loss(act) == {(("new", b"ab"), ("old", b"old"))}


def test_failing_disk_fails_some_calls_and_tears_writes() -> None:
    disk = new_disk(1)
    write(disk, "/d/whole", b"12345678", is_synced=True)
    disk.is_failing = True
    errors, lengths = list[int | None](), set()
    for _ in range(100):
        try:
            write(disk, "/d/new", b"12345678", is_synced=False)
        except OSError as error:
            errors.append(error.errno)
        disk.is_failing = False
        lengths.add(len(disk.read("/d/new")) if "new" in disk.names("/d") else 0)
        disk.is_failing = True
    assert 20 < len(errors) < 90
    assert set(errors) == {EIO}
    assert len(lengths) > 5
    disk.is_failing = False
    assert disk.read("/d/whole") == b"12345678"


class PowerLossError(Exception):
    """The power is lost at a call of the disk."""


class OnPower:
    """A disk or a file of it, whose power is lost at one call.

    Args:
        target: the disk, or the file.
        calls: yields an item for each call of the disk and of its files that succeeds.
    """

    def __init__(self, target: Any, calls: Iterator[None]) -> None:
        self._target = target
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> Any:
            for _ in self._calls:
                result = getattr(self._target, name)(*args)
                return OnPower(result, self._calls) if name == "create" else result
            raise PowerLossError

        return call


def newest(disk: SimulatedDisk) -> int:
    """Return the newest state that can be read, as the start of an actor does; -1 if there is none."""
    for path in snapshot_files.find(disk, "/snapshots", "default", "keeper"):
        try:
            return snapshot_files.load(disk, path)
        except ValueError:
            continue
    return -1


def lost_snapshots(saved_count: int) -> list[tuple[int, int, Any]]:
    """Lose the power at each call of a save after some others; return where an older state is left than was saved."""
    lost = []
    for seed in range(40):
        is_over = False
        for calls_count in count():
            disk = SimulatedDisk(Chance(seed, f"power {calls_count}"))
            for number in range(saved_count):
                snapshot_files.save(disk, "/snapshots", "default", "keeper", number)
            try:
                on_power: Any = OnPower(disk, repeat(None, calls_count))
                snapshot_files.save(on_power, "/snapshots", "default", "keeper", saved_count)
                is_over = True
            except PowerLossError:
                pass
            disk.lose_power()
            state = newest(disk)
            if state < (saved_count if is_over else saved_count - 1):
                lost.append((seed, calls_count, state))
            if is_over:
                break
    return lost


@pytest.mark.parametrize("saved_count", [0, 1, 2, 3])
def test_saved_snapshot_survives_a_loss_of_power_at_any_call(saved_count: int) -> None:
    assert lost_snapshots(saved_count) == []


@pytest.mark.parametrize(
    ("owner", "method"), [(SimulatedDisk, "sync_directory"), (SimulatedFile, "sync")], ids=["names", "data"]
)
def test_snapshot_that_is_not_synced_does_not_survive(owner: Any, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, method, lambda *_: None)
    assert lost_snapshots(2)


def test_snapshots_go_on_after_a_disk_has_failed() -> None:
    generator = random.Random(1)
    for seed in range(40):
        disk, last = SimulatedDisk(Chance(seed, "failing")), -1
        for number in range(20):
            disk.is_failing = generator.random() < 0.5
            try:
                snapshot_files.save(disk, "/snapshots", "default", "keeper", number)
            except OSError:
                continue
            last = number
        disk.is_failing = False
        assert newest(disk) >= last
