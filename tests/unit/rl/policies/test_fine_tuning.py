"""A run that begins with a policy takes over its network, parameters and normaliser; what does not fit is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from actorrt import rl
from actorrt.rl.environments.description import describe
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.numpy_policy import LinearPolicy, MlpPolicy
from actorrt.rl.spaces.normaliser import Moments, Normaliser

SPEC = dataclasses.replace(describe("CartPole-v1"), hidden=(8, 8), activation="relu", log_std=-1.0)
SEEN = Moments(50, np.arange(4.0), np.full(4, 100.0))
RETURNS = Moments(50, np.ones(1), np.full(1, 200.0))


def make_policy(spec: PolicySpec = SPEC, normaliser: Normaliser | None = None) -> MlpPolicy:
    policy = MlpPolicy(spec, version=9)
    policy.init(3)
    policy.normaliser = normaliser
    return policy


def test_run_begins_with_the_parameters_and_the_network_of_the_policy():
    policy = make_policy()
    algorithm = rl.PPO("CartPole-v1", policy=policy)
    settings = algorithm.settings
    assert (settings.hidden, settings.activation, settings.log_std, settings.network) == ((8, 8), "relu", -1.0, "mlp")
    assert not settings.normalise_observations
    assert settings.horizon == 32  # of the environment's preset
    weights = algorithm._plan(64).weights
    assert (weights.version, weights.normaliser) == (0, None)
    assert (weights.parameters == policy.parameters).all()
    assert not np.shares_memory(weights.parameters, policy.parameters)


def test_path_of_a_file_is_as_good(tmp_path: Path):
    policy = make_policy(normaliser=Normaliser(SEEN))
    policy.save(str(tmp_path / "a.policy"))
    weights = rl.A2C("CartPole-v1", policy=tmp_path / "a.policy")._plan(64).weights
    assert (weights.parameters == policy.parameters).all()
    assert weights.normaliser.observations.count == 50
    with pytest.raises(FileNotFoundError, match="policy='MlpPolicy' is no file: give a policy, or the path"):
        rl.PPO("CartPole-v1", policy="MlpPolicy")
    with pytest.raises(TypeError, match=r"policy is a policy, or the path of a file that its save.. wrote: policy=7"):
        rl.PPO("CartPole-v1", policy=7)  # type: ignore[arg-type]


@pytest.mark.parametrize("rewards", [True, False])
def test_normaliser_is_taken_over_as_far_as_the_run_normalises(rewards: bool):
    algorithm = rl.PPO(
        "CartPole-v1", policy=make_policy(normaliser=Normaliser(SEEN, RETURNS)), normalise_rewards=rewards
    )
    assert algorithm.settings.normalise_observations
    normaliser = algorithm._plan(64).weights.normaliser
    assert normaliser.observations is SEEN
    assert normaliser.returns is (RETURNS if rewards else None)


def test_rewards_may_be_normalised_from_now_on():
    weights = rl.PPO("CartPole-v1", policy=make_policy(), normalise_rewards=True)._plan(64).weights
    assert weights.normaliser.observations is None
    assert weights.normaliser.returns.count == 0


def test_linear_policy_is_for_algorithms_that_take_it():
    policy = LinearPolicy(describe("CartPole-v1", ()), np.ones(8, np.float32))
    assert rl.ARS("CartPole-v1", policy=policy)._plan(64).weights.parameters.tolist() == [1.0] * 8
    with pytest.raises(ValueError, match="hidden"):
        rl.PPO("CartPole-v1", policy=policy)


def test_preset_gives_way_to_the_policy_and_given_settings_must_agree():
    same = rl.ARS("Pendulum-v1", policy=MlpPolicy(describe("Pendulum-v1", (4,))))
    assert (same.settings.hidden, same.settings.activation) == ((4,), "tanh")  # the preset has 16 and relu
    assert rl.PPO("CartPole-v1", policy=make_policy(), hidden=[8, 8], network="auto").settings.hidden == (8, 8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"hidden": (16,)},
            r"the policy to begin with has hidden=\(8, 8\), not hidden=\(16,\): leave it out, or begin w",
        ),
        ({"activation": "tanh"}, "has activation='relu', not activation='tanh'"),
        ({"network": "cnn"}, "has network='mlp', not network='cnn'"),
        ({"normalise_observations": True}, "has normalise_observations=False, not normalise_observations=True"),
    ],
)
def test_other_networks_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        rl.PPO("CartPole-v1", policy=make_policy(), **settings)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (
            "Pendulum-v1",
            "the policy to begin with does not fit Pendulum-v1: its observations have 4 float32, not 3 float",
        ),
        ("Acrobot-v1", "its observations have 4 float32, not 6 float32"),
    ],
)
def test_other_spaces_are_refused(env, message):
    with pytest.raises(ValueError, match=message):
        rl.PPO(env, policy=make_policy())
