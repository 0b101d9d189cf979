"""What may change when a run is resumed, and what is left of its checkpoint then."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from actorrt.rl.algorithms.ars import ARSSettings
from actorrt.rl.algorithms.ppo import PPOSettings
from actorrt.rl.runs.continuation import fitted, require_resumable
from actorrt.rl.runs.plan import Plan
from tests.unit.rl.runs.running import make_plan

BEFORE = PPOSettings.preset("", environments=4, horizon=8, evaluate_every=1_000)


def saved(plan: Plan, **more: Any) -> dict[str, Any]:
    """Return a checkpoint that this plan's run could have made after 500 steps."""
    count = plan.simulators
    return {
        "origin": plan.origin(),
        "record": {"steps": 500},
        "selection": {"next_at": 1_000, "count": 1, "best": "the best"},
        "weights": "weights",
        "learner": "moments",
        "lives": list(range(1, count + 1)),
        "simulators": [f"state {index}" for index in range(count)],
        "ahead": ["fragment"],
        "turn": 1,
        **more,
    }


def changed(plan: Plan, *, simulators: int | None = None, **settings: Any) -> Plan:
    simulators = plan.simulators if simulators is None else simulators
    return dataclasses.replace(plan, simulators=simulators, settings=dataclasses.replace(plan.settings, **settings))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"learning_rate": 1e-5, "epochs": 1, "clip_range": 0.1},
        {"entropy_coefficient": 0.1, "evaluation_episodes": 3},
        {"evaluate_every": 5_000},
        {"evaluation_wait_s": None},
        {"order": "deterministic"},  # the default with this lag
    ],
)
def test_everything_stays_if_simulators_and_batches_do(settings: dict[str, Any]) -> None:
    plan = make_plan(settings=BEFORE)
    assert fitted(saved(plan), changed(plan, **settings)) == saved(plan)


@pytest.mark.parametrize(
    "settings",
    [{"evaluation_env": "Other-v0"}, {"evaluation_steps": 400}, {"evaluation_deterministic": False}],
)
def test_best_policy_is_forgotten_if_evaluations_measure_something_else(settings: dict[str, Any]) -> None:
    plan = make_plan(settings=BEFORE)
    kept = fitted(saved(plan), changed(plan, **settings))
    assert kept["selection"]["best"] is None
    assert {**kept, "selection": saved(plan)["selection"]} == saved(plan)


@pytest.mark.parametrize(
    "settings",
    [{"horizon": 4}, {"max_lag": 1}, {"batch_steps": 64}, {"max_lag": 4, "order": "completion"}],
)
def test_other_batches_drop_the_fragments_ahead_and_keep_the_simulators(settings: dict[str, Any]) -> None:
    plan = make_plan(settings=BEFORE)
    assert fitted(saved(plan), changed(plan, **settings)) == {**saved(plan), "ahead": [], "turn": 0}


@pytest.mark.parametrize(
    ("change", "lives", "count"),
    [
        ({"simulators": 4}, [2, 3, 1, 1], 4),
        ({"simulators": 1}, [2, 3], 1),
        ({"environments": 8}, [2, 3], 2),
        ({"environments": 3}, [2, 3], 2),  # 2 and 1 in place of 2 and 2
    ],
)
def test_other_environments_begin_episodes_in_a_new_life(change: dict[str, Any], lives: list[int], count: int) -> None:
    plan = make_plan(settings=BEFORE)
    expected = {**saved(plan), "lives": lives, "simulators": [None] * count, "ahead": [], "turn": 0}
    assert fitted(saved(plan), changed(plan, **change)) == expected


def test_simulators_that_come_back_do_not_live_an_earlier_life_again() -> None:
    plan = make_plan(settings=BEFORE)
    fewer = changed(plan, simulators=1)
    checkpoint = {**saved(fewer), "lives": [5, 3], "simulators": ["state"]}
    assert fitted(checkpoint, changed(plan, simulators=3))["lives"] == [6, 3, 1]


def test_simulator_that_was_restarting_has_its_new_life_already() -> None:
    plan = make_plan(settings=BEFORE)
    checkpoint = {**saved(plan), "simulators": ["state", None]}
    assert fitted(checkpoint, changed(plan, simulators=3))["lives"] == [2, 2, 1]


def test_another_environment_begins_episodes_and_forgets_the_best_policy() -> None:
    plan = make_plan(settings=BEFORE)
    moved = dataclasses.replace(plan, policy=dataclasses.replace(plan.policy, env_kwargs={"g": 9.81}))
    kept = fitted(saved(plan), moved)
    assert kept["selection"] == {"next_at": 1_000, "count": 1, "best": None}
    assert (kept["simulators"], kept["lives"], kept["ahead"]) == ([None, None], [2, 3], [])
    assert fitted(saved(moved), moved) == saved(moved)


def test_next_evaluation_comes_within_the_new_period() -> None:
    plan = make_plan(settings=BEFORE)
    assert fitted(saved(plan), changed(plan, evaluate_every=100))["selection"]["next_at"] == 600


def test_evolution_has_no_simulators_to_fit() -> None:
    plan = make_plan(settings=ARSSettings.preset(""))
    checkpoint = {name: saved(plan)[name] for name in ("origin", "record", "selection", "weights", "learner")}
    checkpoint["selection"]["next_at"] = 600
    assert fitted(checkpoint, changed(plan, simulators=8, directions=3)) == checkpoint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"hidden": (8,)},
            r"keeps hidden=\(64, 64\), since the checkpoint has the parameters of this network: leave out",
        ),
        ({"network": "cnn"}, "keeps network='auto', since the checkpoint has the parameters of this network"),
        ({"activation": "relu"}, "keeps activation='tanh'"),
        (
            {"orthogonal": False},
            "keeps orthogonal=True, since initial parameters follow from it, and the run has begun",
        ),
        ({"log_std": -1.0}, "keeps log_std=0.0"),
        (
            {"normalise_observations": True},
            "keeps normalise_observations=False, since the policy was trained with this",
        ),
        ({"normalise_rewards": True}, "keeps normalise_rewards=False"),
    ],
)
def test_settings_of_the_policy_are_kept(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require_resumable(BEFORE, dataclasses.replace(BEFORE, **settings))


def test_other_settings_may_change() -> None:
    others = {"learning_rate": 1.0, "horizon": 1, "environments": 1, "gamma": 0.5, "hang_timeout_s": None}
    require_resumable(BEFORE, dataclasses.replace(BEFORE, **others))
