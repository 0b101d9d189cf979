"""Describes a run in plain text: effective settings and their sources, policy and roles."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from actorrt.rl.environments.making import name_of
from actorrt.rl.networks.convolutions import layout_of
from actorrt.rl.networks.network import backend_of
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.runs.plan import AnyPlan, is_of_rollouts
from actorrt.rl.settings.algorithm_settings import RolloutSettings
from actorrt.rl.spaces.fit import in_words
from actorrt.rl.spaces.spaces import Composite, unmasked


class Explanation(str):
    """A text whose `repr` is the text itself, so that a notebook shows it as it is."""

    def __repr__(self) -> str:
        return str(self)


def explain(plan: AnyPlan) -> Explanation:
    """Describe the run that a plan leads to."""
    sections = {
        "run": _run(plan),
        "policy": _policy(plan),
        "settings": _settings(plan),
        "roles": _roles(plan),
    }
    lines = []
    for title, rows in sections.items():
        table = list(rows)
        width = max(len(name) for name, _ in table)
        lines += [title, *(f"  {name:<{width}}  {text}" for name, text in table)]
    return Explanation("\n".join(lines))


def _run(plan: AnyPlan) -> Iterator[tuple[str, str]]:
    yield "algorithm", plan.settings.algorithm
    kwargs = ", ".join(f"{name}={value!r}" for name, value in plan.policy.env_kwargs.items())
    yield "environment", name_of(plan.environment) + (f" with {kwargs}" if kwargs else "")
    yield "steps", f"{plan.steps:,}" + ("" if plan.checkpoint is None else ", those before the checkpoint included")
    if plan.stop_return is not None:
        yield (
            "ends at",
            f"a mean return of {plan.stop_return:g} over {plan.settings.evaluation_episodes} episodes, twice",
        )
    yield "seed", str(plan.seed)


def _policy(plan: AnyPlan) -> Iterator[tuple[str, str]]:
    spec = plan.policy
    yield "observation", in_words(spec.observation)
    yield "action", in_words(spec.action)
    kind = describe_network(spec)
    layers = "linear" if not spec.hidden else f"{kind}, hidden layers of {' and '.join(map(str, spec.hidden))} units"
    if spec.value_hidden is not None:
        layers += f", for values of {' and '.join(map(str, spec.value_hidden))} units"
    settings = plan.settings
    acts = "acts on NumPy" if spec.network == "mlp" else "acts on torch"
    if isinstance(settings, RolloutSettings):
        acts += ", learns on torch" if backend_of(spec, settings.backend) == "torch" else ", learns on NumPy"
    yield "network", f"{layers}; {len(plan.weights.parameters):,} parameters; {acts}"
    yield "normalises", " and ".join(_normalised(plan)) or "nothing"


def _normalised(plan: AnyPlan) -> Iterator[str]:
    settings, rows = plan.settings, plan.policy.rows
    if settings.normalise_observations and rows.number_count:
        yield "observations without images" if rows.pixel_count else "observations"
    if settings.normalise_rewards:
        yield "rewards"


def describe_network(spec: PolicySpec) -> str:
    """Return the kind of a network in a few words."""
    if not isinstance(spec.network, str):
        return getattr(spec.network, "__name__", "custom")
    if spec.network == "mlp" or not isinstance(unmasked(spec.observation), Composite):
        return spec.network
    layout = layout_of(spec)
    images, rest = ([part.name for part in parts] for parts in ([each.part for each in layout.images], layout.rest))
    beside = f", beside {' and '.join(rest)}" if rest else ""
    return f"{spec.network} with convolutions of {' and '.join(images)}{beside}"


def _settings(plan: AnyPlan) -> Iterator[tuple[str, str]]:
    settings = plan.settings
    preset = settings.presets.get(name_of(plan.environment), {})
    for field in dataclasses.fields(settings):
        value = plan.steps if field.name == "steps" else getattr(settings, field.name)
        if field.name in preset and value == preset[field.name]:
            origin = "preset"
        else:
            origin = "" if value == field.default and field.name not in preset else "yours"
        yield field.name, f"{_shown(value):<12} {origin}".rstrip()


def _shown(value: Any) -> str:
    return name_of(value) if callable(value) else f"{value:g}" if isinstance(value, float) else str(value)


def _roles(plan: AnyPlan) -> Iterator[tuple[str, str]]:
    settings, count = plan.settings, plan.simulators
    many = f"{count} simulator{'s' if count > 1 else ''}"
    if is_of_rollouts(plan):
        counts = sorted(set(plan.environment_counts), reverse=True)
        fragments = " or ".join(f"{plan.horizon} x {each} = {plan.horizon * each}" for each in counts)
        each = " or ".join(map(str, counts))
        yield many, f"a process and a CPU each; {each} environments each, fragments of {fragments} steps"
        batch = plan.settings.batch_steps or plan.horizon * sum(plan.environment_counts)
        yield "batches", f"at least {batch:,} steps, {_order(plan.settings)}"
    else:
        yield many, "a process and a CPU each; whole episodes, directions as work items"
    yield "parameter server", "a shared worker; sends each version to its readers"
    if settings.algorithm == "A3C":
        yield "learner", "none: simulators compute gradients, the parameter server applies them as they arrive"
    elif isinstance(settings, RolloutSettings):
        yield (
            _counted("learner", settings.learners),
            "a process of its own; " + ("takes turns with the simulators" if _is_in_turn(settings) else "a CPU"),
        )
    if isinstance(settings, RolloutSettings) and settings.inference_actor:
        yield "inference", "a process of its own; acts for all simulators, in batches"
    yield "evaluator", _evaluator(plan)


def _evaluator(plan: AnyPlan) -> str:
    settings = plan.settings
    if settings.evaluate_every is None:
        return "none: the newest policy counts as the best one"
    text = f"a process of its own; {settings.evaluation_episodes} episodes every {settings.evaluate_every:,} steps"
    if settings.evaluation_env is not None:
        text += f", on {name_of(settings.evaluation_env)}"
    if settings.evaluation_steps is not None:
        text += f", at most {settings.evaluation_steps:,} steps each time"
    return text if settings.evaluation_deterministic else f"{text}, with sampled actions"


def _counted(role: str, count: int) -> str:
    return role if count == 1 else f"{count} {role}s"


def _is_in_turn(settings: RolloutSettings) -> bool:
    return settings.max_lag == 0


def _order(settings: RolloutSettings) -> str:
    if settings.stream_order == "deterministic":
        lag = "with the newest policy" if _is_in_turn(settings) else f"{settings.max_lag} version behind"
        return f"a fragment of each simulator in turn, {lag}: one seed, one run"
    limit = "of any age" if settings.max_lag is None else f"at most {settings.max_lag} versions behind"
    return f"fragments as they arrive, {limit}"
