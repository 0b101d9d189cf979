"""Environments that fail now and then cost their episode; environments that are broken end with their own error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from actorrt.rl.environments.env_failures import (
    FAILURES_LIMIT,
    FIRST_FAILURES_LIMIT,
    PROGRESS_STEPS,
    EnvFailures,
    OnEnvError,
)
from actorrt.rl.environments.seeded_environments import SeededEnvironments
from actorrt.rl.environments.vector_environments import VectorEnvironments
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.numpy_policy import MlpPolicy
from actorrt.rl.rollouts.sampler import Sampler
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.rollouts.transitions import transitions
from actorrt.rl.spaces.array_spaces import Box, Discrete
from tests.unit.rl.counting import CountingEnv

COUNTING = PolicySpec("", Box((1,), (0.0,), (1e6,)), Discrete(2), (8, 8))
GAMMA, LAMBDA = 0.9, 0.7


class Failing(CountingEnv):
    """A counting environment that fails at given steps of all of its kind, which count on after it was made anew.

    Args:
        life: shared by all environments of a test: steps and resets so far, the environments that were made, and
            those that were closed.
        at: the steps that fail.
        how: `"raise"`, or what is wrong with the step's values.
        length, truncates: as for `CountingEnv`.
        resets: the resets that fail.
    """

    def __init__(
        self,
        life: dict[str, int],
        at: Iterable[int] = (),
        how: str = "raise",
        length: int = 100,
        *,
        truncates: bool = False,
        resets: Iterable[int] = (),
    ) -> None:
        super().__init__(length, truncates=truncates)
        self._life, self._at, self._how, self._failing_resets = life, set(at), how, set(resets)
        life["made"] = life.get("made", 0) + 1

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        count = self._life["resets"] = self._life.get("resets", 0) + 1
        obs, info = super().reset(**options)
        if count in self._failing_resets:
            if self._how == "raise":
                raise OSError("no level")
            obs = np.full(1, np.nan, np.float32)
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        count = self._life["steps"] = self._life.get("steps", 0) + 1
        obs, reward, terminated, truncated, info = super().step(action)
        if count in self._at:
            if self._how == "raise":
                raise OSError("the simulator broke")
            if self._how == "nan_reward":
                reward = float("nan")
            elif self._how == "nan_obs":
                obs = np.full(1, np.nan, np.float32)
            elif self._how == "larger_obs":
                obs = np.zeros(2, np.float32)
        return obs, reward, terminated, truncated, info

    def close(self) -> None:
        self._life["closed"] = self._life.get("closed", 0) + 1
        super().close()


HOW = ["raise", "nan_reward", "nan_obs", "larger_obs"]


def make_policy() -> MlpPolicy:
    policy = MlpPolicy(COUNTING)
    policy.init(seed=3)
    return policy


def seeded(make: Callable[[], Any], count: int = 1, **options: Any) -> SeededEnvironments:
    return SeededEnvironments(make, count, lambda k, episode: 100 * k + episode, **options)


def sampler(environments: Any, horizon: int) -> Sampler:
    return Sampler(environments, make_policy(), horizon, np.random.default_rng(0))


def collect(environments: Any, horizon: int) -> Fragment:
    return sampler(environments, horizon).collect()


@pytest.mark.parametrize("how", HOW)
def test_failed_step_is_no_transition_and_the_episode_is_truncated_before_it(how: str) -> None:
    life: dict[str, int] = {}
    fragment = collect(seeded(lambda: Failing(life, {4}, how)), 7)
    assert fragment.obs.ravel().tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert fragment.valid.ravel().tolist() == [True, True, True, False, True, True, True]
    assert fragment.truncated.ravel().tolist() == [False, False, True, False, False, False, False]
    assert not fragment.terminated.any()
    assert fragment.reward[fragment.valid].tolist() == [1, 2, 3, 1, 2, 3]
    assert fragment.final_step.tolist() == [[2, 0]]
    assert fragment.final_obs.tolist() == [[3.0]]
    assert fragment.final_value.tolist() == pytest.approx([fragment.value[3, 0]])
    assert fragment.last_obs.tolist() == [[3.0]]
    assert fragment.episode_return.tolist() == []  # nobody knows the return of the whole episode
    assert (life["made"], life["closed"]) == (2, 1)
    (failure,) = fragment.failures
    assert failure.startswith("environment 0, step 4 of the episode with seed 0: ")


def slow_advantages(value: list[float], reward: list[float], beyond: float) -> list[float]:
    """Return the advantages of steps that lead to a state of value `beyond`, by summing up temporal differences."""
    following = [*value[1:], beyond]
    errors = [r + GAMMA * after - v for r, v, after in zip(reward, value, following, strict=True)]
    return [
        sum((GAMMA * LAMBDA) ** i * error for i, error in enumerate(errors[start:])) for start in range(len(errors))
    ]


@pytest.mark.parametrize("horizon", [1, 2, 3, 4, 7])
def test_targets_bootstrap_from_the_observation_that_was_acted_on_when_the_environment_failed(horizon: int) -> None:
    """Over every place of the failure in its fragment."""
    life: dict[str, int] = {}
    at = sampler(seeded(lambda: Failing(life, {4})), horizon)
    policy = make_policy()
    value = policy.values(np.arange(60, dtype=np.float32)[:, None]).tolist()
    rows: list[tuple[float, float]] = []
    while len(rows) < 3:
        fragment = at.collect()
        if fragment.step_count:
            learnt = transitions((fragment,), gamma=GAMMA, gae_lambda=LAMBDA)
            rows += zip(learnt.obs[:, 0].tolist(), learnt.advantage.tolist(), strict=True)
    expected: list[float] = []
    for start in range(0, 3, horizon):
        end = min(start + horizon, 3)
        expected += slow_advantages(value[start:end], [float(i + 1) for i in range(start, end)], value[end])
    assert [obs for obs, _ in rows[:3]] == [0, 1, 2]
    assert [advantage for _, advantage in rows[:3]] == pytest.approx(expected, rel=1e-4)


def test_other_environments_do_not_notice_a_failure() -> None:
    def fragment(*at: int) -> Fragment:
        lives: list[dict[str, int]] = [{}, {}, {}]
        makers = iter([(lives[0], ()), (lives[1], at), (lives[2], ()), (lives[1], at)])
        return collect(seeded(lambda: Failing(*next(makers), length=5), 3), 9)  # type: ignore[misc]

    good, bad = fragment(), fragment(7)
    assert bad.valid.all(axis=0).tolist() == [True, False, True]
    for name in ("obs", "reward", "terminated", "truncated", "valid"):
        np.testing.assert_array_equal(getattr(bad, name)[:, [0, 2]], getattr(good, name)[:, [0, 2]])


def test_two_failures_in_a_row_of_which_one_is_in_the_first_step_of_a_fragment() -> None:
    life: dict[str, int] = {}
    at = sampler(seeded(lambda: Failing(life, {3, 4})), 3)
    first, second = at.collect(), at.collect()
    assert first.valid.ravel().tolist() == [True, True, False]
    assert first.final_step.tolist() == [[1, 0]]
    assert second.valid.ravel().tolist() == [False, True, True]
    assert len(second.final_step) == 0
    assert [len(each.failures) for each in (first, second)] == [1, 1]


@pytest.mark.parametrize("how", ["raise", "nan_obs"])
def test_reset_that_fails_costs_no_transition(how: str) -> None:
    life: dict[str, int] = {}
    fragment = collect(seeded(lambda: Failing(life, (), how, 3, resets={1, 3})), 7)
    assert fragment.valid.all()
    assert fragment.obs.ravel().tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert fragment.episode_length.tolist() == [3, 3]
    assert [failure.partition(":")[0] for failure in fragment.failures] == [
        "environment 0, step 0 of the episode with seed 0",
        "environment 0, step 0 of the episode with seed 2",
    ]


def test_truncated_episode_whose_last_observation_is_bad_ends_a_step_earlier() -> None:
    life: dict[str, int] = {}
    fragment = collect(seeded(lambda: Failing(life, {3}, "nan_obs", 3, truncates=True)), 5)
    assert fragment.valid.ravel().tolist() == [True, True, False, True, True]
    assert fragment.truncated.ravel().tolist() == [False, True, False, False, False]
    assert fragment.final_obs.tolist() == [[2.0]]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("horizon", [1, 8, 1000])
def test_broken_environment_ends_with_its_error_after_a_few_steps_at_any_horizon(how: str, horizon: int) -> None:
    life: dict[str, int] = {}
    at = sampler(seeded(lambda: Failing(life, range(3, 10_000, 3), how)), horizon)
    with pytest.raises((OSError, ValueError)):  # noqa: PT012  # the fragment in which it raises depends on the horizon
        for _ in range(1000):
            at.collect()
    assert life["steps"] == 3 * FIRST_FAILURES_LIMIT
    assert at.location() == f"environment 0, step 3 of the episode with seed {FIRST_FAILURES_LIMIT - 1}"


@pytest.mark.parametrize("horizon", [8, 1000])
def test_environment_that_worked_before_is_broken_after_more_failures(horizon: int) -> None:
    life: dict[str, int] = {}
    at = sampler(seeded(lambda: Failing(life, range(20, 10_000, 2))), horizon)
    with pytest.raises(OSError, match="the simulator broke"):  # noqa: PT012
        for _ in range(1000):
            at.collect()
    assert life["steps"] == 20 + 2 * (FAILURES_LIMIT - 1)


@pytest.mark.parametrize("horizon", [8, 1000])
def test_failures_with_steps_or_an_episode_between_them_are_not_in_a_row(horizon: int) -> None:
    life: dict[str, int] = {}
    every = PROGRESS_STEPS + 1
    at = sampler(seeded(lambda: Failing(life, range(every, 10**6, every))), horizon)
    count = sum(len(at.collect().failures) for _ in range(2000 // horizon))
    assert count == 2000 // every
    life = {}
    short = sampler(seeded(lambda: Failing(life, range(5, 10**6, 5), length=3)), horizon)
    assert sum(len(short.collect().failures) for _ in range(2000 // horizon)) == 400


def test_first_failure_is_an_error_where_that_is_wanted() -> None:
    life: dict[str, int] = {}
    at = sampler(seeded(lambda: Failing(life, {4}), on_error="fail"), 7)
    with pytest.raises(OSError, match="the simulator broke"):
        at.collect()
    assert at.location() == "environment 0, step 4 of the episode with seed 0"


def test_environment_that_can_not_be_made_anew_at_first_counts_and_is_made_later() -> None:
    life: dict[str, int] = {}
    outcomes = iter([None, OSError("no port"), OSError("no port"), None])

    def make() -> Any:
        if (error := next(outcomes)) is not None:
            raise error
        return Failing(life, {PROGRESS_STEPS + 4})

    fragment = collect(seeded(make), 20)
    assert [failure.rpartition(": ")[2] for failure in fragment.failures] == [
        "the simulator broke",
        "no port",
        "no port",
    ]
    assert fragment.step_count == 19


def test_environment_that_can_never_be_made_anew_ends_with_that_error() -> None:
    made: list[Any] = []

    def make() -> Any:
        if made:
            raise OSError("no port")
        made.append(Failing({}, {PROGRESS_STEPS + 4}))
        return made[0]

    with pytest.raises(OSError, match="no port"):
        collect(seeded(make), 20)


def made_after(failures: list[int], life: dict[str, int], make: Callable[[], Any]) -> Callable[[], Any]:
    """Return a function that makes environments, and fails at these of its calls, counted from 1."""

    def maker() -> Any:
        count = life["asked"] = life.get("asked", 0) + 1
        if count in failures:
            raise OSError("no port")
        return make()

    return maker


def test_environment_that_can_not_be_made_at_first_counts_and_is_made_later() -> None:
    life: dict[str, int] = {}
    environments = seeded(made_after([2, 3, 5], life, lambda: Failing(life)), 3)
    assert environments.take_failures() == (
        "environment 1, which could not be made: OSError: no port",
        "environment 1, which could not be made: OSError: no port",
        "environment 2, which could not be made: OSError: no port",
    )
    assert (life["asked"], life["made"]) == (6, 3)


def test_vector_that_can_not_be_made_at_first_is_made_later() -> None:
    life: dict[str, int] = {}
    make = made_after([1], life, lambda: SyncVectorEnv([lambda: Failing(life)] * 2))
    assert VectorEnvironments(make, 0).count == 2
    assert life["asked"] == 2


@pytest.mark.parametrize(("on_error", "asked"), [("truncate", 1 + FIRST_FAILURES_LIMIT), ("fail", 2)])
def test_environments_made_before_one_that_can_never_be_made_are_closed(on_error: OnEnvError, asked: int) -> None:
    life: dict[str, int] = {}
    with pytest.raises(OSError, match="no port"):
        seeded(made_after(list(range(2, 100)), life, lambda: Failing(life)), 3, on_error=on_error)
    assert (life["asked"], life["made"], life["closed"]) == (asked, 1, 1)


def test_sampler_after_a_failure_resumes_exactly_where_it_was() -> None:
    life: dict[str, int] = {}
    first = sampler(seeded(lambda: Failing(life, {9}), 2), 6)
    first.collect()
    second = sampler(seeded(lambda: Failing({}), 2), 6)
    assert second.resume(first.state())
    one, other = first.collect(), second.collect()
    for name in ("obs", "action", "reward", "valid", "logp", "last_value"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_failure_while_an_episode_is_replayed_begins_the_next_episode() -> None:
    first = sampler(seeded(lambda: Failing({})), 6)
    first.collect()
    life: dict[str, int] = {}
    second = sampler(seeded(lambda: Failing(life, {3})), 6)
    assert not second.resume(first.state())
    fragment = second.collect()
    assert fragment.obs.ravel().tolist() == [0, 1, 2, 3, 4, 5]
    assert len(fragment.failures) == 1


def vector(life: dict[str, int], at: Iterable[int], how: str, mode: AutoresetMode) -> VectorEnvironments:
    def make() -> Any:
        makers = [lambda length=length: Failing(life, at, how, length, truncates=True) for length in (3, 50)]
        return SyncVectorEnv(makers, autoreset_mode=mode)

    return VectorEnvironments(make, 0)


@pytest.mark.parametrize("how", ["raise", "nan_reward", "nan_obs"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_vector_is_made_anew_as_a_whole(mode: AutoresetMode, how: str) -> None:
    life: dict[str, int] = {}
    fragment = collect(vector(life, {4}, how, mode), 5)  # the second environment fails in its second step
    assert fragment.obs[:, 1, 0].tolist() == [0, 1, 0, 1, 2]
    assert fragment.valid.T.tolist() == [[True, False, True, True, True]] * 2
    assert fragment.truncated.T.tolist() == [[True, False, False, False, True], [True, False, False, False, False]]
    assert sorted(zip(map(tuple, fragment.final_step.tolist()), fragment.final_obs.ravel().tolist(), strict=True)) == [
        ((0, 0), 1.0),
        ((0, 1), 1.0),
        ((4, 0), 3.0),
    ]
    assert fragment.episode_length.tolist() == [3]
    assert (life["made"], life["closed"]) == (4, 2)
    assert len(fragment.failures) == 1


def test_vector_that_resets_itself_in_the_step_that_fails_was_not_truncated_before() -> None:
    life: dict[str, int] = {}
    # The first environment ends its episode in the third step, and resets itself in the fourth, in which the other one
    # fails: the seventh step of both, since a reset is none.
    fragment = collect(vector(life, {7}, "raise", AutoresetMode.NEXT_STEP), 6)
    assert fragment.valid.T.tolist() == [[True, True, True, False, True, True]] * 2
    assert sorted(zip(map(tuple, fragment.final_step.tolist()), fragment.final_obs.ravel().tolist(), strict=True)) == [
        ((2, 0), 3.0),
        ((2, 1), 3.0),
    ]


def test_broken_vector_ends_with_its_error() -> None:
    life: dict[str, int] = {}
    with pytest.raises(OSError, match="the simulator broke"):
        collect(vector(life, range(1, 10_000, 3), "raise", AutoresetMode.NEXT_STEP), 1000)
    assert life["made"] == 2 * FIRST_FAILURES_LIMIT


def test_long_texts_of_errors_are_cut() -> None:
    failures = EnvFailures(list)
    failures.replaced(0, Failing({}), ValueError("x" * 10**6), "here", has_progressed=False)
    assert [len(told) < 600 for told in failures.take()] == [True]
    assert failures.take() == ()
