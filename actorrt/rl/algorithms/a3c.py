"""Asynchronous advantage actor-critic (Mnih et al. 2016, algorithm S3): settings and supervisor.

Each simulator computes the gradient of its fragment, and the parameter server applies it at once; no process waits for
another. The roles are in `a3c_roles`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import actorrt as art
from actorrt.rl.algorithms.a2c import A2CSettings
from actorrt.rl.algorithms.a3c_roles import GradientServer, GradientSimulator
from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.presets.a3c import PRESETS
from actorrt.rl.rollouts.fragment_collector import Order
from actorrt.rl.rollouts.trajectory import Batch
from actorrt.rl.runs.training import Training, TrainingLoop
from actorrt.rl.settings.schedules import scheduled


@dataclass(frozen=True, kw_only=True)
class A3CSettings(A2CSettings):
    """Settings of asynchronous advantage actor-critic: those of A2C, with a gradient for each fragment."""

    algorithm: ClassVar[str] = "A3C"
    allows_lag: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    max_lag: int | None = None
    order: Order | None = "completion"

    def __post_init__(self) -> None:
        if self.order == "deterministic":
            raise ValueError(
                "A3C takes no order='deterministic': its gradients are applied in the order of their arrival"
            )
        super().__post_init__()
        if self.max_lag is not None:
            raise ValueError(f"A3C takes no max_lag={self.max_lag}: its gradients are applied however old they are")
        if self.learners != 1:
            raise ValueError(
                f"A3C has no separate learners, since its simulators learn: leave out learners={self.learners}"
            )
        if self.inference_actor:
            raise ValueError("A3C takes no inference_actor=True: its simulators learn, so each of them has the network")


class A3CTraining(Training):
    """Supervises the roles of one run; there is no learner, since the parameter server learns."""

    simulator_class = GradientSimulator

    def _parameter_server(self) -> art.Child:
        version, parameters, normaliser = self._plan.weights
        arguments = (self._plan.settings, self._plan.steps, parameters, version, normaliser)
        return self._as_parameter_server(GradientServer, *arguments)

    def _own_roles(self) -> Iterator[art.Child]:
        return self._simulators(settings=self._plan.settings)


class A3CLoop(TrainingLoop):
    """Asks simulators to learn, and counts their steps; see `RunLoop` for the arguments."""

    supervisor_class = A3CTraining

    async def _find_learners(self, training: Any) -> list[Any]:
        """Return the parameter server."""
        return [await training.child("parameters")]

    async def _improve(self, batch: Batch) -> dict[str, Any]:
        """Return the mean metrics of the simulators, whose gradients have been applied already."""
        contributions: Any = batch.fragments
        names = contributions[0].metrics
        means = {name: sum(each.metrics[name] for each in contributions) / len(contributions) for name in names}
        settings, remaining = self._plan.settings, max(0.0, 1.0 - self._record.steps / self._plan.steps)
        means["learning_rate"] = scheduled(settings.learning_rate, settings.learning_rate_schedule, remaining)
        return means | {"policy_version": max(each.policy_version for each in contributions)}


class A3C(Algorithm):
    """Trains a policy by asynchronous advantage actor-critic; see `Algorithm` for the arguments."""

    settings_class = A3CSettings
    loop_class = A3CLoop
