"""Environments stepped together: resets of every kind, observations, replays, and the lifetime of arrays."""

from __future__ import annotations

import dataclasses
import pickle
import tracemalloc
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from actorrt.rl.environments.description import describe, examine
from actorrt.rl.environments.making import id_of, make_environment, name_of, own_environment, with_kwargs
from actorrt.rl.environments.seeded_environments import SeededEnvironments
from actorrt.rl.environments.several import make_environments
from actorrt.rl.environments.vector_environments import VectorEnvironments
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.numpy_policy import MlpPolicy
from actorrt.rl.rollouts.returns import generalised_advantages, next_values
from actorrt.rl.rollouts.sampler import Sampler
from actorrt.rl.spaces.array_spaces import Box, Discrete
from actorrt.rl.spaces.gymnasium_spaces import from_gymnasium
from actorrt.rl.spaces.normaliser import Normaliser
from tests.unit.rl.counting import CountingEnv

COUNTING = PolicySpec("", Box((1,), (0.0,), (1e6,)), Discrete(2), (8, 8))
MODES = list(AutoresetMode)


def make_policy(spec: PolicySpec = COUNTING) -> MlpPolicy:
    policy = MlpPolicy(spec)
    policy.init(seed=3)
    return policy


def vector_of(mode: AutoresetMode, lengths: tuple[int, ...], *, truncates: bool, copy: bool = True) -> Any:
    """Return counting environments of these lengths as a vector; without `copy` it shows one buffer all the time."""
    makers = [lambda length=length: CountingEnv(length, truncates=truncates) for length in lengths]
    return SyncVectorEnv(makers, autoreset_mode=mode, copy=copy)


def collect(environments: Any, horizon: int, policy: MlpPolicy | None = None) -> Any:
    sampler = Sampler(environments, policy or make_policy(), horizon, np.random.default_rng(0))
    fragment = sampler.collect()
    sampler.close()
    return fragment


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_vectors_that_reset_at_once_or_when_told_waste_no_step(mode: AutoresetMode) -> None:
    fragment = collect(VectorEnvironments(lambda: vector_of(mode, (3, 2), truncates=False), seed=0), 5)
    assert fragment.obs[:, 0, 0].tolist() == [0, 1, 2, 0, 1]
    assert fragment.obs[:, 1, 0].tolist() == [0, 1, 0, 1, 0]
    assert fragment.terminated.T.tolist() == [[False, False, True, False, False], [False, True, False, True, False]]
    assert fragment.valid.all()
    assert fragment.last_obs.ravel().tolist() == [2, 1]
    assert sorted(zip(fragment.episode_return.tolist(), fragment.episode_length.tolist(), strict=True)) == [
        (3.0, 2),
        (3.0, 2),
        (6.0, 3),
    ]


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_every_way_to_reset_leads_to_the_same_transitions(mode: AutoresetMode, copy: bool) -> None:
    """Whether a vector shows one buffer again and again or not, and whatever it does after an end."""
    policy = make_policy()
    vector = vector_of(mode, (1, 3, 4), truncates=True, copy=copy)
    found = collect(VectorEnvironments(lambda: vector, seed=0), 20, policy)
    for k, length in enumerate((1, 3, 4)):
        rows = found.valid[:, k]
        expected = collect(
            SeededEnvironments(lambda length=length: CountingEnv(length, truncates=True), 1, lambda k, e: e), 20
        )
        count = int(rows.sum())
        for name in ("obs", "reward", "terminated", "truncated", "value"):
            np.testing.assert_allclose(
                getattr(found, name)[:, k][rows], getattr(expected, name)[:count, 0], rtol=1e-4, atol=1e-6
            )
        finals = found.final_obs[found.final_step[:, 1] == k]
        assert finals.ravel().tolist() == [float(length)] * len(finals)
        assert len(finals) == found.truncated[:, k].sum() > 0
        following = next_values(
            found.value, found.terminated, found.truncated, found.dense_final_value(), found.last_value
        )
        ends = found.truncated[:, k]
        np.testing.assert_allclose(following[ends, k], policy.values(np.full((1, 1), length, np.float32))[0], rtol=1e-4)


