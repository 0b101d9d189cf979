"""Snapshots in files: the state of an actor survives its node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import actorrt as art
from actorrt.actors.cells import snapshot_files
from actorrt.machine.disk import OsDisk
from tests.running import own_directory, runtime_directory


class Weights(art.Actor):
    """Keeps an array."""

    def __init__(self, size=100_000):
        self.array = np.zeros(size)

    def add(self, by=1.0):
        self.array += by
        return float(self.array[0])

    def snapshot(self):
        return {"array": self.array}

    def restore(self, state):
        self.array = state["array"]

    def exit(self):
        raise SystemExit("on purpose")


def kept_in(folder, **options):
    return Weights.options(name="weights", snapshot_every=1, snapshot_dir=folder, **options)


def values_in(folder):
    return [
        snapshot_files.load(OsDisk(), path)["array"][0]
        for path in snapshot_files.find(OsDisk(), str(folder), "default", "weights")
    ]


@pytest.mark.parametrize("options", [{}, {"isolation": "process"}], ids=["light", "process"])
async def test_later_actor_of_a_name_starts_with_the_state_of_the_previous_one(runtime, tmp_path, options):
    weights = await kept_in(tmp_path, **options).spawn()
    for _ in range(5):
        await weights.add()
    await weights.stop()
    assert values_in(tmp_path)[0] == 5
    again = await kept_in(tmp_path, **options).spawn()
    assert await again.add() == 6


async def test_state_outlives_its_node(tmp_path):
    with own_directory() as directory, runtime_directory(directory):
        for expected in (1, 2):
            async with art.Runtime(cpus=1, store_bytes=64 << 20):
                weights = await kept_in(tmp_path).spawn()
                assert await weights.add() == expected
                await weights.stop()


async def test_damaged_snapshot_file_falls_back_to_the_previous_file(runtime, tmp_path):
    weights = await kept_in(tmp_path).spawn()
    while len(snapshot_files.find(OsDisk(), str(tmp_path), "default", "weights")) < 2:
        await weights.add()
    await weights.stop()
    newest, before = snapshot_files.find(OsDisk(), str(tmp_path), "default", "weights")
    Path(newest).write_bytes(Path(newest).read_bytes()[:-100])
    expected = snapshot_files.load(OsDisk(), before)["array"][0] + 1
    again = await kept_in(tmp_path).spawn()
    assert await again.add() == expected


async def test_restart_prefers_the_state_in_the_store(runtime, tmp_path):
    weights = await kept_in(tmp_path, restart="permanent").spawn()
    assert await weights.add() == 1
    for path in snapshot_files.find(OsDisk(), str(tmp_path), "default", "weights"):
        Path(path).unlink()
    with pytest.raises(art.ActorUnavailableError):
        await weights.exit()
    assert await weights.add() == 2


@pytest.mark.parametrize("options", [{"name": "weights"}, {"snapshot_every": 1}])
def test_directory_without_a_name_or_a_schedule_is_refused(tmp_path, options):
    with pytest.raises(ValueError, match=r"goes with name=.*and with snapshot_every="):
        Weights.options(snapshot_dir=tmp_path, **options)
