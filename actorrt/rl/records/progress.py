"""Pure: the progress of a run, one `Progress` for each update."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Times:
    """How a run spent its time since it was started or resumed.

    Attributes:
        sampling_s: mean time that a simulator stepped environments and acted.
        waiting_s: time that the run waited for simulators.
        learning_s: time that the run waited for updates.
    """

    sampling_s: float = 0.0
    waiting_s: float = 0.0
    learning_s: float = 0.0

    def add(self, sampling_s: float = 0.0, waiting_s: float = 0.0, learning_s: float = 0.0) -> Times:
        """Return the sum of these times and more."""
        return Times(self.sampling_s + sampling_s, self.waiting_s + waiting_s, self.learning_s + learning_s)


@dataclass(frozen=True)
class Progress:
    """The state of a run after an update.

    Attributes:
        steps: transitions learnt from so far.
        total_steps: largest number of steps of the run.
        seconds: time since the run began.
        steps_per_s: over the last seconds.
        return_mean: mean return of the last training episodes; NaN before the first episode.
        evaluation: score of the best policy so far, including evaluations after the update; None before the first.
        policy_lag: mean lag of the batch, in versions.
        simulators: number of simulators.
        simulators_alive: number of simulators that are not being restarted.
        simulators_restarted: restarts so far. A restart counts when a result of the new incarnation, or of a later one,
            has arrived.
        metrics: metrics of the update rule.
        trained_on: simulator, incarnation and process id of each fragment of the batch.
        update: number of the update, from 1.
        return_std: standard deviation of the returns of which `return_mean` is the mean.
        counters: numbers of dropped, repeated and lost fragments, by name.
        times: how the run spent its time.
        running_s: the time over which `times` counts: since all roles had started.
        trained_shares: for each simulator, the share of its fragments that were trained on since the run was started or
            resumed; the others came too late. NaN before its first fragment; empty for ARS and ES.
        is_evaluated: whether the run evaluates policies.
    """

    steps: int
    total_steps: int
    seconds: float
    steps_per_s: float
    return_mean: float
    evaluation: float | None
    policy_lag: float
    simulators: int
    simulators_alive: int
    simulators_restarted: int
    metrics: dict[str, Any]
    trained_on: tuple[tuple[int, int, int], ...]
    update: int = 0
    return_std: float = math.nan
    counters: dict[str, int] = field(default_factory=dict)
    times: Times = Times()
    running_s: float = 0.0
    trained_shares: tuple[float, ...] = ()
    is_evaluated: bool = True

    @property
    def left_s(self) -> float:
        """Seconds until `total_steps` at the present rate."""
        return (self.total_steps - self.steps) / self.steps_per_s if self.steps_per_s else float("inf")

    def row(self) -> dict[str, Any]:
        """Return it as a row of `Run.metrics`."""
        return {
            "update": self.update,
            "steps": self.steps,
            "seconds": self.seconds,
            "steps_per_s": self.steps_per_s,
            "return_mean": self.return_mean,
            "return_std": self.return_std,
            "best_evaluation": self.evaluation,
            "policy_lag": self.policy_lag,
            "sampling_s": self.times.sampling_s,
            "waiting_s": self.times.waiting_s,
            "learning_s": self.times.learning_s,
            **self.counters,
            **{f"trained_share_{simulator}": share for simulator, share in enumerate(self.trained_shares)},
            **self.metrics,
        }
