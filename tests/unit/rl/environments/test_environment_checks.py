"""Errors for environments that differ from Gymnasium's API, when they are made and when they are stepped."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Discrete

from actorrt import rl
from actorrt.rl.environments import environment_checks
from actorrt.rl.environments.making import make_environment, newest_version
from actorrt.rl.foundation.extras import MissingPackageError


class Plain:
    """Has what an environment has, and says what it is told to say."""

    observation_space = action_space = Discrete(2)

    def __init__(self, said=None):
        self.said = said

    def reset(self, *, seed):
        return self.said

    def step(self, action):
        return self.said

    def __repr__(self):
        return "<plain>"


def test_step_and_reset_leave_out_the_info():
    assert environment_checks.step(Plain((1, 0.5, False, True, {})), 0) == (1, 0.5, False, True)
    assert environment_checks.reset(Plain((1, {})), 0) == 1


@pytest.mark.parametrize(
    ("said", "what"), [((1, 0.5, True, {}), "4 values"), (None, "one of type NoneType"), ((), "0 values")]
)
def test_error_for_a_step_of_old_gym_names_gymnasiums_five_values(said, what):
    with pytest.raises(
        ValueError, match=rf"step\(\) of <plain> returned {what}; in Gymnasium it is five: observation, "
    ):
        environment_checks.step(Plain(said), 0)


def test_masked_environment_of_the_old_gym_is_told_too():
    class Old(gymnasium.Env):
        observation_space = action_space = Discrete(2)

        def step(self, action):
            return 0, 1.0, True, {}

    with pytest.raises(ValueError, match=r"step\(\) of .* returned 4 values; in Gymnasium it is five"):
        rl.MaskedByInfo(Old)().step(0)


@pytest.mark.parametrize(("said", "what"), [(7, "one of type int"), ((1, 2, 3), "3 values")])
def test_error_for_a_reset_without_info_names_gymnasiums_two_values(said, what):
    with pytest.raises(
        ValueError, match=rf"reset\(\) of <plain> returned {what}; in Gymnasium it is two: observation, "
    ):
        environment_checks.reset(Plain(said), 0)


def test_environment_that_was_made_already_is_refused_by_its_id():
    with gymnasium.make("CartPole-v1") as environment, pytest.raises(TypeError) as refused:
        rl.PPO(environment)
    assert "env is an environment that was made already" in str(refused.value)
    assert str(refused.value).endswith("each simulator makes environments of its own (here 'CartPole-v1')")


@pytest.mark.parametrize("env", [None, {"id": "CartPole-v1"}, 7])
def test_argument_that_makes_no_environment_is_refused(env):
    with pytest.raises(TypeError, match=r"env=.* makes no environment: give its Gymnasium id, or"):
        rl.PPO(env)


def test_function_that_makes_something_else_is_refused():
    with pytest.raises(TypeError, match=r"dict\(\) made {}, which is no environment: it has no reset, no step, no obs"):
        rl.PPO(dict)


def test_function_that_makes_a_vector_is_refused_where_single_environments_are_played():
    def two():
        return gymnasium.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")

    with pytest.raises(
        TypeError, match=r"two\(\) made .*, a vector of environments: give a function that makes a single one"
    ):
        make_environment(two)


def test_id_whose_module_can_not_be_imported_says_so():
    why = r"there is no environment 'nothere:Foo-v0'; module 'nothere' can't be imported \(No module named 'nothere'\)"
    with pytest.raises(ValueError, match=why):
        rl.PPO("nothere:Foo-v0")


def test_without_gymnasium_it_is_said_how_it_is_installed(monkeypatch):
    monkeypatch.setattr("actorrt.rl.foundation.extras.is_installed", lambda package: package != "gymnasium")
    with pytest.raises(
        MissingPackageError, match=r'gymnasium is needed and not installed: pip install "actorrt\[rl\]"'
    ):
        rl.PPO("CartPole-v1")


@pytest.mark.parametrize(
    ("env_id", "why"),
    [
        ("ALE/Pong-v5", "ale-py has Atari's games: pip install ale-py, and give 'ale_py:ALE/Pong-v5', which imports"),
        ("PongNoFrameskip-v4", "ale-py has Atari's games: .* 'ale_py:PongNoFrameskip-v4', which imports it"),
        ("nowhere/Maze-v0", "nothing that was imported has names of nowhere/: .*, as in 'module:nowhere/Maze-v0'"),
    ],
)
def test_id_of_a_package_that_is_not_imported_leads_to_it(env_id, why, monkeypatch):
    kept = {name: spec for name, spec in gymnasium.registry.items() if "Pong" not in name and "ALE/" not in name}
    monkeypatch.setattr(gymnasium, "registry", kept)
    with pytest.raises(ValueError, match=f"there is no environment '{env_id}'; {why}"):
        rl.PPO(env_id)


@pytest.mark.parametrize(
    ("reward", "shown"),
    [("1.0", "'1.0' of type str"), (np.ones(2), r"array\(.*\) of type ndarray"), (None, "None of type NoneType")],
)
def test_reward_that_is_no_number_is_refused_by_name(reward, shown):
    with pytest.raises(ValueError, match=rf"^step\(\) of <plain> returned the reward {shown}: return one number$"):
        environment_checks.step(Plain((0, reward, False, False, {})), 0)


@pytest.mark.parametrize("reward", [1, True, 0.5, np.float32(0.5), np.int64(2), 1e300])
def test_any_finite_number_is_a_reward(reward):
    assert environment_checks.step(Plain((0, reward, False, False, {})), 0)[1] == reward


@pytest.mark.parametrize("env_id", ["CartPole", "gymnasium:CartPole"])
def test_id_without_a_version_means_the_newest_one(env_id):
    assert newest_version(env_id) == f"{env_id}-v1"
    assert newest_version("CartPole-v0") == "CartPole-v0"
    assert newest_version("Nowhere") == "Nowhere"


def test_run_on_an_id_without_a_version_has_the_preset_of_the_version_that_is_made(caplog):
    algorithm = rl.ARS("CartPole")
    assert algorithm.environment == algorithm.policy.env_id == "CartPole-v1"
    assert algorithm.settings == rl.ARS("CartPole-v1").settings
    text = "'CartPole' names no version: the run is on CartPole-v1, the newest one, with its preset"
    assert caplog.messages == [text]
