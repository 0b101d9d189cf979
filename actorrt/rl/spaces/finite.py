"""Pure: detects NaN and infinity before they reach the parameters.

A single NaN or infinite reward makes every parameter NaN or infinite at the next update, and training would continue
without any sign of it.
"""

from __future__ import annotations

import math

import numpy as np

import actorrt as art
from actorrt.rl.spaces.array_spaces import Array


class DivergedError(art.ActorRtError, ArithmeticError):
    """An update made parameters infinite or NaN. They were not published, and the run ends."""


def is_finite(values: Array) -> bool:
    """Whether every value is finite and not NaN."""
    if values.dtype.kind != "f":
        return True
    # A sum of squares takes one pass. It is infinite for very large numbers too, so only then every value is checked.
    return math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


def first_bad_row(rows: Array) -> int | None:
    """Return the index of the first row that is not finite; None if all rows are finite."""
    if is_finite(rows):
        return None
    return int(np.flatnonzero(~np.isfinite(rows).reshape(len(rows), -1).all(axis=1))[0])


def require_finite(values: Array, what: str, metrics: dict[str, float] | None = None) -> None:
    """Make sure that the result of an update is finite.

    Args:
        values: parameters, or a gradient.
        what: names the update, for the error's text.
        metrics: the metrics of the update, for the error's text.

    Raises:
        DivergedError: some values are not finite; the message says how many.
    """
    if is_finite(values):
        return
    measured = "".join(f", {name} {value:.3g}" for name, value in (metrics or {}).items())
    count = int((~np.isfinite(values)).sum())
    raise DivergedError(
        f"{what}: {count:,} of {values.size:,} values are infinite or NaN{measured}; "
        "try a smaller learning_rate, or normalise_observations=True and normalise_rewards=True"
    )
