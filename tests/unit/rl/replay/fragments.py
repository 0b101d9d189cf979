"""Fragments with given columns, for what learns off the policy."""

from __future__ import annotations

from typing import Any

import numpy as np

from actorrt.rl.rollouts.trajectory import Fragment


def make_fragment(*, obs: Any, action: Any, reward: Any, terminated: Any, last_obs: Any, **more: Any) -> Fragment:
    """Return a fragment with these columns; all steps are transitions, and none is truncated, unless told otherwise."""
    numbers = np.zeros(reward.shape, np.float32)
    columns: dict[str, Any] = {
        "truncated": np.zeros(reward.shape, bool),
        "valid": np.ones(reward.shape, bool),
        "final_step": np.zeros((0, 2), np.int64),
        "final_obs": np.zeros((0, obs.shape[-1]), obs.dtype),
        **more,
    }
    return Fragment(
        obs=obs,
        action=action,
        reward=reward,
        terminated=terminated,
        last_obs=last_obs,
        **columns,
        logp=numbers,
        value=numbers,
        last_value=numbers[0],
        final_value=np.zeros(len(columns["final_step"]), np.float32),
        episode_return=np.zeros(0),
        episode_length=np.zeros(0, np.int64),
        policy_version=0,
        simulator=0,
        incarnation=1,
        sequence=0,
        process_id=1,
    )
