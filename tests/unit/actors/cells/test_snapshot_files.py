"""Snapshots as files: whole, the newest two, whatever happens while one is written."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actorrt.actors.cells import snapshot_files
from actorrt.machine.disk import OsDisk

DISK = OsDisk()


def save(folder: Path, state: object, name: str = "weights") -> Path:
    return Path(snapshot_files.save(DISK, str(folder), "default", name, state))


def find(folder: Path, name: str = "weights") -> list[Path]:
    return [Path(path) for path in snapshot_files.find(DISK, str(folder), "default", name)]


def load(path: Path) -> Any:
    return snapshot_files.load(DISK, str(path))


def test_state_comes_back_with_arrays_to_write_to(tmp_path: Path) -> None:
    array = np.arange(100_000.0)
    array.flags.writeable = False
    state = load(save(tmp_path / "new", {"array": array, "step": 7}))
    assert state["step"] == 7
    np.testing.assert_array_equal(state["array"], array)
    state["array"][0] = 5


def test_newest_two_are_kept_and_found_newest_first(tmp_path: Path) -> None:
    for step in range(12):
        save(tmp_path, step)
    assert [load(path) for path in find(tmp_path)] == [11, 10]
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize(
    "other", ["copy", "000000000009.copy", "9", "-00000000009", "000000000009x", "\u0661" * 12, ""]
)
def test_copy_under_another_name_is_left_alone_and_in_nobodys_way(tmp_path: Path, other: str) -> None:
    newest = save(tmp_path, 1)
    copy = newest.with_name(newest.name.replace("000000000001", other))
    copy.write_bytes(newest.read_bytes())
    for step in (2, 3, 4):
        save(tmp_path, step)
    assert [load(path) for path in find(tmp_path)] == [4, 3]
    assert copy.exists()


def test_file_is_for_its_user_alone(tmp_path: Path) -> None:
    assert save(tmp_path / "new", 1).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: b"x" + data[1:]])
def test_damaged_file_is_refused(tmp_path: Path, damage) -> None:
    path = save(tmp_path, list(range(100)))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="is no whole snapshot"):
        load(path)


def test_state_that_cannot_be_pickled_leaves_what_was_there(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        save(tmp_path, (1, lambda: 2, threading.Lock()))
    assert [load(path) for path in find(tmp_path)] == [1]
    assert len(os.listdir(tmp_path)) == 1


def test_file_that_was_never_finished_is_not_found(tmp_path: Path) -> None:
    path = save(tmp_path, 1)
    path.rename(path.with_suffix(".partial"))
    assert find(tmp_path) == []
    assert load(save(tmp_path, 2)) == 2


@pytest.mark.parametrize("other", ["weights.2", "weights/2", "w*", "weights.000000000001"])
def test_actors_of_other_names_have_files_of_their_own(tmp_path: Path, other: str) -> None:
    save(tmp_path, "mine")
    save(tmp_path, "other's", other)
    assert [load(path) for path in find(tmp_path)] == ["mine"]
    assert [load(path) for path in find(tmp_path, other)] == ["other's"]
