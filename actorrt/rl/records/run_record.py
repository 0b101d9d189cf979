"""Pure: the history of a run, and its form in a checkpoint."""

from __future__ import annotations

import collections
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

RETURN_WINDOW_EPISODES = 100
ROW_LIMIT = 10_000


@dataclass
class RunRecord:
    """The history of a run.

    Attributes:
        rows: one dictionary for each update. Whenever there are more than `ROW_LIMIT`, every second one is removed.
        evaluations: steps and mean return of each evaluation.
        episode_returns: returns of the last training episodes.
        update_count: updates so far.
        steps: transitions learnt from.
        seconds: duration of the run before it was resumed.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[tuple[int, float]] = field(default_factory=list)
    episode_returns: collections.deque[float] = field(
        default_factory=lambda: collections.deque(maxlen=RETURN_WINDOW_EPISODES)
    )
    update_count: int = 0
    steps: int = 0
    seconds: float = 0.0

    @property
    def return_mean(self) -> float:
        """Mean return of the last episodes; NaN before the first."""
        returns = self.episode_returns
        return sum(returns) / len(returns) if returns else math.nan

    @property
    def return_std(self) -> float:
        """Standard deviation of the returns of the last episodes; NaN before the first."""
        mean, returns = self.return_mean, self.episode_returns
        # A sum of squares would overflow for very large returns.
        return math.hypot(*(value - mean for value in returns)) / math.sqrt(len(returns)) if returns else math.nan

    def add(self, row: dict[str, Any]) -> None:
        """Add the row of an update."""
        self.rows.append(row)
        if len(self.rows) > ROW_LIMIT:
            del self.rows[-2::-2]  # the newest row stays

    def state(self, seconds: float) -> dict[str, Any]:
        """Return the history as plain values and arrays, `seconds` after the run began."""
        names = list(self.rows[-1]) if self.rows else []
        return {
            "update_count": self.update_count,
            "steps": self.steps,
            "seconds": seconds,
            "evaluations": self.evaluations,
            "episode_returns": list(self.episode_returns),
            "rows": {name: _column([row.get(name) for row in self.rows]) for name in names},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the result of `state`."""
        self.update_count, self.steps, self.seconds = state["update_count"], state["steps"], state["seconds"]
        self.evaluations = [(steps, mean) for steps, mean in state["evaluations"]]
        self.episode_returns.extend(state["episode_returns"])
        columns = {name: column.tolist() for name, column in state["rows"].items()}
        self.rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _column(values: list[Any]) -> Any:
    is_whole = all(isinstance(value, int) for value in values)
    return np.array(values, np.int64 if is_whole else np.float64)
