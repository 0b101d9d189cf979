"""Evaluation plays whole episodes, once each, on seeds of its own."""

from __future__ import annotations

import logging
import pickle
import re

import gymnasium
import numpy as np
import pytest

from actorrt.rl.environments.description import describe
from actorrt.rl.environments.env_failures import FIRST_FAILURES_LIMIT, PROGRESS_STEPS, REPLAYS_LIMIT, UnplayableError
from actorrt.rl.environments.making import with_kwargs
from actorrt.rl.environments.seeds import EVALUATION_KEY, episode_seed
from actorrt.rl.policies.numpy_policy import LinearPolicy, MlpPolicy
from actorrt.rl.rollouts.evaluation import Player, evaluate
from tests.unit.rl.counting import CountingEnv


def make_policy():
    policy = MlpPolicy(describe("CartPole-v1"))
    flat = policy.init(seed=1)
    flat[:] += 0.3 * np.random.default_rng(0).standard_normal(flat.shape).astype(np.float32)
    return policy


def slow_return(policy, seed):
    environment = gymnasium.make("CartPole-v1")
    obs, _ = environment.reset(seed=seed)
    total, is_over = 0.0, False
    while not is_over:
        obs, reward, terminated, truncated, _ = environment.step(policy(obs))
        total += float(reward)
        is_over = terminated or truncated
    environment.close()
    return total


def test_returns_are_those_of_episodes_played_one_by_one():
    policy = make_policy()
    result = evaluate(policy, "CartPole-v1", episodes=5, seed=3)
    alone = [slow_return(policy, episode_seed(3, EVALUATION_KEY, k, 0)) for k in range(5)]
    assert result.returns.tolist() == alone
    assert result.mean == np.mean(alone)
    assert result.std == np.std(alone)


def test_one_seed_gives_the_same_episodes_and_another_others():
    policy = make_policy()
    first, second, other = (evaluate(policy, episodes=6, seed=seed).returns.tolist() for seed in (1, 1, 2))
    assert first == second
    assert first != other


class CountedEnv(gymnasium.Env):
    """Shows one of three numbers, and rewards the same number as an action; both count from `start`."""

    def __init__(self, start):
        self.observation_space = self.action_space = gymnasium.spaces.Discrete(3, start=start)

    def _show(self):
        self._shown = int(self.observation_space.start + self.np_random.integers(3))
        return self._shown

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._count = 0
        return self._show(), {}

    def step(self, action):
        reward, self._count = float(action == self._shown), self._count + 1
        return self._show(), reward, False, self._count == 9, {}


def test_environment_whose_numbers_begin_elsewhere_is_played_with_its_own_numbers():
    policy = LinearPolicy(describe(lambda: CountedEnv(0), hidden=()))
    policy.set_parameters(np.eye(3, dtype=np.float32).ravel(), 0)
    for start in (0, 1, -2):
        assert evaluate(policy, lambda start=start: CountedEnv(start), episodes=3).returns.tolist() == [9.0] * 3


def test_no_episodes_are_refused():
    with pytest.raises(ValueError, match="episodes is at least 1"):
        evaluate(make_policy(), episodes=0)


class Counted(gymnasium.Wrapper):
    """CartPole-v1 that says what happens to it; raises on the step of its life that it is told."""

    def __init__(self, events, raises_at=None):
        super().__init__(gymnasium.make("CartPole-v1", disable_env_checker=True))
        self.events, self.raises_at, self.step_count = events, raises_at, 0
        events.append("made")

    def step(self, action):
        self.step_count += 1
        if self.step_count == self.raises_at:
            raise RuntimeError("the pole broke")
        self.events.append("stepped")
        return self.env.step(action)

    def close(self):
        self.events.append("closed")
        self.env.close()


def outcome(player, policy, episodes, seed):
    *_, evaluation = player.play(policy, episodes, seed)
    return evaluation.returns.tolist()


def test_environments_are_kept_and_play_the_episodes_that_fresh_ones_do():
    policy, events = make_policy(), []
    player = Player(lambda: Counted(events))
    kept = [outcome(player, policy, episodes, seed) for episodes, seed in [(4, 1), (2, 2), (6, 1)]]
    fresh = [
        evaluate(policy, "CartPole-v1", episodes, seed).returns.tolist() for episodes, seed in [(4, 1), (2, 2), (6, 1)]
    ]
    assert kept == fresh
    assert (events.count("made"), events.count("closed")) == (6, 0)
    player.close()
    player.close()
    assert events.count("closed") == 6


def test_no_environment_is_stepped_after_its_episode():
    policy, events = make_policy(), []
    player = Player(lambda: Counted(events))
    returns = outcome(player, policy, 5, 3)
    assert len(set(returns)) > 1
    assert events.count("stepped") == sum(returns)  # CartPole pays 1 a step
    player.close()


