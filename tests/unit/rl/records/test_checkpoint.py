"""Checkpoints hold trees of plain values and arrays; other files are refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from actorrt import rl
from actorrt.rl.environments.seeded_environments import SeededEnvironments
from actorrt.rl.foundation.array_file import write_arrays
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.numpy_policy import MlpPolicy
from actorrt.rl.records import checkpoint
from actorrt.rl.records.run_directory import BEST_FILE
from actorrt.rl.records.run_record import RunRecord
from actorrt.rl.rollouts.sampler import Sampler
from actorrt.rl.spaces.array_spaces import Box, Discrete
from tests.unit.rl.counting import CountingEnv, IdentityEnv


def test_tree_comes_back_as_it_was(tmp_path):
    rng = np.random.default_rng(3)
    tree = {
        "rng": rng.bit_generator.state,
        "list": [1, 2.5, None, True, "text", {"array": np.arange(3, dtype=np.int8)}],
        "empty": np.zeros((0, 2), np.float32),
        "number": np.float64(0.1),
    }
    path = checkpoint.save(str(tmp_path / "run"), tree)
    again = checkpoint.load(str(tmp_path / "run"))
    assert path == str(tmp_path / "run" / "checkpoint")
    assert again["rng"] == tree["rng"]
    assert again["list"][:5] == tree["list"][:5]
    assert again["list"][5]["array"].tolist() == [0, 1, 2]
    assert again["list"][5]["array"].dtype == np.int8
    assert again["empty"].shape == (0, 2)
    assert again["number"] == 0.1
    assert [entry.name for entry in (tmp_path / "run").iterdir()] == ["checkpoint"]


def test_missing_and_broken_checkpoints_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint in"):
        checkpoint.load(str(tmp_path))
    (tmp_path / "checkpoint").write_bytes(b"something else")
    with pytest.raises(ValueError, match="is not a checkpoint"):
        checkpoint.load(str(tmp_path))


STORED = Path(__file__).parent.parent / "stored" / "cartpole.checkpoint"


def load_damaged(tmp_path, data):
    """Load a file of these bytes; return the tree, or None if it was refused by its name and with the next step."""
    path = tmp_path / checkpoint.FILE
    path.write_bytes(data)
    try:
        return checkpoint.load(str(tmp_path))
    except ValueError as error:
        told = str(error)
    assert told.startswith(f"{path} is not a checkpoint: ")
    assert told.endswith("; resume another run, or begin a new one")
    return None


def test_checkpoint_that_was_cut_anywhere_is_refused_by_name_with_the_next_step(tmp_path):
    data = STORED.read_bytes()
    assert [length for length in range(0, len(data), 101) if load_damaged(tmp_path, data[:length]) is not None] == []


@pytest.mark.parametrize("mask", [0x01, 0x08, 0x40, 0xFF])
def test_byte_that_changed_is_found_or_changes_nothing(tmp_path, mask):
    """The checksums of the archive find it, but for dates and the like, which nobody reads."""
    data = STORED.read_bytes()
    directory_at = data.rindex(b"header.npy") - 46  # the list of the archive's members, with their flags and offsets
    whole = repr(load_damaged(tmp_path, data))
    for at in [*range(0, directory_at, 211), *range(directory_at, len(data), 11)]:
        changed = bytearray(data)
        changed[at] ^= mask
        tree = load_damaged(tmp_path, bytes(changed))
        assert tree is None or repr(tree) == whole, at


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({}, "'format'"),
        ({"format": "actorrt-checkpoint-9"}, "its format is 'actorrt-checkpoint-9'; this version reads 'actorrt-"),
        ({"format": checkpoint.FORMAT}, "'tree'"),
        ({"format": checkpoint.FORMAT, "tree": {"a": {"$array": "array_0"}}}, "'array_0'"),
        ({"format": checkpoint.FORMAT, "tree": {"a": {"$array": []}}}, "unhashable type"),
    ],
)
def test_archive_that_holds_something_else_is_refused_by_name_with_the_next_step(tmp_path, header, why):
    write_arrays(str(tmp_path / checkpoint.FILE), header, {})
    with pytest.raises(
        ValueError, match=rf"/checkpoint is not a checkpoint: {re.escape(why)}.*; resume another run, or"
    ):
        checkpoint.load(str(tmp_path))


def test_refusal_of_a_damaged_checkpoint_names_the_best_policy_that_is_left(tmp_path):
    (tmp_path / checkpoint.FILE).write_bytes(STORED.read_bytes()[:-100])
    (tmp_path / BEST_FILE).write_bytes(b"")
    step = f"begin a new one, with policy={str(tmp_path / BEST_FILE)!r}, the best policy of this run"
    with pytest.raises(ValueError, match=re.escape(step)):
        rl.PPO.resume(tmp_path)


def test_value_that_is_not_plain_is_refused_and_the_old_checkpoint_stays(tmp_path):
    checkpoint.save(str(tmp_path), {"a": 1})
    with pytest.raises(TypeError):
        checkpoint.save(str(tmp_path), {"a": object()})
    assert checkpoint.load(str(tmp_path)) == {"a": 1}


def test_restored_record_continues_with_its_rows(tmp_path):
    record = RunRecord([{"steps": 8, "best": None}, {"steps": 16, "best": 1.5}], [(8, 1.5)], steps=16)
    record.episode_returns.extend([1.0, 2.0])
    checkpoint.save(str(tmp_path), record.state(seconds=2.0))
    again = RunRecord()
    again.restore(checkpoint.load(str(tmp_path)))
    assert again.rows[1] == record.rows[1]
    assert (again.steps, again.seconds, again.evaluations, again.return_mean) == (16, 2.0, [(8, 1.5)], 1.5)


def make_sampler(make, spec, seed):
    policy = MlpPolicy(spec)
    policy.init(0)
    return Sampler(
        SeededEnvironments(make, 3, lambda k, episode: 100 * k + episode), policy, 7, np.random.default_rng(seed)
    )


IDENTITY = PolicySpec("", Discrete(4), Discrete(4), (8, 8))


def test_sampler_resumes_exactly_where_another_one_was():
    first, second = make_sampler(IdentityEnv, IDENTITY, 1), make_sampler(IdentityEnv, IDENTITY, 2)
    for _ in range(20):
        first.collect()
    assert second.resume(first.state())
    for _ in range(20):
        expected, fragment = first.collect(), second.collect()
        for name in ("obs", "action", "reward", "truncated", "logp", "value", "episode_return", "episode_length"):
            assert (getattr(fragment, name) == getattr(expected, name)).all(), name


class Unreplayable(CountingEnv):
    """Begins elsewhere each time, whatever the seed."""

    started_count = 0

    def __init__(self):
        super().__init__(50, truncates=True)

    def reset(self, **options):
        obs, info = super().reset(**options)
        type(self).started_count += 1
        return obs + self.started_count, info


def test_environments_that_do_not_replay_are_told():
    spec = PolicySpec("", Box((1,), (0.0,), (1e6,)), Discrete(2), (8, 8))
    first, second = make_sampler(Unreplayable, spec, 1), make_sampler(Unreplayable, spec, 2)
    assert not second.resume(first.state())
    assert second.collect().step_count == 21
