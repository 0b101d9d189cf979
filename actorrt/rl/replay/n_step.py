"""Pure: rows to learn from off the policy: n-step returns of fragments, with the ends of episodes kept apart.

From a start t, rewards are added up, discounted, until the first of: the episode *terminated*, it was *truncated*, n
rewards, or the newest step of the fragment. The row then bootstraps from the observation that the last of these steps
led to, discounted once for each reward; a terminated episode has no value after its end. So a truncated one bootstraps
from its final observation, and never from the first one of the next episode; and a fragment's end is no episode's end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.spaces.array_spaces import Array


class Rows(NamedTuple):
    """Rows to learn from, one for each transition of a fragment, in order of time and then environment.

    Attributes:
        obs: the observations acted on, (rows, columns).
        action: the actions, (rows, ...).
        reward: the discounted sums of rewards, (rows,) float32.
        discount: weights of the next observations' values, (rows,) float32; 0 after the end of an episode.
        next_obs: the observations to bootstrap from, (rows, columns).
    """

    obs: Array
    action: Array
    reward: Array
    discount: Array
    next_obs: Array

    def columns(self) -> dict[str, Array]:
        """Return them by name."""
        return self._asdict()


def n_step_rows(fragment: Fragment, *, n_step: int, gamma: float) -> Rows:
    """Return the rows of a fragment's transitions.

    Args:
        fragment: the fragment.
        n_step: the largest number of rewards that are added up, 1 or larger.
        gamma: discount for each step.
    """
    horizon, count = fragment.reward.shape
    ended = fragment.terminated | fragment.truncated
    reward = np.zeros((horizon, count), np.float32)
    last = np.repeat(np.arange(horizon)[:, None], count, axis=1)
    runs_on = fragment.valid.copy()
    for ahead in range(min(n_step, horizon)):
        left = horizon - ahead
        runs_on = runs_on[:left]
        reward[:left] += np.where(runs_on, np.float32(gamma**ahead) * fragment.reward[ahead:], np.float32(0.0))
        last[:left] += runs_on & (ahead > 0)
        runs_on &= ~ended[ahead:]
    t, k = np.nonzero(fragment.valid)
    end = last[t, k]
    discount = np.power(gamma, end - t + 1.0).astype(np.float32)
    discount[fragment.terminated[end, k]] = 0.0
    return Rows(
        fragment.obs[t, k], fragment.action[t, k], reward[t, k], discount, _observations_after(fragment, end, k)
    )


def _observations_after(fragment: Fragment, t: Array, k: Array) -> Array:
    """Return the observations that the steps at (t, k) led to."""
    horizon, count, width = fragment.obs.shape
    final = np.full((horizon, count), -1, np.int64)
    final[fragment.final_step[:, 0], fragment.final_step[:, 1]] = np.arange(len(fragment.final_step))
    following = np.concatenate([fragment.obs[1:].reshape(-1, width), fragment.last_obs, fragment.final_obs])
    place = t * count + k
    is_cut = fragment.truncated[t, k] & ~fragment.terminated[t, k]
    place = np.where(is_cut, horizon * count + final[t, k], place)
    rows: Array = following.take(place, axis=0)
    return rows