def test_new_environments_are_made_after_one_raised():
    policy, events = make_policy(), []
    raising_at = iter([None, 3, None, None])
    player = Player(lambda: Counted(events, next(raising_at)), on_env_error="fail")
    with pytest.raises(RuntimeError, match="the pole broke"):
        outcome(player, policy, 2, 1)
    assert (events.count("made"), events.count("closed")) == (2, 2)
    assert outcome(player, policy, 2, 1) == evaluate(policy, "CartPole-v1", 2, 1).returns.tolist()
    assert (events.count("made"), events.count("closed")) == (4, 2)
    player.close()


def test_episode_that_breaks_is_played_again_in_a_new_environment_and_the_others_go_on(caplog):
    policy, events = make_policy(), []
    raising_at = iter([None, 9, None, 14, None])  # of the four episodes, and of the one that replaces the second
    player = Player(lambda: Counted(events, next(raising_at)))
    with caplog.at_level(logging.WARNING):
        played = outcome(player, policy, 4, 1)
    assert played == evaluate(policy, "CartPole-v1", 4, 1).returns.tolist()
    assert (events.count("made"), events.count("closed")) == (5, 1)
    (record,) = caplog.records
    assert record.getMessage().startswith("an evaluation, environment 1, step 9 of the episode with seed ")
    player.close()


class Shows(gymnasium.ObservationWrapper):
    """CartPole-v1 that shows something else in the step of its life that it is told."""

    def __init__(self, at, what):
        super().__init__(gymnasium.make("CartPole-v1", disable_env_checker=True))
        self.count, self.at, self.what = 0, at, what

    def observation(self, observation):
        self.count += 1
        return self.what if self.count == self.at else observation


@pytest.mark.parametrize("what", [np.full(4, np.nan, np.float32), np.zeros(3, np.float32), None])
@pytest.mark.parametrize("at", [1, 6])
def test_episode_whose_observation_can_not_be_used_is_played_again(at, what):
    policy, places = make_policy(), iter([0, at, 0, 0])
    played = evaluate(policy, lambda: Shows(next(places), what), 3, 1)
    assert played.returns.tolist() == evaluate(policy, "CartPole-v1", 3, 1).returns.tolist()


def test_environment_that_always_breaks_ends_the_evaluation_with_its_error():
    events = []
    with pytest.raises(RuntimeError, match="the pole broke") as raised:
        evaluate(make_policy(), lambda: Counted(events, 4), 2, 1)
    assert events.count("stepped") == 2 * 3 + (FIRST_FAILURES_LIMIT - 1) * (3 + 3)  # both break in their fourth step
    assert raised.value.__notes__[0].startswith("an evaluation, environment 0, step 4 of the episode with seed ")


def test_episode_that_breaks_in_the_same_step_of_every_replay_is_unplayable():
    events = []
    with pytest.raises(UnplayableError) as raised:
        evaluate(make_policy(), lambda: Counted(events, PROGRESS_STEPS), 1, 1)
    assert events.count("made") == events.count("closed") == REPLAYS_LIMIT
    assert re.match(
        r"an episode was played 20 times and broke each time, after at most 10 steps; at last in environment 0, step "
        r"10 of the episode with seed \d+: RuntimeError: the pole broke\. Shorter episodes may break less often",
        str(raised.value),
    )
    assert isinstance(raised.value.__cause__, RuntimeError)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def breaking_at(steps):
    """Make an environment that raises in these steps, one for each that is made; then one that plays well."""
    remaining = iter(steps)

    class Breaking(CountingEnv):
        def __init__(self):
            super().__init__(400, truncates=True)
            self.at, self.played = next(remaining, None), 0

        def step(self, action):
            self.played += 1
            if self.played == self.at:
                raise RuntimeError("the pole broke")
            return super().step(action)

    return Breaking


