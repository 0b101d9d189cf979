"""One run that learns from whole episodes: directions as work items for any number of simulators.

Every update sends out its directions, takes what comes back in order of completion, and moves the parameters. What
it makes of the returns is the algorithm's, in its settings. Since directions and episodes follow from numbers, and the
returns are used in the directions' order, one seed gives one run, whoever played what and whoever died.
"""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import actorrt as art
from actorrt.rl.evaluations import Evaluations
from actorrt.rl.explorer import Exploration, Explorer
from actorrt.rl.intake import RAISES_LIMIT, RETRY_CAP_S, RETRY_FLOOR_S
from actorrt.rl.loop import Loop
from actorrt.rl.normaliser import merged
from actorrt.rl.patience import arrival
from actorrt.rl.perturbation import direction
from actorrt.rl.policy import Weights
from actorrt.rl.roles import Roles

logger = logging.getLogger(__name__)

AHEAD = 2  # items that a simulator has at once, so that it does not wait for the next


class Evolution(Roles):
    """Supervises the roles of one run."""

    def _own_roles(self) -> Iterator[art.Child]:
        """Yield the simulators; there is no learner, since an update is a sum of few vectors."""
        plan = self._plan
        for index in range(plan.simulators):
            arguments = (plan.policy, plan.settings.deviation, plan.seed, index, plan.environment)
            yield art.Child(
                Explorer, *arguments, id=f"simulator-{index}", cpus=1, hang_timeout_s=plan.settings.hang_timeout_s
            )


class Crew:
    """The simulators of a run, which share work items among them.

    An item that was lost with its simulator goes to another. Each has a few items at once.
    """

    def __init__(self, simulators: list[Any]) -> None:
        self._simulators = simulators
        self._is_gone = [False] * len(simulators)
        self._failures = [0] * len(simulators)
        self._not_before = [0.0] * len(simulators)
        self._incarnations = [1] * len(simulators)
        self._raises = 0

    def statistics(self) -> dict[str, int]:
        """Return how many simulators are alive and were restarted."""
        dead = sum(1 for gone, failures in zip(self._is_gone, self._failures, strict=True) if gone or failures)
        return {
            "simulators_alive": len(self._simulators) - dead,
            "simulators_restarted": sum(self._incarnations) - len(self._simulators),
        }

    async def explore(self, weights: Weights, iteration: int, count: int) -> list[Exploration]:
        """Have `count` directions explored; return what came of them, in the directions' order.

        Raises:
            ActorDiedError: the last simulator is gone for good.
            Exception: what an environment raised again and again.
        """
        waiting = collections.deque(range(count))
        asked: dict[Any, tuple[int, int]] = {}  # the reply, and simulator and direction it is of
        found: dict[int, Exploration] = {}
        weights_ref = await art.put_async(weights)
        while len(found) < count:
            self._ask(waiting, asked, weights_ref, iteration)
            done, _ = await arrival(asked, self._look_again_s())
            for reply in [reply for reply in done if reply in asked]:
                index, number = asked.pop(reply)
                if not self._settle(index, number, reply, found):
                    waiting.append(number)
        return [found[number] for number in range(count)]

    def _ask(
        self, waiting: collections.deque[int], asked: dict[Any, tuple[int, int]], weights: Any, iteration: int
    ) -> None:
        """Hand out items, evenly, to whoever has room for more."""
        now = time.monotonic()
        loads = collections.Counter(index for index, _ in asked.values())
        for load in range(AHEAD):
            for index, simulator in enumerate(self._simulators):
                is_ready = not self._is_gone[index] and self._not_before[index] <= now
                if waiting and is_ready and loads[index] == load:
                    number = waiting.popleft()
                    asked[simulator.explore(weights, iteration, number)] = index, number
                    loads[index] += 1

    def _look_again_s(self) -> float | None:
        now = time.monotonic()
        later = [not_before - now for not_before in self._not_before if not_before > now]
        return min(later) if later else None

    def _settle(self, index: int, number: int, reply: Any, found: dict[int, Exploration]) -> bool:
        """Take in a reply; return whether its direction is done with."""
        error = reply.error()
        if error is None:
            found[number] = reply.value()
            self._failures[index] = self._raises = 0
            self._incarnations[index] = found[number].source[1]
            return True
        if isinstance(error, art.ActorDiedError):
            self._is_gone[index] = True
            if all(self._is_gone):
                raise error
            return False
        if not isinstance(error, art.ActorUnavailableError):
            self._raised(error)
        self._failures[index] += 1
        pause_s = min(RETRY_CAP_S, RETRY_FLOOR_S * 2.0 ** self._failures[index])
        self._not_before[index] = time.monotonic() + pause_s
        return False

    def _raised(self, error: Exception) -> None:
        self._raises += 1
        is_remote = not isinstance(error, art.ActorRtError) or isinstance(error, art.RemoteActorError)
        if not is_remote or self._raises >= RAISES_LIMIT:
            raise error
        notes = getattr(error, "__notes__", None) or ["a simulator"]
        logger.warning("%s: %s: %s; it is restarted", notes[0], type(error).__name__, error)


class EvolutionLoop(Loop):
    """Explores directions and moves along those that pay; see `Loop` for its arguments."""

    supervisor_class = Evolution

    async def _train(self, supervisor: Any) -> None:
        plan = self._plan
        self._server = await supervisor.child("parameters")
        crew = Crew([await supervisor.child(f"simulator-{index}") for index in range(plan.simulators)])
        evaluator = await supervisor.child("evaluator")
        evaluations = Evaluations(evaluator, self._selection, self._record, self._callbacks)
        self._weights, self._rule = plan.weights, plan.settings.update_rule()
        if plan.checkpoint is not None:
            self._rule.go_on(plan.checkpoint["learner"])
        while not self._is_over():
            await self._improve(crew)
            await evaluations.look()
            if self._is_checkpoint_due():
                await self._save()
        await self._save()
        await evaluations.finish()
        await self._save()

    async def _improve(self, crew: Crew) -> None:
        """Make one update; its number is the version that it starts from."""
        settings, (iteration, parameters, normaliser) = self._plan.settings, self._weights
        began_at = time.monotonic()
        explorations = await crew.explore(self._weights, iteration, settings.directions)
        explored_at = time.monotonic()
        sampling_s = sum(each.collect_s for each in explorations) / self._plan.simulators
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
