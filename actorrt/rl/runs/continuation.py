"""Pure: which settings may change when a run is resumed, and which parts of its checkpoint still fit then."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from actorrt.rl.runs.plan import AnyPlan, Plan, is_of_rollouts
from actorrt.rl.settings.algorithm_settings import AlgorithmSettings, RolloutSettings

FIXED: Mapping[str, str] = {
    **dict.fromkeys(
        ("hidden", "value_hidden", "network", "activation", "dueling"),
        "the checkpoint has the parameters of this network",
    ),
    **dict.fromkeys(("orthogonal", "log_std"), "initial parameters follow from it, and the run has begun"),
    "optimiser": "the checkpoint has the state of this optimiser",
    **dict.fromkeys(("normalise_observations", "normalise_rewards"), "the policy was trained with this normaliser"),
}
"""Settings that a resumed run keeps, and why."""


def require_resumable(before: AlgorithmSettings, now: AlgorithmSettings) -> None:
    """Make sure that a run can continue with other settings.

    Args:
        before: the settings of the run's checkpoint.
        now: those to continue with.

    Raises:
        ValueError: a setting was changed that a resumed run keeps; the message names it.
    """
    for name, why in FIXED.items():
        kept, given = getattr(before, name, None), getattr(now, name, None)
        if given != kept:
            raise ValueError(
                f"a resumed run keeps {name}={kept!r}, since {why}: leave out {name}={given!r}, or begin a new run"
            )


def fitted(checkpoint: dict[str, Any], plan: AnyPlan) -> dict[str, Any]:
    """Return a checkpoint without the parts that do not fit a plan which differs from the one that made it.

    If nothing changed, all parts stay, and the run continues exactly. Simulators that step other environments, or
    another number of them, begin new episodes in a new life. Fragments that were collected ahead are dropped if
    batches are made in another way. In another environment, or if evaluations measure something else, the best policy
    is forgotten, since its score can't be compared with later ones.
    """
    origin = checkpoint["origin"]
    functions = {name: getattr(plan.settings, name) for name in plan.settings.functions_of(origin["settings"])}
    settings = plan.settings.from_data({**origin["settings"], **functions})
    before = dataclasses.replace(
        plan, settings=settings, simulators=origin["simulators"], native=origin["native"], checkpoint=None
    )
    kept = {**checkpoint, "selection": _next_evaluation_by(checkpoint, plan)}
    is_elsewhere = _place(origin) != _place(plan.origin())
    if is_elsewhere or _measure(before.settings) != _measure(plan.settings):
        kept["selection"]["best"] = None
    if not (is_of_rollouts(before) and is_of_rollouts(plan)):  # the simulators of ARS and ES have no state
        return kept
    if is_elsewhere or _sampling(before) != _sampling(plan):
        more = plan.simulators - len(checkpoint["lives"])
        lives = [
            life + (state is not None) for life, state in zip(checkpoint["lives"], _padded(checkpoint), strict=True)
        ]
        kept |= {"simulators": [None] * plan.simulators, "lives": lives + [1] * more}
    if is_elsewhere or _batching(before) != _batching(plan):
        kept |= {"ahead": [], "turn": 0}
    return kept


def _place(origin: dict[str, Any]) -> tuple[Any, ...]:
    """Return what says which environment a run is in; a function that makes one is taken for the same as before."""
    return origin["env_id"], origin.get("env_kwargs", {})


def _measure(settings: AlgorithmSettings) -> tuple[Any, ...]:
    """Return what says what a score means; the number of episodes does not."""
    limit = settings.evaluation_steps and settings.evaluation_steps // settings.evaluation_episodes
    return settings.evaluation_env, limit, settings.evaluation_deterministic


def _sampling(plan: Plan[RolloutSettings]) -> tuple[Any, ...]:
    """Return what the states of simulators depend on."""
    return plan.environment_counts, plan.native


def _batching(plan: Plan[RolloutSettings]) -> tuple[Any, ...]:
    """Return what fragments that were collected ahead depend on."""
    settings = plan.settings
    return *_sampling(plan), plan.horizon, settings.batch_steps, settings.max_lag, settings.stream_order


def _padded(checkpoint: dict[str, Any]) -> list[Any]:
    """Return the states of simulators, with None for each that an earlier change took away; their lives are kept."""
    states: list[Any] = checkpoint["simulators"]
    return states + [None] * (len(checkpoint["lives"]) - len(states))


def _next_evaluation_by(checkpoint: dict[str, Any], plan: AnyPlan) -> dict[str, Any]:
    """Return the state of the selection of policies; the next evaluation is due within the plan's period."""
    selection, steps = checkpoint["selection"], checkpoint["record"]["steps"]
    return {**selection, "next_at": min(selection["next_at"], steps + (plan.settings.evaluate_every or 0))}
