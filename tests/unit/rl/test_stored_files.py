"""Files from before the modules were renamed can still be read: the formats name no module."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from actorrt import rl
from actorrt.rl.foundation.array_file import read_arrays
from actorrt.rl.records import checkpoint
from actorrt.rl.records.run_record import RunRecord
from actorrt.rl.records.selection import Selection

STORED = Path(__file__).parent / "stored"  # PPO on CartPole with hidden=(4,), 128 steps, both normalisers


def test_policy_of_an_earlier_version_loads_and_acts():
    policy = rl.load_policy(str(STORED / "cartpole.policy"))
    assert repr(policy) == "<MlpPolicy for CartPole-v1: version 4, 55 parameters>"
    assert policy.spec.hidden == (4,)
    assert policy.parameters.sum() == pytest.approx(0.9985814, abs=1e-6)
    assert policy.normaliser is not None
    assert policy.normaliser.observations is not None
    assert policy.normaliser.observations.count == 128
    assert policy(np.array([0.1, -0.2, 0.05, 0.3], np.float32)) == 0


def test_checkpoint_of_an_earlier_version_restores_record_and_selection(tmp_path):
    shutil.copy(STORED / "cartpole.checkpoint", tmp_path / checkpoint.FILE)
    tree = checkpoint.load(str(tmp_path))
    record, selection = RunRecord(), Selection(2_000, None)
    record.restore(tree["record"])
    selection.restore(tree["selection"])
    assert (record.steps, record.update_count, record.evaluations) == (128, 4, [(128, 10.0)])
    assert list(record.episode_returns) == [23.0, 12.0, 39.0, 20.0, 25.0]
    assert selection.best is not None
    assert selection.best.weights.version == 4


def test_run_of_an_earlier_version_can_be_resumed(tmp_path):
    shutil.copy(STORED / "cartpole.checkpoint", tmp_path / checkpoint.FILE)
    algorithm = rl.PPO.resume(str(tmp_path))
    assert algorithm.settings.hidden == (4,)
    assert algorithm.settings.horizon == 16


@pytest.mark.parametrize("name", ["cartpole.policy", "cartpole.checkpoint"])
def test_format_names_no_module(name):
    header, _ = read_arrays(str(STORED / name), "a file")
    assert "actorrt." not in repr(header)
    assert header["format"] in ("actorrt-policy-1", "actorrt-checkpoint-1")
