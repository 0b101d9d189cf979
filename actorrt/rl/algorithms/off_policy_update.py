"""The base of update rules that learn from a replay table: which transitions come, and how often they are used."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from actorrt.rl.algorithms.gradient_update import GradientUpdate
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.replay.limiters import MinSize
from actorrt.rl.replay.n_step import n_step_rows
from actorrt.rl.replay.selectors import Prioritised, Uniform
from actorrt.rl.replay.service import ReplayService, Sample
from actorrt.rl.replay.table import Table
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.settings.off_policy_settings import OffPolicySettings
from actorrt.rl.settings.schedules import scheduled
from actorrt.rl.spaces.array_spaces import Array

TABLE = "transitions"
SMALLEST_PRIORITY = 1e-6


class OffPolicyUpdate(GradientUpdate):
    """Keeps transitions, and makes as many updates as have become due; the subclasses make one update.

    Args:
        settings: of the algorithm.
        spec: spec of the policy.
        parameters: the initial flat vector.
        seed: of the choice of transitions.
    """

    settings: OffPolicySettings

    def __init__(self, settings: OffPolicySettings, spec: PolicySpec, parameters: Array, seed: int) -> None:
        super().__init__(settings, spec, parameters)
        self.spec = spec
        table = Table(
            name=TABLE,
            max_size=settings.replay_size,
            sampler=Prioritised(settings.priority_exponent) if settings.prioritised else Uniform(),
            limiter=MinSize(settings.learning_starts),
        )
        self._replay = ReplayService([table], seed)
        self._steps = 0  # transitions that have arrived
        self._updates = 0
        self._due = 0.0  # updates, with the part of one that is left over
        self._largest_priority = 1.0

    def update(self, sample: Sample, weights: Array, learning_rate: float) -> tuple[Array, dict[str, float]]:
        """Make one update.

        Args:
            sample: transitions, with the columns of `n_step.Rows`.
            weights: of the transitions in the loss, (rows,).
            learning_rate: of the optimiser.

        Returns:
            The error of each transition's value, (rows,), which decides its priority; and metrics.
        """
        raise NotImplementedError

    def arrived(self, before: int, steps: int) -> None:
        """Called when the number of transitions that have arrived has grown, before updates are made."""

    def explores(self, progress: float) -> dict[str, float]:
        """Set how the policy explores from now on, `progress` of the run being over; return it as metrics."""
        raise NotImplementedError

    def __call__(self, fragments: tuple[Fragment, ...], remaining: float) -> dict[str, float]:
        """Keep the transitions, and make the updates that are due.

        Args:
            fragments: fragments with at least one transition.
            remaining: share of the run that is still to come, 1 to 0.

        Returns:
            Means over the updates, NaN if there were none, of what `update` returns; `learning_rate`, `updates` so far,
            `updates_per_step` as they happened, `replay_size`, and how the policy explores.
        """
        settings, before = self.settings, self._steps
        for fragment in fragments:
            self._keep(fragment)
        arrived = self._steps - before
        self.arrived(before, self._steps)
        learning_rate = scheduled(settings.learning_rate, settings.learning_rate_schedule, remaining)
        measured: list[dict[str, float]] = []
        if self._replay.table(TABLE).allowed_samples() >= 1:  # not at first, nor after a snapshot, which has no table
            self._due += arrived * settings.updates_per_step
            importance = settings.importance_exponent + (1.0 - settings.importance_exponent) * (1.0 - remaining)
            while self._due >= 1.0:
                measured.append(self._update_once(importance, learning_rate))
                self._due -= 1.0
        self._updates += len(measured)
        names = measured[0] if measured else self.no_metrics()
        means = {n: sum(each[n] for each in measured) / len(measured) if measured else math.nan for n in names}
        return means | {
            "learning_rate": learning_rate,
            "updates": self._updates,
            "updates_per_step": self._updates / self._steps,
            "replay_size": len(self._replay.table(TABLE)),
            **self.explores(1.0 - remaining),
        }

    def no_metrics(self) -> tuple[str, ...]:
        """Return the names of the metrics of an update, for those rows of a run that have none."""
        raise NotImplementedError

    def _keep(self, fragment: Fragment) -> None:
        rows = n_step_rows(fragment, n_step=self.settings.n_step, gamma=self.settings.gamma)
        if len(rows.reward):
            self._replay.insert(rows.columns(), {TABLE: self._largest_priority})
            self._steps += len(rows.reward)

    def _update_once(self, importance: float, learning_rate: float) -> dict[str, float]:
        sample = self._replay.sample(TABLE, self.settings.minibatch_size).sample
        assert sample is not None, "the table has enough transitions"
        weights = np.ones(len(sample), np.float32)
        if self.settings.prioritised:
            drawn = (sample.table_size * sample.probabilities) ** -importance
            weights = (drawn / drawn.max()).astype(np.float32)
        error, metrics = self.update(sample, weights, learning_rate)
        if self.settings.prioritised:
            priorities = np.abs(error) + SMALLEST_PRIORITY
            self._largest_priority = max(self._largest_priority, float(priorities.max()))
            self._replay.update(TABLE, sample.keys, priorities)
        return metrics

    def snapshot(self) -> dict[str, Any]:
        """Return the state for the next incarnation of the learner, which begins with an empty table.

        A table may have gigabytes, and a snapshot is taken every few seconds; simulators fill it again.
        """
        return super().state() | {
            "steps": self._steps,
            "updates": self._updates,
            "due": self._due,
            "largest_priority": self._largest_priority,
        }

    def state(self) -> dict[str, Any]:
        """Return the state that another rule needs to continue from the parameters, with all transitions."""
        return self.snapshot() | {"replay": self._replay.state()}

    def resume(self, state: dict[str, Any]) -> None:
        """Take over another rule's `state`, or its `snapshot`."""
        super().resume(state)
        self._steps, self._updates, self._due = state["steps"], state["updates"], state["due"]
        self._largest_priority = state["largest_priority"]
        if "replay" in state:
            self._replay.resume(state["replay"])
