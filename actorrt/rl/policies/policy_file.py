"""The format of a policy's file: a zip of numpy arrays and a JSON header, nothing that runs when read."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple
from zipfile import BadZipFile, is_zipfile

import numpy as np

from actorrt.rl.networks.policy_spec import NetworkKind, PolicySpec
from actorrt.rl.policies.protocols import StorablePolicy
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Normaliser
from actorrt.rl.spaces.spaces import space_from_data

FORMAT = "actorrt-policy-1"
NORMALISER = "normaliser/"
OWN_NETWORK = "own"


def save_policy(policy: StorablePolicy, path: str) -> None:
    """Write a policy to `path`; whoever reads meanwhile sees the old file or the new one, whole."""
    header = {
        "format": FORMAT,
        "architecture": policy.architecture,
        "version": policy.version,
        "env_id": policy.spec.env_id,
        "observation": policy.spec.observation.to_data(),
        "action": policy.spec.action.to_data(),
        "hidden": list(policy.spec.hidden),
        "activation": policy.spec.activation,
        "network": policy.spec.network if isinstance(policy.spec.network, str) else OWN_NETWORK,
        "orthogonal": policy.spec.orthogonal,
        "log_std": policy.spec.log_std,
    }
    arrays: dict[str, Any] = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}
    arrays["parameters"] = policy.parameters
    if policy.normaliser is not None:
        arrays |= {f"{NORMALISER}{name}": array for name, array in policy.normaliser.to_arrays().items()}
    partial = f"{path}.partial"
    with open(partial, "wb") as file:
        np.savez(file, **arrays)
    os.replace(partial, path)


class StoredPolicy(NamedTuple):
    """What a file says of a policy, in the order in which `make_policy` takes it."""

    spec: PolicySpec
    parameters: Array
    version: int
    normaliser: Normaliser | None


def read_policy(path: str, network: NetworkKind | None = None) -> StoredPolicy:
    """Read what `save_policy` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no policy, or one of a format unknown here; or `network` is missing.
    """
    header, arrays = _read(path)
    if header.get("format") != FORMAT:
        raise ValueError(f"{path} holds a policy of format {header.get('format')!r}; this version reads {FORMAT!r}")
    if header.get("network") == OWN_NETWORK and network is None:
        raise ValueError(f"{path} holds a policy with a network of its user's own: give what makes it as network=")
    try:
        spec = _spec(header, network)
        parameters, version = np.asarray(arrays["parameters"], np.float32), int(header["version"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is not a policy's file: {type(error).__name__}: {error}") from error
    normaliser = Normaliser.from_arrays(
        {name.removeprefix(NORMALISER): array for name, array in arrays.items() if name.startswith(NORMALISER)}
    )
    return StoredPolicy(spec, parameters, version, normaliser)


def _spec(header: dict[str, Any], network: NetworkKind | None) -> PolicySpec:
    return PolicySpec(
        env_id=header["env_id"],
        observation=space_from_data(header["observation"]),
        action=space_from_data(header["action"]),
        hidden=tuple(map(int, header["hidden"])),
        activation=header["activation"],
        network=network or header["network"],
        orthogonal=header["orthogonal"],
        log_std=header["log_std"],
    )


def _read(path: str) -> tuple[dict[str, Any], dict[str, Array]]:
    try:
        with open(path, "rb") as file:
            if not is_zipfile(file):  # which NumPy would take for a pickle, and advise to load unsafely
                raise ValueError("it is no archive of arrays")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        return dict(json.loads(arrays["header"].tobytes())), arrays
    except (ValueError, TypeError, KeyError, EOFError, AttributeError, NotImplementedError, BadZipFile) as error:
        raise ValueError(f"{path} is not a policy's file: {error}") from error
