"""Settings name the value that is wrong, and presets are RL-Zoo's."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from actorrt.rl.algorithms.a2c import A2CSettings
from actorrt.rl.algorithms.a3c import A3CSettings
from actorrt.rl.algorithms.ars import ARSSettings
from actorrt.rl.algorithms.catalogue import ALGORITHMS
from actorrt.rl.algorithms.dqn import DQNSettings
from actorrt.rl.algorithms.es import ESSettings
from actorrt.rl.algorithms.impala import IMPALASettings
from actorrt.rl.algorithms.ppo import PPOSettings
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.weights import Weights
from actorrt.rl.runs.plan import Plan
from actorrt.rl.settings.schedules import scheduled
from actorrt.rl.spaces.array_spaces import Discrete

SPEC = PolicySpec("", Discrete(2), Discrete(2))


def test_cartpole_preset_is_rl_zoos():
    settings = PPOSettings.preset("CartPole-v1")
    assert (settings.environments, settings.horizon, settings.minibatch_size, settings.epochs) == (8, 32, 256, 20)
    assert (settings.gamma, settings.gae_lambda, settings.entropy_coefficient) == (0.98, 0.8, 0.0)
    assert (settings.learning_rate, settings.learning_rate_schedule) == (1e-3, "linear")
    assert (settings.clip_range, settings.clip_schedule) == (0.2, "linear")


def test_dqns_cartpole_preset_is_rl_zoos():
    settings = DQNSettings.preset("CartPole-v1")
    assert (settings.steps, settings.learning_rate, settings.minibatch_size) == (50_000, 2.3e-3, 64)
    assert (settings.replay_size, settings.learning_starts, settings.gamma) == (100_000, 1_000, 0.99)
    assert (settings.target_every, settings.hidden, settings.activation) == (10, (256, 256), "relu")
    arriving = settings.environments * settings.horizon
    assert (arriving, arriving * settings.updates_per_step) == (256, 128)  # train_freq and gradient_steps
    assert (settings.exploration_share, settings.epsilon_end, settings.max_grad_norm) == (0.16, 0.04, 10.0)
    assert (settings.double, settings.dueling, settings.prioritised, settings.n_step) == (False, False, False, 1)


def test_halfcheetah_preset_is_rl_zoos():
    settings = PPOSettings.preset("HalfCheetah-v5")
    assert (settings.environments, settings.horizon, settings.minibatch_size, settings.epochs) == (1, 512, 64, 20)
    assert (settings.hidden, settings.activation, settings.orthogonal) == ((256, 256), "relu", False)
    assert (settings.log_std, settings.learning_rate, settings.clip_range) == (-2.0, 2.0633e-05, 0.1)
    assert settings.normalise_observations
    assert settings.normalise_rewards


def test_ppos_swimmer_preset_is_rl_zoos():
    settings = PPOSettings.preset("Swimmer-v5")
    assert (settings.environments, settings.horizon, settings.minibatch_size) == (4, 1024, 256)
    assert (settings.gamma, settings.gae_lambda, settings.learning_rate) == (0.9999, 0.98, 6e-4)


def test_a2cs_pendulum_preset_is_rl_zoos():
    settings = A2CSettings.preset("Pendulum-v1")
    assert (settings.environments, settings.horizon, settings.gamma, settings.gae_lambda) == (8, 8, 0.9, 0.9)
    assert (settings.learning_rate, settings.learning_rate_schedule, settings.log_std) == (7e-4, "linear", -2.0)


def test_swimmer_preset_is_rl_zoos():
    settings = ARSSettings.preset("Swimmer-v5")
    assert (settings.steps, settings.directions, settings.best_directions) == (2_000_000, 1, None)
    assert (settings.learning_rate, settings.deviation, settings.hidden) == (0.02, 0.01, ())
    assert not settings.normalise_observations


@pytest.mark.parametrize("kind", ALGORITHMS.values())
def test_every_preset_makes_sense(kind):
    for env_id in kind.settings_class.presets:
        settings = kind.settings_class.preset(env_id)
        assert kind.settings_class.from_data(json.loads(json.dumps(settings.to_data()))) == settings


@pytest.mark.parametrize(
    ("environments", "simulators", "counts", "horizon"),
    [(8, 2, (4, 4), 32), (8, 3, (3, 3, 2), 32), (7, 4, (2, 2, 2, 1), 32), (1, 2, (1, 1), 16), (2, 3, (1, 1, 1), 22)],
)
def test_environments_are_shared_out_and_batches_stay_as_large(environments, simulators, counts, horizon):
    settings = PPOSettings.preset("", environments=environments, horizon=32)
    plan = Plan("", "", SPEC, Weights(0, np.zeros(1)), settings, simulators, 1, 0)
    assert (plan.environment_counts, plan.horizon) == (counts, horizon)


@pytest.mark.parametrize("settings_class", [PPOSettings, A2CSettings])
@pytest.mark.parametrize("max_lag", [2, None])
def test_lag_without_a_correction_has_a_caution(settings_class, max_lag):
    (caution,) = settings_class(max_lag=max_lag).cautions(2)
    age = "any number of" if max_lag is None else "up to 2"
    assert caution.startswith(
        f"max_lag={max_lag}: {settings_class.algorithm} has no correction for policies that are {age}"
    )


def test_settings_of_evaluations_without_evaluations_have_a_caution():
    (caution,) = ESSettings(evaluate_every=None, evaluation_episodes=5, evaluation_steps=50).cautions(2)
    assert caution == "evaluate_every=None evaluates nothing: leave out evaluation_episodes and evaluation_steps"
    assert ESSettings(evaluate_every=None).cautions(2) == ESSettings(evaluation_episodes=5).cautions(2) == []


def test_batch_that_is_longer_than_the_run_has_a_caution():
    (caution,) = PPOSettings(batch_steps=2_000, steps=1_000).cautions(2)
    assert caution == "batch_steps=2000 is more than steps=1000: one update ends the run"
    assert PPOSettings(batch_steps=1_000, steps=1_000).cautions(2) == []


def test_environments_that_are_fewer_than_simulators_have_a_caution():
    (caution,) = PPOSettings(environments=1, horizon=512).cautions(2)
    assert caution.startswith("environments=1 is less than simulators=2: each simulator steps one environment, for 256")
    assert PPOSettings(environments=3, max_lag=1).cautions(2) == []


@pytest.mark.parametrize("kind", ALGORITHMS.values())
def test_defaults_have_no_cautions(kind):
    assert kind.settings_class().cautions(2) == []


def test_overrides_win_over_the_preset():
    assert PPOSettings.preset("CartPole-v1", horizon=64).horizon == 64
    assert PPOSettings.preset("CartPole-v1", horizon=64).epochs == 20


def test_unknown_setting_is_named_with_close_matches():
    with pytest.raises(ValueError, match="PPO has no setting 'learning_rat'; did you mean learning_rate"):
        PPOSettings.preset("CartPole-v1", learning_rat=1)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"epochs": 0}, "epochs is at least 1: epochs=0"),
        ({"evaluation_episodes": 0}, "evaluation_episodes is at least 1: evaluation_episodes=0"),
        ({"evaluate_every": 0}, "evaluate_every is at least 1: evaluate_every=0"),
        (
            {"evaluation_steps": 19},
            "evaluation_steps is at least 1 for each of evaluation_episodes=20: evaluation_steps=19",
        ),
        ({"evaluation_env": ""}, "evaluation_env is a Gymnasium id, or a function that makes one: evaluation_env=''"),
        ({"evaluation_wait_s": -1}, "evaluation_wait_s is at least 0: evaluation_wait_s=-1"),
        ({"gamma": 1.5}, "gamma is between 0 and 1: gamma=1.5"),
        ({"backend": "jax"}, "backend is 'auto', 'numpy' or 'torch': backend='jax'"),
        ({"learning_rate": -1}, "learning_rate is larger than 0: learning_rate=-1"),
        ({"learning_rate": float("nan")}, "learning_rate is a finite number: learning_rate=nan"),
        ({"learning_rate_schedule": "cosine"}, "learning_rate_schedule is 'constant', 'linear', or a .*='cosine'"),
        ({"learning_rate_schedule": None}, "learning_rate_schedule is 'constant', 'linear', or a .*=None"),
        ({"clip_schedule": "Linear"}, r"clip_schedule is .*: clip_schedule='Linear'; did you mean 'linear'\?$"),
        ({"hang_timeout_s": math.inf}, "hang_timeout_s is finite, and None sets no limit: hang_timeout_s=inf"),
        ({"evaluate_every": math.inf}, "evaluate_every is finite, and None sets no limit: evaluate_every=inf"),
        ({"target_kl": math.inf}, "target_kl is finite, and None sets no limit: target_kl=inf"),
        ({"learners": 9, "environments": 2, "horizon": 4}, "learners=9 is more than its transitions, environments=2"),
        ({"learners": 3, "minibatch_size": 2}, "minibatch_size is at least learners=3: minibatch_size=2"),
        ({"activation": "ReLU"}, r"activation is .* or 'silu': activation='ReLU'; did you mean 'relu'\?"),
        ({"optimiser": "AdamW"}, r"optimiser is .*: optimiser='AdamW'; did you mean 'adamw'\?"),
        ({"optimiser": "lion"}, "optimiser is 'adam', 'adamw', 'rmsprop' or 'sgd': optimiser='lion'"),
        ({"weight_decay": 0.1}, "weight_decay=0.1 is for optimiser='adamw': leave it out for optimiser='adam'"),
        ({"optimiser": "adamw", "weight_decay": -0.1}, "weight_decay is at least 0: weight_decay=-0.1"),
        ({"value_hidden": ()}, r"PPO takes hidden layers: value_hidden=\(\)"),
        ({"value_hidden": (8, 0)}, r"hidden layers have at least 1 unit: value_hidden=\(8, 0\)"),
        ({"clip_range": 0.0}, "clip_range is larger than 0: clip_range=0.0"),
        ({"horizon_s": 0.0}, "horizon_s is larger than 0: horizon_s=0.0"),
        ({"horizon_s": 0.5, "order": "deterministic"}, "leave out order, or horizon_s=0.5"),
        ({"clip_range_value": -0.2}, "clip_range_value is larger than 0: clip_range_value=-0.2"),
        ({"target_kl": 0}, "target_kl is larger than 0: target_kl=0"),
        ({"entropy_coefficient": -0.01}, "entropy_coefficient is at least 0: entropy_coefficient=-0.01"),
        ({"value_coefficient": -1}, "value_coefficient is at least 0: value_coefficient=-1"),
        ({"on_env_error": "ignore"}, "on_env_error is 'truncate' or 'fail': on_env_error='ignore'"),
        ({"order": "any"}, "order is 'completion' or 'deterministic': order='any'"),
        ({"hidden": (8, 0)}, r"hidden layers have at least 1 unit: hidden=\(8, 0\)"),
    ],
)
def test_senseless_values_are_refused(override, message):
    with pytest.raises(ValueError, match=message):
        PPOSettings.preset("CartPole-v1", **override)


def test_horizon_in_seconds_leads_to_the_order_of_completion():
    assert PPOSettings().stream_order == "deterministic"
    assert PPOSettings(horizon_s=0.5).stream_order == "completion"


def test_limits_may_be_infinite():
    assert IMPALASettings(max_grad_norm=math.inf, rho_limit=math.inf).rho_limit == math.inf
    with pytest.raises(ValueError, match="max_grad_norm is a number: max_grad_norm=nan"):
        IMPALASettings(max_grad_norm=math.nan)
    with pytest.raises(ValueError, match=r"rho_limit is at least c_limit: rho_limit=1.0, c_limit=2.0"):
        IMPALASettings(c_limit=2.0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"learning_rate": "fast"}, "learning_rate is a number: learning_rate='fast'"),
        ({"learning_rate": None}, "learning_rate is a number: learning_rate=None"),
        ({"steps": "100"}, "steps is a whole number: steps='100'"),
        ({"horizon": 32.5}, "horizon is a whole number: horizon=32.5"),
        ({"evaluate_every": 2.5}, "evaluate_every is a whole number: evaluate_every=2.5"),
        ({"evaluation_env": 3}, "evaluation_env=3 makes no environment: give its Gymnasium id, or a function"),
        ({"evaluation_steps": 2.5}, "evaluation_steps is a whole number: evaluation_steps=2.5"),
        ({"evaluation_deterministic": 1}, "evaluation_deterministic is True or False: evaluation_deterministic=1"),
        ({"evaluation_wait_s": "long"}, "evaluation_wait_s is a number: evaluation_wait_s='long'"),
        ({"hidden": 64}, r"hidden has the units of each hidden layer, as in hidden=\(64, 64\): hidden=64"),
        ({"hidden": (True,)}, r"hidden has the units of each hidden layer, .*: hidden=\(True,\)"),
        ({"value_hidden": 64}, r"value_hidden has the units .* value_hidden=\(64, 64\): value_hidden=64"),
        ({"learning_rate": abs}, "learning_rate is a number: .*; give the function as learning_rate_schedule="),
        ({"clip_range": abs}, "clip_range is a number: .*; give the function as clip_schedule="),
        ({"max_grad_norm": None}, "max_grad_norm is a number, and infinity sets no limit: max_grad_norm=None"),
        ({"clip_schedule": lambda: 1.0}, "clip_schedule takes the share .*: it raised TypeError for 1: .*0 positional"),
        ({"clip_schedule": lambda share: 1 / share}, "clip_schedule .*: it raised ZeroDivisionError for 0: float div"),
        ({"clip_schedule": str}, "clip_schedule takes the share .* a factor of at least 0: it returned '1.0' for 1"),
        ({"clip_schedule": lambda share: share - 0.9}, "a factor of at least 0: it returned -0.4 for 0.5"),
        ({"hidden": ("64",)}, r"hidden has the units of each hidden layer, .*: hidden=\('64',\)"),
        ({"normalise_observations": "yes"}, "normalise_observations is True or False: normalise_observations='yes'"),
    ],
)
def test_values_of_the_wrong_kind_are_refused_by_the_settings_name(override, message):
    with pytest.raises(TypeError, match=message):
        PPOSettings.preset("CartPole-v1", **override)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"max_lag": 4}, r"^A3C takes no max_lag=4: its gradients are applied however old they are$"),
        ({"order": "deterministic"}, r"^A3C takes no order='deterministic': its gradients are applied in the order of"),
        ({"order": "deterministic", "max_lag": 0}, r"^A3C takes no order='deterministic': "),
        ({"learners": 2}, r"^A3C has no separate learners, since its simulators learn: leave out learners=2$"),
    ],
)
def test_settings_that_mean_nothing_for_gradients_that_are_applied_at_once_are_refused(override, message):
    with pytest.raises(ValueError, match=message):
        A3CSettings.preset("CartPole-v1", **override)
    assert A3CSettings.preset("CartPole-v1", order=None).stream_order == "completion"


def test_layers_may_be_a_list():
    assert PPOSettings.preset("", hidden=[8, 4], value_hidden=[4]) == PPOSettings(hidden=(8, 4), value_hidden=(4,))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("constant", [0.5, 0.5, 0.5]), ("linear", [0.5, 0.25, 0.0]), (lambda share: share**2, [0.5, 0.125, 0.0])],
)
def test_schedule_gives_the_value_for_the_rest_of_the_run(schedule, expected):
    assert [scheduled(0.5, schedule, remaining) for remaining in (1.0, 0.5, 0.0)] == expected


def test_function_that_breaks_its_promise_later_in_the_run_is_told():
    with pytest.raises(ValueError, match=r"^a schedule takes the share .* at least 0: it returned -1.0 for 0.25$"):
        scheduled(0.5, lambda share: -1.0 if share == 0.25 else 1.0, 0.25)
    with pytest.raises(ValueError, match=r"it returned nan for 0\.25"):
        scheduled(0.5, lambda share: math.nan, 0.25)


def test_numbers_of_numpy_are_stored_as_pythons():
    settings = PPOSettings(horizon=np.int64(16), learning_rate=np.float32(0.5), hidden=(np.int64(8),))
    assert settings == PPOSettings(horizon=16, learning_rate=0.5, hidden=(8,))
    assert json.loads(json.dumps(settings.to_data()))["hidden"] == [8]


def test_functions_are_left_out_of_the_data_and_named():
    settings = PPOSettings(learning_rate_schedule=lambda share: share, network=lambda spec: None)
    data = json.loads(json.dumps(settings.to_data()))
    assert PPOSettings.functions_of(data) == ["network", "learning_rate_schedule"]
    given = {name: getattr(settings, name) for name in PPOSettings.functions_of(data)}
    assert PPOSettings.from_data(data | given) == settings
    assert PPOSettings.functions_of(PPOSettings().to_data()) == []


def test_linear_policy_can_not_be_evaluated_with_sampled_actions():
    message = r"evaluation_deterministic=False samples actions, and a linear policy \(hidden=\(\)\) has none"
    with pytest.raises(ValueError, match=message):
        ARSSettings(evaluation_deterministic=False)
    assert not ARSSettings(evaluation_deterministic=False, hidden=(8,)).evaluation_deterministic


@pytest.mark.parametrize(("env", "stored"), [(None, None), ("CartPole-v1", "CartPole-v1"), (lambda: None, "")])
def test_environment_of_evaluations_is_stored_without_code(env, stored):
    data = PPOSettings(evaluation_env=env).to_data()
    assert data["evaluation_env"] == stored
    assert PPOSettings.functions_of(data) == (["evaluation_env"] if callable(env) else [])
    given = {"evaluation_env": env} if callable(env) else {}
    assert PPOSettings.from_data(json.loads(json.dumps(data)) | given).evaluation_env == env
