"""N-step rows against a slow loop over whole episodes, and against returns that are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorrt.rl.replay.n_step import n_step_rows
from actorrt.rl.rollouts.trajectory import Fragment
from tests.unit.rl.replay.fragments import make_fragment


class Step(NamedTuple):
    """One step of one environment as it happened; observations are numbers that occur once."""

    obs: int
    reward: float
    next_obs: int
    terminated: bool
    truncated: bool
    valid: bool


def random_steps(rng: np.random.Generator, horizon: int, ends: float) -> list[Step]:
    """Play one environment: episodes that terminate or are truncated, with an autoreset step after some of them."""
    steps: list[Step] = []
    names = iter(range(1, 10_000))
    obs, resets = next(names), bool(rng.random() < 0.5)
    is_over = False
    while len(steps) < horizon:
        if is_over and resets:
            following = next(names)
            steps.append(Step(obs, 0.0, following, False, False, False))
            obs, is_over = following, False
            continue
        if is_over:
            obs, is_over = next(names), False
        terminated = bool(rng.random() < ends)
        truncated = bool(rng.random() < ends)
        following = next(names)
        steps.append(Step(obs, float(rng.standard_normal()), following, terminated, truncated, True))
        obs, is_over = following, terminated or truncated
    return steps


def fragment_of(columns: list[list[Step]]) -> Fragment:
    """Record the steps as a simulator does: a truncated step's next observation is apart, and the rest follows."""
    horizon, count = len(columns[0]), len(columns)
    grid = {name: np.array([[getattr(c[t], name) for c in columns] for t in range(horizon)]) for name in Step._fields}
    final = [
        (t, k) for t in range(horizon) for k in range(count) if columns[k][t].truncated and not columns[k][t].terminated
    ]
    return make_fragment(
        obs=grid["obs"][..., None].astype(np.float32),
        action=grid["obs"].astype(np.int64),
        reward=grid["reward"].astype(np.float32),
        terminated=grid["terminated"],
        truncated=grid["truncated"],
        valid=grid["valid"],
        last_obs=np.array([[c[-1].next_obs if _goes_on(c[-1]) else -7] for c in columns], np.float32),
        final_step=np.array(final, np.int64).reshape(-1, 2),
        final_obs=np.array([[columns[k][t].next_obs] for t, k in final], np.float32).reshape(-1, 1),
    )


def _goes_on(step: Step) -> bool:
    return not (step.terminated or step.truncated)


def slow_rows(columns: list[list[Step]], n_step: int, gamma: float) -> list[tuple[int, int, float, float, int | None]]:
    """Return (obs, action, reward, discount, next_obs) of each start, as the definition reads."""
    rows: list[tuple[int, int, float, float, int | None]] = []
    for t in range(len(columns[0])):
        for column in columns:
            if not column[t].valid:
                continue
            total, discount, next_obs = 0.0, 1.0, None
            for step in column[t : t + n_step]:
                total += discount * step.reward
                discount *= gamma
                next_obs = step.next_obs
                if step.terminated:
                    discount, next_obs = 0.0, None
                    break
                if step.truncated:
                    break
            rows.append((column[t].obs, column[t].obs, total, discount, next_obs))
    return rows


@given(
    seed=st.integers(0, 10_000),
    horizon=st.integers(1, 12),
    count=st.integers(1, 3),
    n_step=st.integers(1, 6),
    gamma=st.sampled_from([0.0, 0.5, 0.99, 1.0]),
    ends=st.sampled_from([0.0, 0.1, 0.4]),
)
def test_rows_equal_a_slow_loop_over_whole_episodes(
    seed: int, horizon: int, count: int, n_step: int, gamma: float, ends: float
) -> None:
    rng = np.random.default_rng(seed)
    columns = [random_steps(rng, horizon, ends) for _ in range(count)]
    rows = n_step_rows(fragment_of(columns), n_step=n_step, gamma=gamma)
    expected = slow_rows(columns, n_step, gamma)
    assert rows.obs[:, 0].tolist() == [row[0] for row in expected]
    assert rows.action.tolist() == [row[1] for row in expected]
    np.testing.assert_allclose(rows.reward, [row[2] for row in expected], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(rows.discount, [row[3] for row in expected], rtol=1e-6)
    for next_obs, row in zip(rows.next_obs[:, 0].tolist(), expected, strict=True):
        assert row[4] is None or next_obs == row[4]


@pytest.mark.parametrize("n_step", [1, 3, 10])
@pytest.mark.parametrize("limit", [None, 10])
def test_a_reward_of_one_for_ever_is_worth_fifty_also_if_a_time_limit_cuts_it(n_step: int, limit: int | None) -> None:
    """With gamma 0.98, the value of reward 1 for ever is 50. A cut that counts as an end leads to about 9."""
    gamma, value = 0.98, {}
    steps = [Step(t, 1.0, t + 1, False, limit is not None and t % limit == limit - 1, True) for t in range(40)]
    rows = n_step_rows(fragment_of([steps]), n_step=n_step, gamma=gamma)
    value = dict.fromkeys(range(-10, 100), 0.0)
    for _ in range(1_000):
        targets = rows.reward + rows.discount * [value[int(obs)] for obs in rows.next_obs[:, 0]]
        value = dict.fromkeys(value, float(targets.mean()))
    assert value[0] == pytest.approx(50.0, rel=1e-3)


def test_a_short_tail_is_discounted_by_its_own_length() -> None:
    steps = [Step(t, 1.0, t + 1, False, False, True) for t in range(4)]
    rows = n_step_rows(fragment_of([steps]), n_step=3, gamma=0.5)
    assert rows.reward.tolist() == [1.75, 1.75, 1.5, 1.0]
    assert rows.discount.tolist() == [0.125, 0.125, 0.25, 0.5]
    assert rows.next_obs[:, 0].tolist() == [3.0, 4.0, 4.0, 4.0]
