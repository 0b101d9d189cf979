"""Pure: notices numbers that are none any more, before they spread.

What is NaN or infinite once is so for ever: one such reward, and every parameter is after the next update, while
training seems to go on.
"""

from __future__ import annotations

import math

import numpy as np

import actorrt as art
from actorrt.rl.spaces.array_spaces import Array


class DivergedError(art.ActorRtError, ArithmeticError):
    """An update made parameters infinite or NaN; nobody was given them, and the run ends."""


def is_finite(values: Array) -> bool:
    """Whether every value is a number, and finite."""
    if values.dtype.kind != "f":
        return True
    # A sum of squares has one pass, and is infinite for very large numbers, too: only then they are looked at.
    return math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


def first_bad_row(rows: Array) -> int | None:
    """Return the index of the first row that is not finite; None where all are."""
    if is_finite(rows):
        return None
    return int(np.flatnonzero(~np.isfinite(rows).reshape(len(rows), -1).all(axis=1))[0])


def require_finite(values: Array, what: str, metrics: dict[str, float] | None = None) -> None:
    """Make sure that an update led to numbers.

    Args:
        values: parameters, or a gradient.
        what: says of which update they are.
        metrics: what was measured in the update.

    Raises:
        DivergedError: they are not all finite; the message says how many.
    """
    if is_finite(values):
        return
    measured = "".join(f", {name} {value:.3g}" for name, value in (metrics or {}).items())
    count = int((~np.isfinite(values)).sum())
    raise DivergedError(
        f"{what}: {count:,} of {values.size:,} values are infinite or NaN{measured}; "
        "try a smaller learning_rate, or normalise_observations=True and normalise_rewards=True"
    )
