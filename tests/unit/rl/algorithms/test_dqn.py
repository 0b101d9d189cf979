"""DQN: targets by hand, gradients by finite differences, exploration, values that are known, and exact states."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from actorrt import rl
from actorrt.rl.algorithms.dqn import DQNSettings, DQNUpdate
from actorrt.rl.networks.action_values import action_values, back_to_heads
from actorrt.rl.networks.network import make_network
from actorrt.rl.networks.optimiser import to_array
from actorrt.rl.networks.policy_spec import Heads, PolicySpec
from actorrt.rl.policies.factory import load_policy, make_policy
from actorrt.rl.replay.service import Sample
from actorrt.rl.spaces.array_spaces import Box, Discrete
from actorrt.rl.spaces.spaces import Masked
from tests.unit.rl.replay.fragments import make_fragment

HEADS = ("q", "dueling")


def spec_of(heads: Heads = "q", *, masked: bool = False, **more: Any) -> PolicySpec:
    box = Box((3,), (-math.inf,) * 3, (math.inf,) * 3)
    observation = Masked(box, 4) if masked else box
    return PolicySpec("", observation, Discrete(4), (8, 8), heads=heads, activation="relu", orthogonal=False, **more)


def rows_of(spec: PolicySpec, count: int, rng: np.random.Generator) -> np.ndarray:
    rows = rng.standard_normal((count, spec.rows.width)).astype(np.float32)
    if spec.mask_count:
        rows[:, -4:] = rng.random((count, 4)) < 0.6
        rows[:, -1] = 1.0
    return rows


def sample_of(spec: PolicySpec, count: int, rng: np.random.Generator) -> Sample:
    whole, numbers = np.arange(count), np.full(count, 1.0 / count)
    obs = rows_of(spec, count, rng)
    action = rng.integers(4, size=count) if not spec.mask_count else np.full(count, 3)
    columns = {
        "obs": obs,
        "action": action,
        "reward": 3.0 * rng.standard_normal(count).astype(np.float32),
        "discount": np.where(rng.random(count) < 0.3, 0.0, 0.9).astype(np.float32),
        "next_obs": rows_of(spec, count, rng),
    }
    return Sample(columns, whole, numbers, numbers, whole, np.full(count, count))


def values_by(spec: PolicySpec, parameters: np.ndarray, obs: np.ndarray) -> np.ndarray:
    """The values of actions by a plain loop over rows, in float64."""
    layers = {name: layer.astype(float) for name, layer in make_policy(spec, parameters)._layers.items()}
    values = np.full((len(obs), 4), -math.inf)
    for number, row in enumerate(obs.astype(float)):
        hidden = row[:3]
        for name in ("hidden_1", "hidden_2"):
            hidden = np.maximum(hidden @ layers[name][0] + layers[f"{name}_bias"][0, 0], 0.0)
        advantages = hidden @ layers["action"] + layers["action_bias"]
        allowed = row[3:] > 0.5 if spec.mask_count else np.ones(4, bool)
        if spec.heads == "dueling":
            value = float(hidden @ layers["value"][:, 0] + layers["value_bias"][0])
            advantages = value + advantages - advantages[allowed].mean()
        values[number, allowed] = advantages[allowed]
    return values


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("heads", HEADS)
def test_errors_and_gradients_are_those_of_a_plain_loop(heads: Heads, double: bool, masked: bool, backend: Any) -> None:
    if backend == "torch":
        pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    spec = spec_of(heads, masked=masked)
    parameters, target = (make_policy(spec).init(seed) for seed in (0, 1))
    parameters, target = 3.0 * parameters, 3.0 * target
    settings = DQNSettings(double=double, dueling=heads == "dueling", hidden=(8, 8), backend=backend)
    rule = DQNUpdate(settings, spec, parameters, seed=0)
    rule._target.set_parameters(target)
    sample, weights = sample_of(spec, 6, rng), rng.random(6).astype(np.float32)
    columns, places = sample.columns, np.arange(6)
    rule.step = lambda learning_rate: 0.0  # type: ignore[method-assign]  # the gradient is looked at
    error, metrics = rule.update(sample, weights, 1e-3)

    estimated = values_by(spec, target, columns["next_obs"])
    chosen = (values_by(spec, parameters, columns["next_obs"]) if double else estimated).argmax(axis=1)
    wanted = columns["reward"] + columns["discount"] * estimated[places, chosen]

    def loss(flat: np.ndarray) -> float:
        error = values_by(spec, flat, columns["obs"])[places, columns["action"]] - wanted
        huber = np.where(np.abs(error) <= 1.0, 0.5 * error**2, np.abs(error) - 0.5)
        return float((weights * huber).mean())

    expected = values_by(spec, parameters, columns["obs"])[places, columns["action"]] - wanted
    np.testing.assert_allclose(error, expected, rtol=1e-4, atol=1e-4)
    assert metrics["value_loss"] == pytest.approx(loss(parameters), rel=1e-4)
    gradient = to_array(rule.network.gradient)
    for index in rng.permutation(len(parameters) - 1)[:40]:
        step = np.zeros(len(parameters))
        step[index] = 1e-5
        numeric = (loss(parameters + step) - loss(parameters - step)) / 2e-5
        assert gradient[index] == pytest.approx(numeric, abs=2e-3)
    assert gradient[-1] == 0.0  # epsilon is not learnt


def test_a_policy_explores_with_the_probability_in_its_parameters() -> None:
    spec, rng = spec_of(masked=True), np.random.default_rng(0)
    policy = make_policy(spec)
    parameters = policy.init(0)
    parameters[-1] = 0.4
    policy.set_parameters(parameters, 1)
    rows = np.repeat(np.array([[0.3, -1.0, 2.0, 1.0, 0.0, 1.0, 1.0]], np.float32), 30_000, axis=0)
    action, logp, value = policy.act(rows, rng)
    best = int(policy.best_actions(rows[:1])[0])
    shares = np.bincount(action, minlength=4) / len(action)
    expected = np.array([0.4 / 3, 0.0, 0.4 / 3, 0.4 / 3])
    expected[best] += 0.6
    np.testing.assert_allclose(shares, expected, atol=0.01)
    np.testing.assert_allclose(np.exp(logp), expected[action], rtol=1e-5)
    np.testing.assert_allclose(value, policy.values(rows))


@pytest.mark.parametrize("heads", HEADS)
def test_a_policy_is_the_same_after_it_was_saved_and_on_torch(heads: Heads, tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    policy = make_policy(spec_of(heads))
    policy.set_parameters(policy.init(3) * 2.0, 7)
    policy.save(tmp_path / "a.policy")
    loaded = load_policy(tmp_path / "a.policy")
    rows = rows_of(policy.spec, 20, rng)
    assert (loaded.spec.heads, loaded.version) == (heads, 7)
    np.testing.assert_array_equal(loaded.best_actions(rows), policy.best_actions(rows))
    pytest.importorskip("torch")
    networks = [make_network(policy.spec, policy.parameters, backend) for backend in ("numpy", "torch")]
    values = [action_values(policy.spec, *network.forward(rows, learns=False)) for network in networks]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(values[0].argmax(axis=1), policy.best_actions(rows))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("heads", HEADS)
def test_gradients_of_heads_are_those_of_values(heads: Heads, masked: bool) -> None:
    spec, rng = spec_of(heads, masked=masked), np.random.default_rng(0)
    outputs, value = rng.standard_normal((5, 4)), rng.standard_normal(5)
    if masked:
        outputs[:, 1] = -1e9
    d_values = rng.standard_normal((5, 4)) * (outputs > -1e8)
    d_outputs, d_value = back_to_heads(spec, outputs, d_values)

    def total(outputs: np.ndarray, value: np.ndarray) -> float:
        return float((action_values(spec, outputs, value) * d_values)[outputs > -1e8].sum())

    for place in [(0, 0), (2, 3), (4, 2)]:
        step = np.zeros((5, 4))
        step[place] = 1e-5
        slope = (total(outputs + step, value) - total(outputs - step, value)) / 2e-5
        assert d_outputs[place] == pytest.approx(slope, abs=1e-6)
    step = np.eye(5)[1] * 1e-5
    assert d_value[1] == pytest.approx((total(outputs, value + step) - total(outputs, value - step)) / 2e-5, abs=1e-6)


def chain_fragments(gamma: float, count: int) -> tuple[Any, ...]:
    """Fragments of a chain of five states: action 1 goes right, action 0 left, and the right end pays 1 and ends it."""
    rng, fragments = np.random.default_rng(0), []
    state = 0
    for _ in range(count):
        obs, action, reward, terminated = [], [], [], []
        for _ in range(20):
            obs.append(np.eye(5)[state])
            action.append(int(rng.integers(2)))
            state = max(0, state - 1) if action[-1] == 0 else state + 1
            terminated.append(state == 5)
            reward.append(float(state == 5))
            state = 0 if state == 5 else state
        fragments.append(
            make_fragment(
                obs=np.array(obs, np.float32)[:, None],
                action=np.array(action)[:, None],
                last_obs=np.eye(5, dtype=np.float32)[[state]],
                reward=np.array(reward, np.float32)[:, None],
                terminated=np.array(terminated)[:, None],
            )
        )
    return tuple(fragments)


@pytest.mark.parametrize("more", [{}, {"dueling": True, "prioritised": True, "n_step": 3}, {"double": False}])
def test_in_a_chain_the_value_of_going_right_is_gamma_to_the_distance(more: dict[str, Any]) -> None:
    gamma = 0.8
    settings = DQNSettings(
        **{"gamma": gamma, "learning_rate": 3e-3, "hidden": (32,), "updates_per_step": 2.0, "target_every": 40, **more}
    )
    spec = dataclasses.replace(
        PolicySpec("", Box((5,), (0.0,) * 5, (1.0,) * 5), Discrete(2), (32,), "relu", orthogonal=False),
        heads=settings.heads,
    )
    rule = DQNUpdate(settings, spec, make_policy(spec).init(0), seed=0)
    for number, fragment in enumerate(chain_fragments(gamma, 100)):
        rule((fragment,), 1.0 - number / 100)
    values = action_values(spec, *rule.network.forward(np.eye(5, dtype=np.float32)))
    expected = gamma ** np.arange(4, -1, -1)
    if settings.n_step == 1:
        np.testing.assert_allclose(values[:, 1], expected, atol=0.05)
    assert (values.argmax(axis=1) == 1).all()


def test_metrics_have_the_same_names_before_the_first_update() -> None:
    spec = spec_of()
    settings = DQNSettings(hidden=(8, 8), learning_starts=50, minibatch_size=8)
    rule = DQNUpdate(settings, spec, make_policy(spec).init(0), seed=0)
    rng = np.random.default_rng(0)

    def fragment() -> Any:
        return make_fragment(
            obs=rng.standard_normal((20, 2, 3)).astype(np.float32),
            action=rng.integers(4, size=(20, 2)),
            last_obs=rng.standard_normal((2, 3)).astype(np.float32),
            reward=np.ones((20, 2), np.float32),
            terminated=np.zeros((20, 2), bool),
        )

    first, second = rule((fragment(),), 1.0), rule((fragment(),), 0.5)
    assert first.keys() == second.keys()
    assert math.isnan(first["value_loss"])
    assert (first["updates"], second["updates"]) == (0, 10)
    assert second["replay_size"] == 80
    assert (first["epsilon"], second["epsilon"]) == (1.0, pytest.approx(0.05))
    assert rule.parameters()[-1] == np.float32(0.05)


@pytest.mark.parametrize("more", [{}, {"prioritised": True, "dueling": True, "target_share": 0.3}])
def test_a_rule_that_resumes_a_state_equals_the_one_that_goes_on(more: dict[str, Any]) -> None:
    settings = DQNSettings(hidden=(8, 8), minibatch_size=8, learning_starts=20, target_every=30, **more)
    spec, rng = spec_of(settings.heads), np.random.default_rng(0)
    start = make_policy(spec).init(0)

    def fragment() -> Any:
        return make_fragment(
            obs=rng.standard_normal((10, 2, 3)).astype(np.float32),
            action=rng.integers(4, size=(10, 2)),
            last_obs=rng.standard_normal((2, 3)).astype(np.float32),
            reward=rng.standard_normal((10, 2)).astype(np.float32),
            terminated=rng.random((10, 2)) < 0.1,
        )

    one = DQNUpdate(settings, spec, start, seed=0)
    for _ in range(5):
        one((fragment(),), 0.5)
    other = DQNUpdate(settings, spec, one.parameters(), seed=9)
    other.resume(one.state())
    for _ in range(5):
        batch = (fragment(),)
        assert one(batch, 0.4) == other(batch, 0.4)
        np.testing.assert_array_equal(one.parameters(), other.parameters())
    restarted = DQNUpdate(settings, spec, one.parameters(), seed=9)
    restarted.resume(one.snapshot())  # what a killed learner continues from: without its transitions
    assert restarted((fragment(),), 0.4)["replay_size"] == 20


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"learning_starts": 2_000, "replay_size": 1_000}, "the first update would never be made"),
        ({"target_share": 0.0}, "never learns"),
        ({"learners": 2}, "one learner, which has the replay table"),
        ({"normalise_observations": True}, "keeps transitions as they were"),
        ({"n_step": 0}, "n_step"),
        ({"updates_per_step": 0.0}, "updates_per_step"),
        ({"exploration_share": 1.5}, "exploration_share"),
        ({"replay_size": 10**13}, "this machine has"),
        ({"n_step": 33}, "within fragments of horizon=32"),
        ({"hidden": ()}, "takes hidden layers"),
        ({"buffer_size": 3}, "it is called replay_size here"),
        ({"exploration_final_eps": 0.1}, "it is called epsilon_end here"),
    ],
)
def test_settings_that_can_not_work_are_refused_before_training_starts(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        rl.DQN("CartPole-v1", **{"horizon": 32, **settings})


def test_continuous_actions_are_refused_before_training_starts() -> None:
    with pytest.raises(ValueError, match="values are estimated for each of a number of actions, and these are Box"):
        rl.DQN("Pendulum-v1")
