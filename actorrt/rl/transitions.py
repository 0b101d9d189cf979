"""Lays fragments out in rows to learn from, with advantages and value targets, as torch tensors.

The estimates themselves are in `returns`. Importing this imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from actorrt.rl.network import AnyNetwork
from actorrt.rl.returns import generalised_advantages, next_values, vtrace
from actorrt.rl.spaces import Array
from actorrt.rl.trajectory import Fragment

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Transitions:
    """Rows to learn from, one a transition."""

    obs: Tensor
    action: Tensor
    logp: Tensor
    advantage: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.obs)

    def rows(self, index: Tensor) -> Transitions:
        """Return the transitions of these indices."""
        return Transitions(
            self.obs[index], self.action[index], self.logp[index], self.advantage[index], self.target[index]
        )


def transitions(
    fragments: tuple[Fragment, ...], *, gamma: float, gae_lambda: float, device: torch.device = CPU
) -> Transitions:
    """Compute advantages and value targets, and lay all valid transitions out in rows on a device."""
    columns: list[list[Array]] = [[], [], [], [], []]
    for fragment in fragments:
        value = fragment.value
        following = next_values(
            value, fragment.terminated, fragment.truncated, fragment.dense_final_value(), fragment.last_value
        )
        ended = fragment.terminated | fragment.truncated
        advantage = generalised_advantages(fragment.reward, value, following, ended, gamma=gamma, gae_lambda=gae_lambda)
        arrays = (fragment.obs, fragment.action, fragment.logp, advantage, advantage + value)
        for column, array in zip(columns, arrays, strict=True):
            column.append(array[fragment.valid])
    obs, action, *scalars = (torch.from_numpy(np.concatenate(column)).to(device) for column in columns)
    return Transitions(obs, action.view(len(obs), -1), *scalars)


def corrected_transitions(
    network: AnyNetwork, fragments: tuple[Fragment, ...], *, gamma: float, rho_limit: float, c_limit: float
) -> tuple[Transitions, Tensor]:
    """Compute V-trace advantages and value targets of fragments that older policies collected.

    Returns:
        The valid transitions in rows, whose advantages are not weighted, and the truncated importance weights of
        the actions, one a row.
    """
    columns: list[list[Array]] = [[], [], [], [], [], []]
    for fragment in fragments:
        value, following, log_ratio = _under(network, fragment)
        ended = fragment.terminated | fragment.truncated
        target, advantage = vtrace(
            fragment.reward, value, following, ended, log_ratio, gamma=gamma, rho_limit=rho_limit, c_limit=c_limit
        )
        rho = np.minimum(rho_limit, np.exp(log_ratio))
        arrays = (fragment.obs, fragment.action, fragment.logp, advantage, target, rho)
        for column, array in zip(columns, arrays, strict=True):
            column.append(array[fragment.valid])
    obs, action, *scalars, rho_rows = (
        torch.from_numpy(np.concatenate(column)).to(network.device) for column in columns
    )
    return Transitions(obs, action.view(len(obs), -1), *scalars), rho_rows


def _under(network: AnyNetwork, fragment: Fragment) -> tuple[Array, Array, Array]:
    """Return values, values of what followed, and log-ratios of probabilities, under the network as it is now."""
    shape = fragment.reward.shape
    steps = fragment.reward.size
    features = fragment.obs.shape[-1]
    obs = np.concatenate([fragment.obs.reshape(steps, features), fragment.last_obs, fragment.final_obs])
    result = network.forward(torch.from_numpy(obs).to(network.device), learns=False)
    action = torch.from_numpy(np.array(fragment.action).reshape(steps, -1)).to(network.device)
    logp = network.distribution(result.outputs[:steps]).log_probability(action).cpu().numpy().reshape(shape)
    values = result.value.cpu().numpy()
    value, last_value, final_value = values[:steps].reshape(shape), values[steps : steps + shape[1]], values[steps:]
    dense = np.zeros(shape, np.float32)
    dense[fragment.final_step[:, 0], fragment.final_step[:, 1]] = final_value[shape[1] :]
    following = next_values(value, fragment.terminated, fragment.truncated, dense, last_value)
    return value, following, logp - fragment.logp
