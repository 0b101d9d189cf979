"""The directory of a run is checked before anything starts, and an earlier run in it is never overwritten."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from actorrt import rl
from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.records import checkpoint
from actorrt.rl.records.run_directory import DirectoryLock, require_usable


@pytest.mark.parametrize("name", ["checkpoint", "best.policy"])
def test_directory_of_an_earlier_run_is_refused_and_left_as_it_was(name, tmp_path):
    (tmp_path / name).write_bytes(b"of before")
    with pytest.raises(ValueError, match=rf"holds the {name} of an earlier run, .*; resume that run \(THIS\), or"):
        require_usable(str(tmp_path), resumption="THIS")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [(name, b"of before")]


def test_resumed_run_may_use_the_directory_of_the_earlier_run(tmp_path):
    (tmp_path / "checkpoint").write_bytes(b"of before")
    require_usable(str(tmp_path))


def test_directory_is_made_and_nothing_is_left_in_it(tmp_path):
    require_usable(str(tmp_path / "a" / "b"), resumption="")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_directory_that_can_not_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match=r"directory=.* can't be written to \(.*\): give another directory"):
            require_usable(str(place))


def test_directory_of_a_run_that_is_under_way_is_refused(tmp_path):
    lock = DirectoryLock(str(tmp_path))
    for take in (require_usable, DirectoryLock):
        with pytest.raises(
            ValueError, match=r"directory='.*' is that of a run which is under way: wait for its end, or"
        ):
            take(str(tmp_path))
    lock.release()
    lock.release()
    require_usable(str(tmp_path))
    DirectoryLock(str(tmp_path)).release()


def test_directory_that_does_not_exist_is_made_and_locked_for_a_run_and_left_alone_by_a_look(tmp_path):
    directory = tmp_path / "runs" / "new"
    DirectoryLock(str(directory), is_shared=True).release()
    assert not directory.exists()
    lock = DirectoryLock(str(directory))
    with pytest.raises(ValueError, match="is that of a run which is under way"):
        DirectoryLock(str(directory), is_shared=True)
    lock.release()


def test_lock_that_is_released_is_not_kept_by_a_fork(tmp_path):
    script = f"""
import os, sys
from actorrt.rl.records.run_directory import DirectoryLock
lock = DirectoryLock({str(tmp_path)!r})
if os.fork() == 0:
    os.read(0, 1)  # holds the file for as long as the test wants
    os._exit(0)
lock.release()
print("released", flush=True)
os.read(0, 1)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"released\n"
        DirectoryLock(str(tmp_path)).release()
        process.stdin.close()


def test_several_runs_may_look_at_a_directory_at_once(tmp_path):
    locks = [DirectoryLock(str(tmp_path), is_shared=True) for _ in range(2)]
    require_usable(str(tmp_path))
    for lock in locks:
        lock.release()
    DirectoryLock(str(tmp_path / "none")).release()


@pytest.fixture
def never_started(monkeypatch):
    """Fail the test where a run is made."""
    monkeypatch.setattr("actorrt.rl.algorithms.algorithm.Run", lambda *_: pytest.fail("a run was made"))


def test_run_into_the_directory_of_another_one_is_refused_before_anything_starts(never_started, tmp_path):
    (tmp_path / "best.policy").touch()
    with pytest.raises(ValueError, match=r"resume that run \(rl\.ARS\.resume\(.*\), or --resume on the command"):
        rl.ARS("CartPole-v1", directory=tmp_path).start(steps=10)


def test_run_whose_directory_can_not_be_made_is_refused_before_anything_starts(never_started, tmp_path, monkeypatch):
    (tmp_path / "runs").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="directory='runs' can't be written to"):
        rl.ARS("CartPole-v1").start(steps=10)


def resumable(directory: os.PathLike[str], steps: int) -> Algorithm:
    algorithm = rl.ARS("CartPole-v1", directory=directory)
    plan = algorithm._plan(steps)
    tree = {"origin": plan.origin(), "record": {"steps": steps}, "weights": plan.weights.to_data(), "x": np.zeros(1)}
    checkpoint.save(str(directory), tree)
    return rl.ARS.resume(str(directory))


def test_resumption_for_fewer_steps_than_there_are_is_refused(never_started, tmp_path):
    with pytest.raises(ValueError, match=r"the run in .* has 2,560 steps already, .* up to steps=512: give more"):
        resumable(tmp_path, 2_560).start(steps=512)
