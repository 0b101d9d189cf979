"""One run that learns from whole episodes: directions as work items for any number of simulators.

Every update sends out its directions, takes what comes back in order of completion, and moves the parameters. What
it makes of the returns is the algorithm's, in its settings. Since directions and episodes follow from numbers, and the
returns are used in the directions' order, one seed gives one run, whoever played what and whoever died.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import actorrt as art
from actorrt.rl.crew import Crew
from actorrt.rl.evaluations import Evaluations
from actorrt.rl.explorer import Explorer
from actorrt.rl.loop import Loop
from actorrt.rl.normaliser import merged
from actorrt.rl.perturbation import direction
from actorrt.rl.plan import Plan
from actorrt.rl.policy import Weights
from actorrt.rl.roles import Roles


class Evolution(Roles):
    """Supervises the roles of one run."""

    def _own_roles(self) -> Iterator[art.Child]:
        """Yield the simulators; there is no learner, since an update is a sum of few vectors."""
        return (explorer(self._plan, index) for index in range(self._plan.simulators))


def explorer(plan: Plan, index: int) -> art.Child:
    """Return one simulator of a run."""
    arguments = (plan.policy, plan.settings.deviation, plan.seed, index, plan.environment)
    options: dict[str, Any] = {"cpus": 1, "hang_timeout_s": plan.settings.hang_timeout_s}
    return art.Child(Explorer, *arguments, id=f"simulator-{index}", **options)


class EvolutionLoop(Loop):
    """Explores directions and moves along those that pay; see `Loop` for its arguments."""

    supervisor_class = Evolution
    _wanted = 0  # simulators; 0 is as many as the plan says

    async def _train(self, supervisor: Any) -> None:
        plan = self._plan
        self._server = await supervisor.child("parameters")
        crew = Crew([await supervisor.child(f"simulator-{index}") for index in range(plan.simulators)])
        self._wanted = self._wanted or plan.simulators
        evaluator = await supervisor.child("evaluator")
        evaluations = Evaluations(evaluator, self._selection, self._record, self._callbacks)
        self._weights, self._rule = plan.weights, plan.settings.update_rule()
        if plan.checkpoint is not None:
            self._rule.go_on(plan.checkpoint["learner"])
        while not self._is_over():
            await self._adjust(supervisor, crew)
            await self._improve(crew)
            await evaluations.look()
            if self._is_checkpoint_due():
                await self._save()
        await self._save()
        await evaluations.finish()
        await self._save()

    def resize(self, simulators: int) -> None:
        """Have so many simulators from the next update on."""
        self._wanted = simulators

    async def _adjust(self, supervisor: Any, crew: Crew) -> None:
        """Let simulators join or leave, the last ones first, until there are as many as are wanted."""
        while len(crew) < self._wanted:
            crew.join(await supervisor.start_child(explorer(self._plan, len(crew))))
        while len(crew) > self._wanted:
            crew.leave()
            await supervisor.stop_child(f"simulator-{len(crew)}")

    async def _improve(self, crew: Crew) -> None:
        """Make one update; its number is the version that it starts from."""
        settings, (iteration, parameters, normaliser) = self._plan.settings, self._weights
        began_at = time.monotonic()
        explorations = await crew.explore(self._weights, iteration, settings.directions)
        explored_at = time.monotonic()
        sampling_s = sum(each.collect_s for each in explorations) / len(crew)
        returns = np.array([each.returns for each in explorations])
        lengths = np.array([each.lengths for each in explorations])
        noise = np.array(
            [direction(self._plan.seed, iteration, number, len(parameters)) for number in range(settings.directions)]
        )
        moved, metrics = self._rule(parameters, noise, returns - settings.alive_bonus_offset * lengths)
        seen = merged(each.seen for each in explorations)
        if normaliser is not None and seen is not None:
            normaliser = normaliser.merged(seen)
        self._weights = Weights(iteration + 1, moved, normaliser)
        await self._server.publish(moved, iteration + 1, seen)
        self._record.steps += int(lengths.sum())
        self._record.episode_returns.extend(returns.ravel().tolist())
        sources = tuple(each.source for each in explorations)
        self._times = self._times.add(sampling_s, explored_at - began_at, time.monotonic() - explored_at)
        await self._report({**metrics, "policy_version": iteration + 1}, crew.statistics(), sources)

    async def _save(self) -> None:
        self._saved_at = time.monotonic()
        tree = {
            "origin": self._plan.origin(),
            "record": self._record.state(self._seconds),
            "selection": self._selection.state(),
            "weights": self._weights.to_data(),
            "learner": self._rule.state(),
        }
        await self._write(tree)