def test_replays_that_get_further_are_not_in_a_row():
    policy = MlpPolicy(describe(breaking_at([])))
    policy.init(0)
    further = [10 * (1 + attempt // 2) for attempt in range(2 * REPLAYS_LIMIT)]  # each second one gets further
    assert evaluate(policy, breaking_at(further), 1, 1).returns == evaluate(policy, breaking_at([]), 1, 1).returns


def test_episode_that_is_not_repeatable_is_given_up_when_no_replay_gets_further():
    policy = MlpPolicy(describe(breaking_at([])))
    policy.init(0)
    steps = [100] + [20 + 4 * attempt for attempt in range(REPLAYS_LIMIT)]  # the last one would get as far as 96
    with pytest.raises(UnplayableError, match="broke each time, after at most 100 steps"):
        evaluate(policy, breaking_at(steps), 1, 1)


def test_environment_that_can_not_be_made_at_first_is_made_later():
    policy, outcomes = make_policy(), iter([None, OSError("no port"), OSError("no port"), None])

    def make():
        if (error := next(outcomes)) is not None:
            raise error
        return gymnasium.make("CartPole-v1")

    assert evaluate(policy, make, 2, 1).returns.tolist() == evaluate(policy, "CartPole-v1", 2, 1).returns.tolist()


class Unclosable(Counted):
    def close(self):
        raise OSError("no window")


def test_environment_that_can_not_close_hides_neither_the_result_nor_an_error():
    policy = make_policy()
    assert len(evaluate(policy, lambda: Unclosable([]), 2, 1).returns) == 2
    with pytest.raises(RuntimeError, match="the pole broke"):
        evaluate(policy, lambda: Unclosable([], 4), 2, 1)


def test_environments_are_closed_after_an_evaluation():
    events = []
    evaluate(make_policy(), lambda: Counted(events), episodes=3)
    assert (events.count("made"), events.count("closed")) == (3, 3)


def test_player_without_environment_is_refused():
    with pytest.raises(ValueError, match="give a function that makes one as env="):
        Player("")


def test_environment_that_the_policy_is_not_for_is_refused():
    message = (
        "the policy is for CartPole-v1, with observations of 4 values and actions categorical of 2; "
        "Pendulum-v1 has observations of 3 values and actions gaussian of 1"
    )
    with pytest.raises(ValueError, match=message):
        evaluate(make_policy(), "Pendulum-v1", episodes=1)


class Named(gymnasium.Env):
    """Observations of the same size under these names."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, *names):
        self.observation_space = gymnasium.spaces.Dict({name: gymnasium.spaces.Discrete(2) for name in names})


def test_environment_with_other_names_of_parts_is_refused():
    policy = MlpPolicy(describe(lambda: Named("colour", "size")))
    message = (
        r"the policy's observations have colour: one of 2; size: one of 2, not colour: one of 2; weight: one of 2\)"
    )
    with pytest.raises(ValueError, match=message):
        evaluate(policy, lambda: Named("colour", "weight"), episodes=1)


def make_counter():
    return CountingEnv(5, truncates=False)


def make_counting_policy():
    policy = MlpPolicy(describe(make_counter))
    policy.init(seed=1)
    return policy


@pytest.mark.parametrize(("steps", "total", "unfinished"), [(6, 6.0, 2), (7, 6.0, 2), (8, 10.0, 2), (10, 15.0, 0)])
def test_episodes_share_the_limit_of_steps_and_are_cut_off_at_it(steps, total, unfinished):
    result = evaluate(make_counting_policy(), make_counter, episodes=2, steps=steps)
    assert (result.returns.tolist(), result.unfinished) == ([total] * 2, unfinished)  # step n pays n


def test_cut_off_episodes_are_shown():
    policy = make_counting_policy()
    assert repr(evaluate(policy, make_counter, episodes=2)) == "Evaluation(15.0 ± 0.0 over 2 episodes)"
    cut = evaluate(policy, make_counter, episodes=2, steps=2)
    assert repr(cut) == "Evaluation(1.0 ± 0.0 over 2 episodes, 2 of them cut off)"


def test_episode_that_never_ends_is_evaluated_within_the_limit():
    policy = make_counting_policy()
    result = evaluate(policy, lambda: CountingEnv(0, truncates=False), episodes=3, steps=300)
    assert (result.returns.tolist(), result.unfinished) == ([sum(range(101))] * 3, 3)


def test_limit_of_less_than_a_step_for_each_episode_is_refused():
    with pytest.raises(ValueError, match=r"at least 1 step for each of 20 episodes: steps=19$"):
        evaluate(make_policy(), steps=19)


def sampled_return(policy, seed, rng):
    """Play one episode with sampled actions, in plain code."""
    environment = gymnasium.make("CartPole-v1")
    obs, _ = environment.reset(seed=seed)
    total, is_over = 0.0, False
    while not is_over:
        action = policy.act(policy.features(obs[None]), rng)[0]
        obs, reward, terminated, truncated, _ = environment.step(int(action[0]))
        total += float(reward)
        is_over = terminated or truncated
    environment.close()
    return total


def test_sampled_actions_follow_from_the_seed_and_are_those_of_training():
    policy = make_policy()
    sampled = [evaluate(policy, episodes=1, seed=seed, deterministic=False).returns[0] for seed in (3, 3, 4)]
    rng = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(EVALUATION_KEY,)))
    alone = sampled_return(policy, episode_seed(3, EVALUATION_KEY, 0, 0), rng)
    assert sampled[0] == sampled[1] == alone
    assert sampled[0] != evaluate(policy, episodes=1, seed=3).returns[0]


def test_linear_policy_has_no_actions_to_sample():
    policy = LinearPolicy(describe("CartPole-v1", hidden=()))
    with pytest.raises(NotImplementedError, match="give it hidden layers"):
        evaluate(policy, episodes=1, deterministic=False)


def test_policy_is_evaluated_in_the_environment_that_it_was_trained_in():
    policy = MlpPolicy(describe(with_kwargs("CartPole-v1", {"max_episode_steps": 7})))
    assert evaluate(policy, episodes=2).returns.max() <= 7.0
    assert evaluate(policy, episodes=2, env_kwargs={"max_episode_steps": 3}).returns.tolist() == [3.0, 3.0]
    assert (
        evaluate(policy, "CartPole-v1", episodes=2, env_kwargs={"max_episode_steps": 2}).returns.tolist() == [2.0] * 2
    )
    assert evaluate(policy, "CartPole-v1", episodes=2).returns.min() > 7.0
