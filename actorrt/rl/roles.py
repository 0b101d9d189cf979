"""The supervisor of a run's roles, as far as all algorithms have the same ones: a parameter server and an evaluator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import actorrt as art
from actorrt.rl.evaluator import Evaluator
from actorrt.rl.parameters import ParameterServer
from actorrt.rl.plan import Plan


class Roles(art.Supervisor):
    """Supervises the roles of one run; whoever dies is replaced within it.

    Args:
        plan: of the run.
    """

    strategy = "one_for_one"
    max_restarts, period_s = 30, 30

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._server = f"{plan.name}/parameters"

    def children(self) -> Iterator[art.Child]:
        """Yield the roles: the parameter server, the algorithm's own, the evaluator."""
        yield self._parameter_server()
        yield from self._own_roles()
        plan = self._plan
        arguments = (plan.policy, self._server, plan.seed, plan.environment)
        options: dict[str, Any] = {"isolation": "process", "hang_timeout_s": plan.settings.hang_timeout_s}
        yield art.Child(Evaluator, *arguments, id="evaluator", **options)

    def _parameter_server(self) -> art.Child:
        version, parameters, normaliser = self._plan.weights
        return art.Child(ParameterServer, parameters, version, normaliser, id="parameters", name=self._server)

    def _own_roles(self) -> Iterator[art.Child]:
        """Yield the roles that the algorithm has beside those."""
        raise NotImplementedError
