"""Directions in parameter space; they follow from seeds, so they are never sent."""

from __future__ import annotations

import numpy as np

from actorrt.rl.spaces.array_spaces import Array

NOISE_KEY = 1_000_004
"""Spawn keys of directions begin with it. Other such keys are in `environment`, `evaluator` and `cli.train`."""


def direction(run_seed: int, iteration: int, number: int, count: int) -> Array:
    """Return one standard normal direction, the same for the same arguments on any machine.

    Args:
        run_seed: seed of the run.
        iteration: number of the update.
        number: number of the direction in the update.
        count: number of the policy's parameters.
    """
    sequence = np.random.SeedSequence(run_seed, spawn_key=(NOISE_KEY, iteration, number))
    return np.random.default_rng(sequence).standard_normal(count, np.float32)
