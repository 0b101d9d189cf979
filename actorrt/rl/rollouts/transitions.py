"""Converts fragments into rows to learn from, with advantages and value targets.

The estimates themselves are in `returns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from actorrt.rl.networks.network import AnyNetwork, rows_of
from actorrt.rl.rollouts.returns import generalised_advantages, importance, next_values, vtrace
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.spaces.array_spaces import Array


@dataclass(frozen=True)
class Transitions:
    """Rows to learn from, one for each transition.

    Attributes:
        obs: what networks see, (rows, features); perhaps on a network's device.
        action: (rows, columns).
        logp: log-probability of each action under the policy that acted, (rows,).
        advantage: estimate of how much better the action is than the policy, (rows,).
        target: what the value should be, (rows,).
        value: the value as it is estimated before the update, (rows,).
    """

    obs: Any
    action: Array
    logp: Array
    advantage: Array
    target: Array
    value: Array

    def __len__(self) -> int:
        return len(self.obs)

    def rows(self, index: Array) -> Transitions:
        """Return the transitions of these indices."""
        return Transitions(
            rows_of(self.obs, index),
            self.action.take(index, axis=0),
            self.logp[index],
            self.advantage[index],
            self.target[index],
            self.value[index],
        )


def transitions(fragments: tuple[Fragment, ...], *, gamma: float, gae_lambda: float) -> Transitions:
    """Compute advantages and value targets, and return all valid transitions as rows."""
    columns: list[list[Array]] = [[], [], [], [], [], []]
    for fragment in fragments:
        value = fragment.value
        following = next_values(
            value, fragment.terminated, fragment.truncated, fragment.dense_final_value(), fragment.last_value
        )
        ended = fragment.terminated | fragment.truncated
        advantage = generalised_advantages(fragment.reward, value, following, ended, gamma=gamma, gae_lambda=gae_lambda)
        arrays = (fragment.obs, fragment.action, fragment.logp, advantage, advantage + value, value)
        for column, array in zip(columns, arrays, strict=True):
            column.append(fragment.transitions(array))
    obs, action, *scalars = (np.concatenate(column) for column in columns)
    return Transitions(obs, action.reshape(len(obs), -1), *scalars)


def corrected_transitions(
    network: AnyNetwork, fragments: tuple[Fragment, ...], *, gamma: float, rho_limit: float, c_limit: float
) -> tuple[Transitions, Array]:
    """Compute V-trace advantages and value targets of fragments that older policies collected.

    Returns:
        The valid transitions as rows, with unweighted advantages; and the truncated importance weight of each row's
        action.
    """
    columns: list[list[Array]] = [[], [], [], [], [], [], []]
    for fragment in fragments:
        value, following, log_ratio = _under(network, fragment)
        ended = fragment.terminated | fragment.truncated
        target, advantage = vtrace(
            fragment.reward, value, following, ended, log_ratio, gamma=gamma, rho_limit=rho_limit, c_limit=c_limit
        )
        rho = importance(log_ratio, rho_limit)
        arrays = (fragment.obs, fragment.action, fragment.logp, advantage, target, value, rho)
        for column, array in zip(columns, arrays, strict=True):
            column.append(fragment.transitions(array))
    obs, action, *scalars, rho_rows = (np.concatenate(column) for column in columns)
    return Transitions(obs, action.reshape(len(obs), -1), *scalars), rho_rows


def normalised(advantage: Array) -> Array:
    """Return advantages scaled to mean 0 and standard deviation 1; a single one unchanged."""
    if len(advantage) < 2:
        return advantage
    centred: Array = advantage - advantage.mean()
    centred /= (float(centred @ centred) / (len(centred) - 1)) ** 0.5 + 1e-8
    return centred


def _under(network: AnyNetwork, fragment: Fragment) -> tuple[Array, Array, Array]:
    """Return values, values of the next states, and log-ratios of probabilities, under the network as it is now."""
    shape = fragment.reward.shape
    steps = fragment.reward.size
    features = fragment.obs.shape[-1]
    obs = np.concatenate([fragment.obs.reshape(steps, features), fragment.last_obs, fragment.final_obs])
    outputs, values = network.forward(obs, learns=False)
    logp = network.distribution(outputs[:steps]).log_probability(fragment.action.reshape(steps, -1)).reshape(shape)
    value, last_value, final_value = values[:steps].reshape(shape), values[steps : steps + shape[1]], values[steps:]
    dense = np.zeros(shape, np.float32)
    dense[fragment.final_step[:, 0], fragment.final_step[:, 1]] = final_value[shape[1] :]
    following = next_values(value, fragment.terminated, fragment.truncated, dense, last_value)
    return value, following, logp - fragment.logp