def test_vector_that_does_not_say_when_it_resets_is_refused() -> None:
    vector = vector_of(AutoresetMode.NEXT_STEP, (3,), truncates=False)
    vector.metadata = {}
    with pytest.raises(ValueError, match=r"has autoreset mode None, not one of gymnasium.vector.AutoresetMode"):
        VectorEnvironments(lambda: vector, seed=0)
    vector.close()


PARTS = gym.Dict({"place": gym.Box(-9.0, 9.0, (2,), np.float32), "turn": gym.Tuple((gym.Discrete(3, start=1),))})


class PartsEnv(gymnasium.Env[Any, Any]):
    """Shows how many steps the episode has had, and takes actions, in several parts; cut after three steps."""

    def __init__(self) -> None:
        self.observation_space, self.action_space = PARTS, PARTS
        self._count = 0

    def _shown(self) -> Any:
        return {"place": np.full(2, self._count, np.float32), "turn": (1 + self._count % 3,)}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._count = 0
        return self._shown(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        self._count += 1
        return self._shown(), 0.0, False, self._count == 3, {}


@pytest.mark.parametrize("mode", MODES)
def test_vectors_show_and_take_several_parts(mode: AutoresetMode) -> None:
    spec = PolicySpec("", from_gymnasium(PARTS), from_gymnasium(PARTS), (8, 8))
    vector = SyncVectorEnv([PartsEnv, PartsEnv], autoreset_mode=mode)
    fragment = collect(VectorEnvironments(lambda: vector, seed=0), 7, make_policy(spec))
    assert fragment.final_obs.tolist() == [[3.0, 3.0, 1.0, 0.0, 0.0]] * len(fragment.final_step)
    assert len(fragment.final_step) >= 2
    shown = fragment.obs[fragment.valid]
    assert (shown[:, 2:].argmax(axis=1) == shown[:, 0].astype(int) % 3).all()


class OneBufferEnv(CountingEnv):
    """Shows the same array at every step, which it writes over."""

    _shown = None

    def _over(self, obs: Any) -> Any:
        self._shown = obs if self._shown is None else self._shown
        self._shown[:] = obs
        return self._shown

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        obs, info = super().reset(**options)
        return self._over(obs), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        obs, *rest = super().step(action)
        return self._over(obs), *rest


def test_environment_may_overwrite_its_observations() -> None:
    fragment = collect(SeededEnvironments(lambda: OneBufferEnv(3, truncates=True), 1, lambda k, e: e), 7)
    assert fragment.obs.ravel().tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert fragment.final_obs.ravel().tolist() == [3, 3]
    assert fragment.last_obs.ravel().tolist() == [1]


def test_normaliser_counts_the_observations_acted_on_although_the_vector_reuses_its_buffer() -> None:
    policy = make_policy()
    policy.normaliser = Normaliser.nothing(1, observations=True, rewards=False)
    vector = vector_of(AutoresetMode.NEXT_STEP, (9,), truncates=False, copy=False)
    seen = collect(VectorEnvironments(lambda: vector, seed=0), 4, policy).seen
    assert seen.observations.mean.tolist() == [1.5]


class OddRewardEnv(CountingEnv):
    """Returns a reward that single precision would round."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        obs, _, *rest = super().step(action)
        return obs, 2.0**24 + 1.0, *rest


def test_returns_are_sums_of_the_rewards_in_double_precision() -> None:
    fragment = collect(SeededEnvironments(lambda: OddRewardEnv(3, truncates=False), 1, lambda k, e: e), 3)
    assert fragment.episode_return.tolist() == [3 * 2.0**24 + 3.0]
    assert fragment.reward.dtype == np.float32


@pytest.mark.parametrize("truncates", [False, True])
def test_episodes_of_one_step_in_fragments_of_one_step(truncates: bool) -> None:
    policy = make_policy()
    environments = SeededEnvironments(lambda: CountingEnv(1, truncates=truncates), 1, lambda k, e: e)
    sampler = Sampler(environments, policy, 1, np.random.default_rng(0))
    for _ in range(3):
        fragment = sampler.collect()
        assert (fragment.step_count, fragment.episode_return.tolist(), fragment.episode_length.tolist()) == (
            1,
            [1.0],
            [1],
        )
        following = next_values(
            fragment.value, fragment.terminated, fragment.truncated, fragment.dense_final_value(), fragment.last_value
        )
        ended = fragment.terminated | fragment.truncated
        advantage = generalised_advantages(fragment.reward, fragment.value, following, ended, gamma=0.5, gae_lambda=0.9)
        beyond = policy.values(np.ones((1, 1), np.float32))[0] if truncates else 0.0
        assert advantage[0, 0] == pytest.approx(1.0 + 0.5 * beyond - fragment.value[0, 0], rel=1e-4)


class ForgetfulEnv(CountingEnv):
    """Shows its count times a scale of its own, so that another one of its kind is told apart."""

    def __init__(self, length: int, step: float) -> None:
        super().__init__(length, truncates=False)
        self._step = step

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        obs, *rest = super().step(action)
        return self._step * obs, *rest


def test_episodes_that_do_not_replay_are_replaced_and_the_others_continue() -> None:
    def sampler(*kinds: tuple[int, float]) -> Sampler:
        waiting = list(kinds)
        environments = SeededEnvironments(lambda: ForgetfulEnv(*waiting.pop(0)), 3, lambda k, episode: 10 * k + episode)
        return Sampler(environments, make_policy(), 4, np.random.default_rng(0))

    first = sampler((9, 1.0), (9, 1.0), (9, 0.0))
    first.collect()
    second = sampler((9, 1.0), (9, 2.0), (4, 0.0))  # another scale; and an end where there was none
    assert not second.resume(first.state())
    fragments = [second.collect() for _ in range(2)]
    assert fragments[0].obs[0].ravel().tolist() == [4.0, 0.0, 0.0]
    assert [each.episode_length.tolist() for each in fragments] == [[4], [9, 4]]
    assert fragments[1].episode_return.tolist() == [45.0, 10.0]  # what came before the replay counts


class ManyNumbersEnv(CountingEnv):
    """Takes many numbers."""

    def __init__(self, length: int) -> None:
        super().__init__(length, truncates=False)
        self.action_space = gym.Box(-1.0, 1.0, (50,), np.float32)


def test_one_long_episode_keeps_no_actions_of_the_others() -> None:
    lengths = iter([10_000] + [1] * 19)
    environments = SeededEnvironments(lambda: ManyNumbersEnv(next(lengths)), 20, lambda k, episode: episode)
    environments.reset()
    tracemalloc.start()
    for _ in range(500):
        environments.step(np.zeros((20, 50), np.float32))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 5 * 500 * 50 * 4  # all together they were 20 times as large


def test_state_of_a_sampler_stays_as_it_was_told() -> None:
    sampler = Sampler(
        SeededEnvironments(lambda: CountingEnv(9, truncates=False), 1, lambda k, e: e),
        make_policy(),
        2,
        np.random.default_rng(0),
    )
    sampler.collect()
    state = sampler.state()
    sampler.collect()
    assert (state["return"].tolist(), state["length"].tolist()) == ([3.0], [2])


def test_arguments_of_an_environment_reach_it_in_every_form():
    light = with_kwargs("Pendulum-v1", {"g": 1.5})
    environment = make_environment(light)
    assert environment.unwrapped.g == 1.5
    environment.close()
    assert (name_of(light), id_of(light)) == ("Pendulum-v1", "Pendulum-v1")
    spec = describe(light)
    assert (spec.env_id, spec.env_kwargs) == ("Pendulum-v1", {"g": 1.5})
    assert own_environment(spec) == light
    assert own_environment(spec, {"g": 2.5}) == with_kwargs("Pendulum-v1", {"g": 2.5})
    assert pickle.loads(pickle.dumps(light)) == light
    native = make_environments(
        with_kwargs("CartPole-v1", {"max_episode_steps": 3}), 2, lambda k, episode: 0, native=True
    )
    native.reset()
    assert [native.step(np.zeros(2, np.int64)).truncated.tolist() for _ in range(3)][-1] == [True, True]
    native.close()


def test_vector_of_an_id_with_its_module_is_found(tmp_path, monkeypatch):
    (tmp_path / "nearby_environments.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control.cartpole import CartPoleEnv, CartPoleVectorEnv\n"
        "gymnasium.register('Nearby-v0', entry_point=CartPoleEnv, vector_entry_point=CartPoleVectorEnv)\n"
        "gymnasium.register('Alone-v0', entry_point=CartPoleEnv)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.registry))
    native = make_environments("nearby_environments:Nearby-v0", 2, lambda k, episode: 0, native=True)
    assert isinstance(native, VectorEnvironments)
    assert native.reset().shape == (2, 4)
    native.close()
    with pytest.raises(ValueError, match="nearby_environments:Alone-v0 has no vector environment of its own; leave"):
        make_environments("nearby_environments:Alone-v0", 2, lambda k, episode: 0, native=True)


@pytest.mark.parametrize("mode", MODES)
def test_vector_that_a_function_makes_is_stepped_as_it_is(mode):
    def make():
        return vector_of(mode, (3, 4), truncates=False)

    assert examine(make).vector_count == 2
    assert examine(lambda: CountingEnv(3, truncates=False)).vector_count is None
    fragment = collect(make_environments(make, 2, lambda k, episode: 7, native=True), 8)
    expected = collect(VectorEnvironments(make, 7), 8)
    for name in ("obs", "reward", "terminated", "valid"):
        assert (getattr(fragment, name) == getattr(expected, name)).all()
    with pytest.raises(ValueError, match="make makes 2 environments, and 3 are stepped together here"):
        make_environments(make, 3, lambda k, episode: 7, native=True)


def test_function_that_makes_one_environment_is_no_vector():
    with pytest.raises(ValueError, match="dict_of has no vector environment of its own; leave out native=True"):
        make_environments(dict_of, 2, lambda k, episode: 7, native=True)


def dict_of():
    return CountingEnv(3, truncates=False)


def test_no_arguments_are_a_plain_id():
    assert with_kwargs("CartPole-v1", None) == with_kwargs("CartPole-v1", {}) == "CartPole-v1"
    assert describe("CartPole-v1").env_kwargs == {}


@pytest.mark.parametrize(
    ("env", "kwargs", "error", "message"),
    [
        (
            dict,
            {"g": 1},
            ValueError,
            "env_kwargs are for a Gymnasium id, and env is dict, a function: let it pass them",
        ),
        (
            "CartPole-v1",
            {"g": object()},
            TypeError,
            "env_kwargs is a dictionary of plain values, since checkpoints keep",
        ),
        ("CartPole-v1", {1: 2}, TypeError, "env_kwargs is a dictionary of plain values"),
        ("CartPole-v1", 7, TypeError, "env_kwargs is a dictionary of plain values.*env_kwargs=7"),
    ],
)
def test_arguments_that_cannot_be_kept_are_refused(env, kwargs, error, message):
    with pytest.raises(error, match=message):
        with_kwargs(env, kwargs)


def test_policy_without_an_id_has_no_environment_of_its_own():
    with pytest.raises(ValueError, match="the policy was trained in an environment without an id"):
        own_environment(dataclasses.replace(describe("CartPole-v1"), env_id=""))
