"""Directions in parameter space that follow from seeds, so that nobody sends them."""

from __future__ import annotations

import numpy as np

from actorrt.rl.spaces.array_spaces import Array

NOISE_KEY = 1_000_004  # spawn keys of directions begin with it; others are in `environment`, `evaluator` and `command`


def direction(run_seed: int, iteration: int, number: int, count: int) -> Array:
    """Return one direction, standard normal, the same for the same arguments on any machine.

    Args:
        run_seed: seed of the run.
        iteration: number of the update that it is for.
        number: which of that update's directions it is.
        count: parameters of the policy.
    """
    sequence = np.random.SeedSequence(run_seed, spawn_key=(NOISE_KEY, iteration, number))
    return np.random.default_rng(sequence).standard_normal(count, np.float32)
