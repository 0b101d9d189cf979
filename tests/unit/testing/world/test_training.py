"""A whole training run in a simulated world: its supervisor, its learner and its simulators, one story for a seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from actorrt import rl
from actorrt.rl.records.run_record import RunRecord
from actorrt.rl.records.selection import Selection
from actorrt.rl.runs.callbacks import Callbacks
from actorrt.testing import Faults, World

STEPS = 512
BATCH_STEPS = 64
SETTINGS: dict[str, Any] = {"hidden": (8, 8), "environments": 2, "batch_steps": BATCH_STEPS, "evaluate_every": None}


def train(seed: int, directory: Path, faults: Faults | None = None) -> tuple[list[dict[str, Any]], World]:
    """Train in a world; return the metrics of the updates, without those that depend on real time, and the world."""
    algorithm = rl.PPO("CartPole-v1", simulators=2, seed=1, **SETTINGS)
    plan = replace(algorithm._plan(STEPS), name="run")  # made outside of the world, whose chance follows the seed
    record = RunRecord()
    run: Any = SimpleNamespace(steps=0)  # gets the progress
    callbacks = Callbacks(run, [])
    loop = algorithm.loop_class(plan, record, Selection(None, None), str(directory), callbacks)
    world = World(seed, faults=faults)
    world.run(loop.run, lambda: False, timeout_s=3_600)
    assert record.steps >= STEPS
    return list(record.rows), world


def test_ppo_trains_with_two_simulators_and_tells_one_story_for_a_seed(tmp_path: Path) -> None:
    rows, world = train(1, tmp_path / "one")
    assert len(rows) == STEPS // BATCH_STEPS
    again, other_world = train(1, tmp_path / "two")
    assert (rows, world.digest()) == (again, other_world.digest())
    assert train(2, tmp_path / "three")[1].digest() != world.digest()


def test_ppo_makes_all_its_updates_while_connections_break_and_processes_stand_still(tmp_path: Path) -> None:
    rows, world = train(5, tmp_path, Faults(drop=10.0, delay_s=0.05, freeze=1.0))
    assert any("fault: a connection" in line for line in world.trace())
    assert len(rows) == STEPS // BATCH_STEPS
