"""The format of a policy's file: its header and its arrays. `foundation.array_file` reads and writes the file."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from actorrt.rl.foundation.array_file import read_arrays, write_arrays
from actorrt.rl.networks.policy_spec import NetworkKind, PolicySpec
from actorrt.rl.policies.protocols import StorablePolicy
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Normaliser
from actorrt.rl.spaces.spaces import space_from_data

FORMAT = "actorrt-policy-1"
NORMALISER = "normaliser/"
OWN_NETWORK = "own"
KIND = "a policy's file"


def save_policy(policy: StorablePolicy, path: str | os.PathLike[str]) -> None:
    """Write a policy to `path`; a reader sees the old file or the new one, whole."""
    header = {
        "format": FORMAT,
        "architecture": policy.architecture,
        "version": policy.version,
        "env_id": policy.spec.env_id,
        "env_kwargs": dict(policy.spec.env_kwargs),
        "observation": policy.spec.observation.to_data(),
        "action": policy.spec.action.to_data(),
        "hidden": list(policy.spec.hidden),
        "activation": policy.spec.activation,
        "network": policy.spec.network if isinstance(policy.spec.network, str) else OWN_NETWORK,
        "orthogonal": policy.spec.orthogonal,
        "log_std": policy.spec.log_std,
        "heads": policy.spec.heads,
        "value_hidden": None if policy.spec.value_hidden is None else list(policy.spec.value_hidden),
    }
    arrays = {"parameters": policy.parameters}
    if policy.normaliser is not None:
        arrays |= {f"{NORMALISER}{name}": array for name, array in policy.normaliser.to_arrays().items()}
    write_arrays(path, header, arrays)


class StoredPolicy(NamedTuple):
    """The content of a policy's file, in the order of `make_policy`'s arguments."""

    spec: PolicySpec
    parameters: Array
    version: int
    normaliser: Normaliser | None

    @property
    def architecture(self) -> str:
        """As the policy's class has it."""
        if self.spec.network != "mlp":
            return "torch"
        return "greedy" if self.spec.estimates_actions else "mlp" if self.spec.hidden else "linear"


def read_policy(path: str | os.PathLike[str], network: NetworkKind | None = None) -> StoredPolicy:
    """Read what `save_policy` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a policy's, or has an unknown format; or `network` is missing.
    """
    header, arrays = read_arrays(path, KIND)
    if header.get("format") != FORMAT:
        raise ValueError(f"{path} holds a policy of format {header.get('format')!r}; this version reads {FORMAT!r}")
    if header.get("network") == OWN_NETWORK and network is None:
        raise ValueError(f"a function made the network of the policy in {path}: give it as network=")
    try:
        spec = _spec(header, network)
        parameters, version = np.asarray(arrays["parameters"], np.float32), int(header["version"])
        normaliser = Normaliser.from_arrays(
            {name.removeprefix(NORMALISER): array for name, array in arrays.items() if name.startswith(NORMALISER)}
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is not {KIND}: {type(error).__name__}: {error}") from error
    return StoredPolicy(spec, parameters, version, normaliser)


def _spec(header: dict[str, Any], network: NetworkKind | None) -> PolicySpec:
    value_hidden = header.get("value_hidden")  # missing in files of earlier versions
    return PolicySpec(
        env_id=header["env_id"],
        env_kwargs=header.get("env_kwargs", {}),  # older files do not have it
        observation=space_from_data(header["observation"]),
        action=space_from_data(header["action"]),
        hidden=tuple(map(int, header["hidden"])),
        activation=header["activation"],
        network=network or header["network"],
        orthogonal=header["orthogonal"],
        log_std=header["log_std"],
        heads=header.get("heads", "actor_critic"),  # missing in files of earlier versions
        value_hidden=None if value_hidden is None else tuple(map(int, value_hidden)),
    )
