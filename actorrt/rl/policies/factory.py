"""Makes policies: from a specification, or from a file."""

from __future__ import annotations

import os

from actorrt.rl.foundation.extras import require
from actorrt.rl.networks.initial import initial_convolutional
from actorrt.rl.networks.layout import ParameterCountError
from actorrt.rl.networks.policy_spec import NetworkKind, PolicySpec
from actorrt.rl.policies.greedy_policy import GreedyPolicy
from actorrt.rl.policies.numpy_policy import LinearPolicy, MlpPolicy
from actorrt.rl.policies.policy import FlatPolicy
from actorrt.rl.policies.policy_file import read_policy
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Normaliser


def make_policy(
    spec: PolicySpec, parameters: Array | None = None, version: int = 0, normaliser: Normaliser | None = None
) -> FlatPolicy:
    """Make the policy that the spec describes.

    It is an `MlpPolicy`, or a `LinearPolicy` if there are no hidden layers, or a `TorchPolicy` for other networks; a
    greedy one if it estimates the values of actions.

    Raises:
        MissingPackageError: the network needs torch, which is not installed.
    """
    kind: type[FlatPolicy] = GreedyPolicy if spec.estimates_actions else MlpPolicy if spec.hidden else LinearPolicy
    if spec.network != "mlp":
        require("torch")
        from actorrt.rl.policies.torch_policy import GreedyTorchPolicy, TorchPolicy

        kind = GreedyTorchPolicy if spec.estimates_actions else TorchPolicy
    return kind(spec, parameters, version, normaliser)


def initial_parameters(spec: PolicySpec, seed: int) -> Array:
    """Draw the initial parameters of the policy that the spec describes; only for a user's network this imports torch.

    Raises:
        MissingPackageError: the network needs torch, which is not installed.
        ValueError: the observations do not fit the network.
    """
    return initial_convolutional(spec, seed) if spec.network == "cnn" else make_policy(spec).init(seed)


def load_policy(path: str | os.PathLike[str], *, network: NetworkKind | None = None) -> FlatPolicy:
    """Read a policy that `save` wrote.

    Args:
        path: of the file.
        network: the function that makes the policy's network, if it is a user's own: files hold no code.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a policy's, or has an unknown format; or `network` is missing, or takes another
            number of parameters.
        MissingPackageError: the network needs torch, which is not installed.
    """
    stored = read_policy(path, network)
    try:
        return make_policy(*stored)
    except ParameterCountError as error:
        raise ValueError(f"{path} holds the policy of another network: {error}") from error
