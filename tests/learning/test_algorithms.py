"""Every algorithm learns CartPole-v1 to a stated return within a stated share of its budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl

SHORT = [  # algorithm, seed, steps, return to reach within them
    (rl.APPO, 1, 200_000, 400.0),
    (rl.IMPALA, 1, 250_000, 400.0),
    (rl.A2C, 1, 250_000, 300.0),
    (rl.A3C, 1, 250_000, 300.0),
    (rl.ARS, 1, 60_000, 400.0),
    (rl.ES, 1, 120_000, 300.0),
]


@pytest.mark.parametrize(("kind", "seed", "steps", "threshold"), SHORT)
def test_cartpole_is_learnt(kind: Any, seed: int, steps: int, threshold: float, tmp_path: Path) -> None:
    art.init(cpus=4)
    try:
        run = kind("CartPole-v1", seed=seed, directory=str(tmp_path)).start(steps=steps, stop_return=threshold).wait()
    finally:
        art.shutdown()
    assert run.is_reached, (run.steps, run.evaluations)
