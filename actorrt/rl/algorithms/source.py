"""Prints an algorithm as one page: the sources that an update passes through, with a loop that trains by them.

`PAGES` says what is on each page. Whatever is not there is imported: settings, networks, distributions, optimisers and
environments.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TextIO

import numpy as np

import actorrt as art
from actorrt.rl.algorithms.a2c import A2CUpdate
from actorrt.rl.algorithms.a3c import A3CSettings
from actorrt.rl.algorithms.a3c_roles import Contribution, GradientServer, GradientSimulator
from actorrt.rl.algorithms.actor_critic import actor_critic_gradient
from actorrt.rl.algorithms.appo import APPOUpdate
from actorrt.rl.algorithms.ars import ARSUpdate
from actorrt.rl.algorithms.dqn import DQNUpdate
from actorrt.rl.algorithms.es import ESUpdate, centred_ranks
from actorrt.rl.algorithms.gradient_update import GradientUpdate
from actorrt.rl.algorithms.impala import IMPALAUpdate
from actorrt.rl.algorithms.off_policy_update import OffPolicyUpdate
from actorrt.rl.algorithms.ppo import ClippedUpdate, Pass, PPOUpdate, divergence
from actorrt.rl.environments.description import describe
from actorrt.rl.environments.making import make_environment
from actorrt.rl.environments.seeded_environments import SeededEnvironments
from actorrt.rl.environments.seeds import episode_seed
from actorrt.rl.evolution.perturbation import direction
from actorrt.rl.foundation.source_page import joined
from actorrt.rl.networks.action_values import action_values, back_to_heads
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.factory import make_policy
from actorrt.rl.replay.n_step import n_step_rows
from actorrt.rl.roles.learner import UpdateRule
from actorrt.rl.rollouts.evaluation import evaluate
from actorrt.rl.rollouts.returns import generalised_advantages, importance, next_values, vtrace
from actorrt.rl.rollouts.sampler import Sampler
from actorrt.rl.rollouts.stream import stream
from actorrt.rl.rollouts.transitions import Transitions, corrected_transitions, normalised, transitions
from actorrt.rl.settings.algorithm_settings import RolloutSettings
from actorrt.rl.settings.evolution_settings import EvolutionSettings
from actorrt.rl.spaces.array_spaces import Array

TITLE = """{name} on one page, as rl.source({key!r}) joined it from the sources of actorrt.

