"""Pure: what is known of a run so far, and how it goes into a checkpoint."""

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
    """What is known of a run so far.

    Attributes:
        rows: one dictionary for each update. Of very long runs every second one goes, again and again, so that there
            are never more than `ROW_LIMIT`.
        update_count: updates so far.
        evaluations: steps and mean return of each evaluation.
        episode_returns: of the training episodes that ended last.
        steps: transitions learnt from.
        seconds: how long the run had gone on before it was resumed.
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
        """Mean return of the episodes that ended last; NaN before the first."""
        returns = self.episode_returns
        return sum(returns) / len(returns) if returns else math.nan

    @property
    def return_std(self) -> float:
        """Deviation between the returns of the episodes that ended last; NaN before the first."""
        mean, returns = self.return_mean, self.episode_returns
        return math.sqrt(sum((value - mean) ** 2 for value in returns) / len(returns)) if returns else math.nan

    def add(self, row: dict[str, Any]) -> None:
        """Add the row of an update."""
        self.rows.append(row)
        if len(self.rows) > ROW_LIMIT:
            del self.rows[-2::-2]  # the newest stays

    def state(self, seconds: float) -> dict[str, Any]:
        """Return it as plain values and arrays, `seconds` after the run began."""
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
        """Go on from what `state` returned."""
        self.update_count, self.steps, self.seconds = state["update_count"], state["steps"], state["seconds"]
        self.evaluations = [(steps, mean) for steps, mean in state["evaluations"]]
        self.episode_returns.extend(state["episode_returns"])
        columns = {name: column.tolist() for name, column in state["rows"].items()}
        self.rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _column(values: list[Any]) -> Any:
    is_whole = all(isinstance(value, int) for value in values)
    return np.array(values, np.int64 if is_whole else np.float64)
