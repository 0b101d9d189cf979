"""The description of a run: the source of each setting, and the task of each role."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces as gym

from actorrt import rl
from actorrt.rl.spaces.fit import in_words
from actorrt.rl.spaces.gymnasium_spaces import from_gymnasium


def line(text, name):
    found = next(row for row in text.splitlines() if row.strip().startswith(f"{name} "))
    return " ".join(found.split())


def test_settings_say_where_they_come_from():
    text = rl.PPO("CartPole-v1", horizon=64, seed=3).explain()
    assert repr(text) == str(text)
    assert line(text, "horizon") == "horizon 64 yours"
    assert line(text, "epochs") == "epochs 20 preset"
    assert line(text, "value_coefficient") == "value_coefficient 0.5"
    shape = "network mlp, hidden layers of 64 and 64 units; 9,155 parameters"
    assert line(text, "network") == f"{shape}; acts on NumPy, learns on NumPy"


def test_repr_of_an_algorithm_has_environment_simulators_and_seed():
    assert repr(rl.PPO("CartPole-v1", simulators=1, seed=3)) == "<PPO on CartPole-v1: 1 simulator, seed 3>"


@pytest.mark.parametrize(
    ("make", "end"),
    [
        (lambda: rl.PPO("CartPole-v1", backend="torch"), "acts on NumPy, learns on torch"),
        (lambda: rl.IMPALA("CartPole-v1", hidden=(1024, 1024)), "acts on NumPy, learns on torch"),
        (lambda: rl.A3C("CartPole-v1", hidden=(512, 512)), "acts on NumPy, learns on NumPy"),
        (lambda: rl.ES("CartPole-v1"), "parameters; acts on NumPy"),
    ],
)
def test_explanation_names_the_backends_that_act_and_learn(make, end):
    assert line(make().explain(), "network").endswith(end)


@pytest.mark.parametrize(
    ("kind", "more", "name", "expected"),
    [
        (rl.PPO, {}, "batches", "at least 256 steps, a fragment of each simulator in turn, "
         "with the newest policy: one seed, one run"),
        (rl.IMPALA, {}, "batches", "at least 256 steps, fragments as they arrive, at most 8 versions behind"),
        (rl.PPO, {"simulators": 1}, "1 simulator",
         "a process and a CPU each; 8 environments each, fragments of 32 x 8 = 256 steps"),
        (rl.A3C, {}, "learner", "none: simulators compute gradients, the parameter server applies them as they arrive"),
        (rl.ES, {}, "2 simulators", "a process and a CPU each; whole episodes, directions as work items"),
        (rl.APPO, {}, "learner", "a process of its own; a CPU"),
        (rl.PPO, {"evaluation_episodes": 5}, "evaluator", "a process of its own; 5 episodes every 2,000 steps"),
        (rl.ARS, {"evaluate_every": None}, "evaluator", "none: the newest policy counts as the best one"),
        (rl.PPO, {"evaluation_env": "CartPole-v1", "evaluation_steps": 4_000, "evaluation_deterministic": False},
         "evaluator", "a process of its own; 20 episodes every 2,000 steps, on CartPole-v1, at most 4,000 steps each "
         "time, with sampled actions"),
    ],
)  # fmt: skip
def test_explanation_describes_each_role(kind, more, name, expected):
    assert line(kind("CartPole-v1", **more).explain(), name) == f"{name} {expected}"


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (gym.MultiDiscrete([2, 3]), "one of each of 2, 3"),
        (gym.Dict({"a": gym.MultiBinary(3), "b": gym.Discrete(2)}), "a: 3 bits; b: one of 2"),
        (gym.Tuple([gym.Box(0, 255, (8, 8, 1), "uint8")]), "8x8x1 uint8"),
    ],
)
def test_spaces_in_few_words(space, text):
    assert in_words(from_gymnasium(space)) == text


class CameraEnv(gymnasium.Env):
    """Shows an image beside other parts."""

    observation_space = gym.Dict(
        {
            "camera": gym.Box(0, 255, (16, 16, 3), np.uint8),
            "speed": gym.Box(-1.0, 1.0, (2,)),
            "inside": gym.Tuple((gym.Box(0, 255, (12, 12, 1), np.uint8), gym.Discrete(3))),
        }
    )
    action_space = gym.Discrete(2)


class TinyEnv(CameraEnv):
    """Shows a board that is too small for convolutions."""

    observation_space = gym.Dict({"board": gym.Box(0, 1, (3, 3, 2), np.uint8), "turn": gym.Discrete(2)})


def test_explanation_names_the_images_that_pass_convolutions():
    pytest.importorskip("torch")
    text = line(rl.PPO(CameraEnv, hidden=(8,)).explain(), "network")
    kind = "cnn with convolutions of camera and inside.0, beside inside.1 and speed, hidden layers of 8 units"
    assert text.startswith(f"network {kind}; ")
    assert text.endswith("acts on torch, learns on torch")


def test_boards_that_are_too_small_for_convolutions_are_features_of_an_mlp():
    assert line(rl.PPO(TinyEnv, hidden=(8,)).explain(), "network").startswith("network mlp, hidden layers of 8 units;")


class PixelsEnv(CameraEnv):
    """Shows an image and nothing else."""

    observation_space = gym.Box(0, 255, (16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    ("env", "more", "expected", "columns"),
    [
        (CameraEnv, {}, "observations without images", 5),
        (PixelsEnv, {}, "nothing", None),
        (PixelsEnv, {"network": "mlp"}, "observations", 768),
        (TinyEnv, {}, "observations", 20),
    ],
)
def test_images_for_convolutions_are_not_normalised_and_all_else_is(env, more, expected, columns):
    pytest.importorskip("torch")
    algorithm = rl.PPO(env, hidden=(8,), normalise_observations=True, **more)
    assert line(algorithm.explain(), "normalises") == f"normalises {expected}"
    normaliser = algorithm._plan(8).weights.normaliser
    assert columns == (None if normaliser is None else len(normaliser.observations.mean))
