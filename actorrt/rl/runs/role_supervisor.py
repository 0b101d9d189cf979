"""The supervisor of a run's roles. It starts those that all algorithms have: a parameter server and an evaluator."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Generic

import actorrt as art
from actorrt.rl.environments.making import EnvMaker, id_of
from actorrt.rl.networks.network import backend_of
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.roles.evaluator import Evaluator
from actorrt.rl.roles.parameters import SNAPSHOT_EVERY, ParameterServer
from actorrt.rl.runs.plan import AnyPlan, Plan, S_co
from actorrt.rl.settings.algorithm_settings import RolloutSettings

GYMNASIUM_OWN = "gymnasium.envs."
WITH_TORCH = ("actorrt.rl.policies.torch_policy", "actorrt.rl.networks.torch_network")
"""What the roles that need torch find imported; their processes are forked from a zygote of their own."""


def imported_by_roles(env: EnvMaker) -> list[str]:
    """Return the modules that every role of a run imports: this library, Gymnasium, and the module of the environment.

    The last only for Gymnasium's own environments: importing other modules may have side effects, which belong into the
    processes that need them.
    """
    modules = ["actorrt.rl", "actorrt.rl.rollouts.sampler"]
    gymnasium = sys.modules.get("gymnasium")  # it was imported when the environment was described
    if gymnasium is None:
        return modules
    modules.append("gymnasium")
    known = gymnasium.registry.get(id_of(env))
    entry_point = "" if known is None else str(known.entry_point)
    if entry_point.startswith(GYMNASIUM_OWN):
        modules.append(entry_point.partition(":")[0])
    return modules


def imported_to_act(spec: PolicySpec) -> tuple[str, ...]:
    """Return the modules with which a role that acts is forked: those of torch, if the policy acts in torch."""
    return () if spec.network == "mlp" else WITH_TORCH


def imported_to_learn(plan: AnyPlan) -> tuple[str, ...]:
    """Return the modules with which the learner is forked: those of torch, if it learns in torch."""
    if not isinstance(plan.settings, RolloutSettings):  # the loop itself learns
        return ()
    return WITH_TORCH if backend_of(plan.policy, plan.settings.backend) == "torch" else ()


def imported_apart(plan: AnyPlan) -> tuple[str, ...]:
    """Return the modules with which only some roles of a run are forked."""
    return imported_to_act(plan.policy) or imported_to_learn(plan)


class RoleSupervisor(art.Supervisor, Generic[S_co]):
    """Supervises the roles of one run, and restarts those that die.

    It never gives up. The loop of the run does, since only the loop knows whether a role had a result between two
    failures: many simulators that fail now and then are no reason to end a run.

    Args:
        plan: of the run.
    """

    strategy = "one_for_one"
    max_restarts = None

    def __init__(self, plan: Plan[S_co]) -> None:
        self._plan = plan
        self._server = f"{plan.name}/parameters"

    def children(self) -> Iterator[art.Child]:
        """Yield the roles: the parameter server, the algorithm's own, and the evaluator if the run evaluates."""
        yield self._parameter_server()
        yield from self._own_roles()
        if self._plan.settings.evaluate_every is not None:
            yield self._evaluator()

    def _evaluator(self) -> art.Child:
        plan, settings = self._plan, self._plan.settings
        arguments = (plan.policy, self._server, plan.seed, plan.evaluation_environment, settings.evaluation_steps)
        options: dict[str, Any] = {"isolation": "process", "hang_timeout_s": settings.hang_timeout_s}
        options |= {"preload": imported_to_act(plan.policy)}
        how: dict[str, Any] = {
            "deterministic": settings.evaluation_deterministic,
            "on_env_error": settings.on_env_error,
        }
        return art.Child(Evaluator, *arguments, **how, id="evaluator", **options)

    def _parameter_server(self) -> art.Child:
        version, parameters, normaliser = self._plan.weights
        return self._as_parameter_server(ParameterServer, parameters, version, normaliser)

    def _as_parameter_server(self, server_class: type[ParameterServer], *arguments: Any) -> art.Child:
        options: dict[str, Any] = {"name": self._server, "snapshot_every": SNAPSHOT_EVERY}
        return art.Child(server_class, *arguments, id="parameters", **options)

    def _own_roles(self) -> Iterator[art.Child]:
        """Yield the algorithm's own roles."""
        raise NotImplementedError
