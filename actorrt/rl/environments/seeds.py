"""The seeds of episodes, which follow from the seed of the run and numbers that identify the episode."""

from __future__ import annotations

import numpy as np

EVALUATION_KEY = 1_000_003  # spawn keys of evaluations begin with it; those of simulators begin with their index


def episode_seed(run_seed: int, *key: int) -> int:
    """Return the seed of one episode, the same for the same key on any machine.

    Args:
        run_seed: seed of the run, 0 or larger.
        key: the numbers that identify the episode: simulator, incarnation, environment and episode.
    """
    return int(np.random.SeedSequence(run_seed, spawn_key=key).generate_state(1)[0])
