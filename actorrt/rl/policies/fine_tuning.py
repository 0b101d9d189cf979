"""What a run takes over from a policy that it begins with: its network, its parameters and its normaliser."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Mapping
from typing import Any

from actorrt.rl.networks.policy_spec import NetworkKind, PolicySpec
from actorrt.rl.policies.factory import load_policy, make_policy
from actorrt.rl.policies.policy import FlatPolicy
from actorrt.rl.policies.weights import Weights
from actorrt.rl.spaces.fit import difference
from actorrt.rl.spaces.normaliser import Normaliser

PLACE = ("env_id", "env_kwargs", "observation", "action")
SHAPE = tuple(field.name for field in dataclasses.fields(PolicySpec) if field.name not in PLACE)
"""The fields of a `PolicySpec` that describe its networks; settings have the same names."""


def as_policy(policy: FlatPolicy | str | os.PathLike[str], network: NetworkKind | None) -> FlatPolicy:
    """Return a policy that is given as such, or as the path of its file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a policy's, or a function that makes its network is missing.
        TypeError: it is neither a policy nor a path.
    """
    if isinstance(policy, FlatPolicy):
        return policy
    if not isinstance(policy, str | os.PathLike):
        raise TypeError(f"policy is a policy, or the path of a file that its save() wrote: policy={policy!r}")
    path = os.fspath(policy)
    try:
        return load_policy(path, network=network if callable(network) else None)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"policy={path!r} is no file: give a policy, or the path that it was saved to"
        ) from None


def inherited(policy: FlatPolicy, given: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return a run's settings: those that are given, and those of the policy that the run begins with.

    Args:
        policy: the policy to begin with.
        given: settings that a user gave.
        known: names of all settings of the algorithm.

    Raises:
        ValueError: a setting is given that the policy has another value of; the message names both.
    """
    normaliser = policy.normaliser
    own = {name: getattr(policy.spec, name) for name in SHAPE if name in known}
    own["normalise_observations"] = normaliser is not None and normaliser.observations is not None
    for name, value in own.items():
        wanted = given.get(name, value)
        if name == "network" and wanted == "auto":
            continue
        if (tuple(wanted) if isinstance(wanted, list) else wanted) != value:
            raise ValueError(
                f"the policy to begin with has {name}={value!r}, not {name}={wanted!r}: leave it out, or begin without "
                "policy="
            )
    return {**given, **own}


def require_same(policy: FlatPolicy, spec: PolicySpec, env: str) -> None:
    """Make sure that a policy can go on learning as the policy of another spec.

    Args:
        policy: the policy to begin with.
        spec: of the run's policy.
        env: name of the run's environment.

    Raises:
        ValueError: observations, actions or networks differ; the message says where.
    """
    own = policy.spec
    for what in ("observation", "action"):
        found = difference(getattr(own, what), getattr(spec, what))
        if found is not None:
            raise ValueError(f"the policy to begin with does not fit {env}: its {what}s have {found}")
    for name in SHAPE:
        if getattr(own, name) != getattr(spec, name):
            raise ValueError(
                f"the policy to begin with has {name}={getattr(own, name)!r}, which this algorithm does not take"
            )


def require_fitting(weights: Weights, spec: PolicySpec, env: str) -> None:
    """Make sure that the weights of a checkpoint, which does not hold spaces, can be those of a run in `env`.

    Networks in torch are not made to count their parameters, since that would import torch here.

    Raises:
        ValueError: a policy for the environment has another number of parameters.
    """
    if spec.network != "mlp":
        return
    expected, count = len(make_policy(spec).parameters), len(weights.parameters)
    if count != expected:
        raise ValueError(
            f"the run's policy has {count:,} parameters, and one for {env} has {expected:,}: its observations or "
            "actions are others. Give the environment of the run, or one with the same spaces"
        )


def initial_weights(policy: FlatPolicy, nothing: Normaliser | None) -> Weights:
    """Return the weights that a run begins with.

    Args:
        policy: the policy to begin with.
        nothing: a normaliser without data that has the parts which the run normalises.
    """
    own = policy.normaliser
    normaliser = nothing
    if own is not None and nothing is not None:
        returns = nothing.returns and (own.returns or nothing.returns)
        normaliser = Normaliser(own.observations, returns)
    return Weights(0, policy.parameters.copy(), normaliser)