{remark}
"""
RUNS = "Run it to train on CartPole-v1, in this process alone. What only checkpoints need is left out."
RUNS_TOGETHER = "Run it to train on CartPole-v1, with two simulators. What only checkpoints need is left out."
LEFT_OUT = ("state", "resume", "join", "snapshot", "restore")


def train(
    settings: RolloutSettings, make_rule: Callable[[PolicySpec, Array], UpdateRule], env_id: str = "CartPole-v1"
) -> None:
    """Collect fragments and learn from them, in turn."""
    spec = describe(env_id, hidden=settings.hidden, activation=settings.activation, heads=settings.heads)
    policy = make_policy(spec)
    rule = make_rule(spec, policy.init(seed=0))
    environments = SeededEnvironments(
        lambda: make_environment(env_id), settings.environments, lambda k, episode: episode_seed(0, k, episode)
    )
    sampler = Sampler(environments, policy, settings.horizon, np.random.default_rng(0), gamma=settings.gamma)
    steps = 0
    while steps < settings.steps:
        fragment = sampler.collect()
        metrics = rule((fragment,), remaining=1.0 - steps / settings.steps)
        policy.set_parameters(rule.parameters(), policy.version + 1)
        steps += fragment.step_count
        if len(fragment.episode_return):
            mean, loss = fragment.episode_return.mean(), metrics["value_loss"]
            print(f"{steps:8,} steps   return {mean:6.1f}   value loss {loss:.4g}")
    sampler.close()


def evolve(settings: EvolutionSettings, rule: ARSUpdate | ESUpdate, updates: int, env_id: str = "CartPole-v1") -> None:
    """Play an episode with each direction added and subtracted, and move along their weighted sum, in turn."""
    policy = make_policy(describe(env_id, hidden=settings.hidden, activation=settings.activation))
    parameters = policy.init(seed=0)

    def episode_return(moved: Array, seed: int) -> float:
        policy.set_parameters(moved, 0)
        return evaluate(policy, env_id, episodes=1, seed=seed).mean

    for update in range(updates):
        noise = np.array([direction(0, update, number, len(parameters)) for number in range(settings.directions)])
        steps = settings.deviation * noise
        returns = np.array([[episode_return(parameters + sign * each, update) for sign in (1, -1)] for each in steps])
        weights, _ = rule.weigh(returns)
        parameters = rule.move(parameters, weights @ noise)
        print(f"{update + 1:4} updates   return {returns.mean():6.1f}")


def train_together(settings: A3CSettings, env_id: str = "CartPole-v1", simulators: int = 2) -> None:
    """Let each simulator collect and learn, without waiting for the others; print what they report."""
    art.init()
    spec = describe(env_id, hidden=settings.hidden, activation=settings.activation)
    server = GradientServer.spawn(settings, settings.steps, make_policy(spec).init(seed=0)).result()
    arguments = {"envs": settings.environments // simulators, "horizon": settings.horizon, "gamma": settings.gamma}
    processes = GradientSimulator.options(cpus=1, restart="permanent")
    team = processes.spawn_many(simulators, env_id, server, policy=spec, settings=settings, **arguments).result()
    steps = 0
    for batch in stream(team, steps=1_000):
        steps += batch.step_count
        returns = [total for report in batch.fragments for total in report.episode_return]
        version = max(report.policy_version for report in batch.fragments)
        print(f"{steps:8,} steps   return {np.mean(returns):6.1f}   {version:,} gradients")
        if steps >= settings.steps:
            break


class Page(NamedTuple):
    """The content of a page.

    Attributes:
        parts: functions and classes, in the order of reading.
        ending: code that trains by them.
        remark: how to run it.
    """

    parts: tuple[Any, ...]
    ending: str
    remark: str = RUNS


ESTIMATES = (next_values, generalised_advantages, Transitions, transitions)
CORRECTED = (importance, vtrace, Transitions, corrected_transitions)
ENDING = """if __name__ == "__main__":
    chosen = {name}Settings.preset("CartPole-v1", steps=20_000)
    train(chosen, lambda spec, parameters: {name}Update(chosen, spec, parameters{seed}))"""
TOGETHER = """if __name__ == "__main__":
    train_together(A3CSettings.preset("CartPole-v1", steps=20_000))"""
EVOLUTION = """if __name__ == "__main__":
    chosen = {name}Settings.preset("CartPole-v1")
    evolve(chosen, {name}Update(chosen), updates={updates})"""

PAGES: Mapping[str, Page] = {
    "ppo": Page(
        (*ESTIMATES, normalised, GradientUpdate, Pass, ClippedUpdate, divergence, PPOUpdate, train),
        ENDING.format(name="PPO", seed=", seed=0"),
    ),
    "appo": Page(
        (next_values, *CORRECTED, normalised, GradientUpdate, Pass, ClippedUpdate, divergence, APPOUpdate, train),
        ENDING.format(name="APPO", seed=", seed=0"),
    ),
    "impala": Page(
        (next_values, *CORRECTED, actor_critic_gradient, GradientUpdate, IMPALAUpdate, train),
        ENDING.format(name="IMPALA", seed=""),
    ),
    "a2c": Page(
        (*ESTIMATES, normalised, actor_critic_gradient, GradientUpdate, A2CUpdate, train),
        ENDING.format(name="A2C", seed=""),
    ),
    "a3c": Page(
        (
            *ESTIMATES,
            normalised,
            actor_critic_gradient,
            Contribution,
            GradientServer,
            GradientSimulator,
            train_together,
        ),
        TOGETHER,
        RUNS_TOGETHER,
    ),
    "dqn": Page(
        (n_step_rows, action_values, back_to_heads, GradientUpdate, OffPolicyUpdate, DQNUpdate, train),
        ENDING.format(name="DQN", seed=", seed=0"),
    ),
    "ars": Page((direction, ARSUpdate, evolve), EVOLUTION.format(name="ARS", updates=100)),
    "es": Page((direction, centred_ranks, ESUpdate, evolve), EVOLUTION.format(name="ES", updates=30)),
}


def source(name: str, file: TextIO | None = None) -> None:
    """Print an algorithm as one page, to read or to run: `rl.source("ppo")`.

    Args:
        name: of the algorithm, such as `"ppo"`.
        file: where to print it, as for `print`.

    Raises:
        ValueError: there is no algorithm of this name.
    """
    print(page_of(name), end="", file=file)


def page_of(name: str) -> str:
    """Return the page of an algorithm; see `source`."""
    key = str(name).lower()
    if key not in PAGES:
        matches = difflib.get_close_matches(key, PAGES, n=1)
        hint = f"did you mean {matches[0]!r}?" if matches else f"there are {', '.join(PAGES)}"
        raise ValueError(f"there is no algorithm {name!r}; {hint}")
    page = PAGES[key]
    return joined(TITLE.format(name=key.upper(), key=key, remark=page.remark), page.parts, page.ending, LEFT_OUT)
