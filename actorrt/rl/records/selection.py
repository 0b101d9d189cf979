"""Pure: decides when to evaluate, which policy is best so far, and whether a policy has reached the return to stop at.

Twenty episodes are few, so the first policy whose mean passes a threshold passes it partly by luck. Therefore a policy
that seems to reach `stop_return` is played again on other episodes. It has reached the return if the second mean, less
its standard error, does. Its score is then the smaller of the two means. An evaluation with episodes that were cut off
shows nothing of their whole returns, so it never reaches `stop_return`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actorrt.rl.policies.weights import Weights
from actorrt.rl.rollouts.evaluation import Evaluation


@dataclass(frozen=True, eq=False)
class Candidate:
    """A policy that was evaluated.

    Attributes:
        weights: parameters and normaliser of the policy.
        score: mean return of its evaluation, or the smaller mean of two evaluations.
        std: standard deviation between the episodes of that evaluation.
    """

    weights: Weights
    score: float
    std: float

    def to_data(self) -> dict[str, Any]:
        """Return the candidate as plain values and arrays."""
        return {"weights": self.weights.to_data(), "score": self.score, "std": self.std}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Candidate:
        """Rebuild what `to_data` made."""
        return cls(Weights.from_data(data["weights"]), data["score"], data["std"])


class Selection:
    """Decides what to evaluate next, and keeps the best policy.

    Args:
        evaluate_every: smallest number of steps between two evaluations; None evaluates nothing.
        stop_return: return at which the run ends, or None.

    Attributes:
        best: the best policy that was evaluated so far; None before the first evaluation.
        stand_in: the newest policy, if it stands in for the best one while none was evaluated; None otherwise.
        is_reached: whether a policy reached `stop_return`.
        count: number of evaluations begun.
    """

    def __init__(self, evaluate_every: int | None, stop_return: float | None) -> None:
        self._every, self._stop_return = evaluate_every, stop_return
        self._next_at = evaluate_every or 0
        self._in_doubt: Candidate | None = None
        self.best: Candidate | None = None
        self.stand_in: Weights | None = None
        self.is_reached = False
        self.count = 0

    def is_due(self, steps: int) -> bool:
        """Whether an evaluation is due after so many steps: of the newest policy, or of one in doubt."""
        if self._every is None or self.is_reached:
            return False
        return self._in_doubt is not None or steps >= self._next_at

    @property
    def chosen(self) -> Weights | None:
        """The weights of the best policy, or of its stand-in; None if there is neither."""
        return self.stand_in if self.best is None else self.best.weights

    @property
    def in_doubt(self) -> Candidate | None:
        """The policy that has to be confirmed by a second evaluation; None if there is none."""
        return self._in_doubt

    def begin(self, steps: int) -> int:
        """Called when an evaluation begins. Returns its number."""
        if self._in_doubt is None:
            self._next_at = steps + (self._every or 0)
        self.count += 1
        return self.count - 1

    def evaluated(self, evaluation: Evaluation, weights: Weights) -> None:
        """Called when an evaluation has ended."""
        candidate = Candidate(weights, evaluation.mean, evaluation.std)
        first, self._in_doubt = self._in_doubt, None
        if first is not None:
            self.is_reached = self._reaches(evaluation, candidate.score - evaluation.standard_error)
            candidate = min(first, candidate, key=lambda each: each.score)
        elif self._reaches(evaluation, candidate.score):
            self._in_doubt = candidate
            return
        if self.is_reached or self.best is None or candidate.score >= self.best.score:
            self.best = candidate

    def give_up(self, newest: Weights | None) -> None:
        """Called when no further evaluation ends: without a best policy, the one in doubt or the newest one is it.

        Args:
            newest: the newest policy; None if it is not known.
        """
        self.best = self.best or self._in_doubt
        self.stand_in = newest

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint; a policy in doubt is not part of it."""
        best = None if self.best is None else self.best.to_data()
        return {"next_at": self._next_at, "count": self.count, "best": best}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the result of `state`."""
        self._next_at, self.count = state["next_at"], state["count"]
        if state["best"] is not None and self._every is not None:  # without evaluations, the newest policy is the best
            self.best = Candidate.from_data(state["best"])

    def _reaches(self, evaluation: Evaluation, mean: float) -> bool:
        return self._stop_return is not None and not evaluation.unfinished and mean >= self._stop_return
