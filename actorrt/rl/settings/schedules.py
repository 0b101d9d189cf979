"""Pure: how a setting changes over a run."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from actorrt.rl.foundation.checks import require_number

Schedule: TypeAlias = Literal["constant", "linear"] | Callable[[float], float]
"""`"constant"`, `"linear"` down to 0, or a function of the share of the run that is still to come, 1 to 0.

The function returns the factor by which the setting is multiplied.
"""

NAMES = ("constant", "linear")
SHARES = (1.0, 0.5, 0.0)
PROMISE = "takes the share of the run that is still to come, 1 to 0, and returns a factor of at least 0"


def require_schedule(name: str, schedule: Any) -> None:
    """Make sure that a value is a schedule; a function is tried out.

    Raises:
        ValueError: it is neither a function nor one of the names.
        TypeError: the function raises, or returns something else than a finite number of at least 0.
    """
    if not callable(schedule):
        if not isinstance(schedule, str) or schedule not in NAMES:
            near = difflib.get_close_matches(schedule.lower(), NAMES, n=1) if isinstance(schedule, str) else ()
            raise ValueError(
                f"{name} is 'constant', 'linear', or a function of the share of the run that is still to come: "
                f"{name}={schedule!r}{f'; did you mean {near[0]!r}?' if near else ''}"
            )
        return
    for share in SHARES:
        try:
            factor = schedule(share)
        except Exception as error:  # of the user's function
            raise TypeError(f"{name} {PROMISE}: it raised {type(error).__name__} for {share:g}: {error}") from error
        try:
            require_number(name, factor, at_least=0.0)
        except (TypeError, ValueError):
            raise TypeError(f"{name} {PROMISE}: it returned {factor!r} for {share:g}") from None


def require_no_function(name: str, value: Any, schedule: str) -> None:
    """Refuse a function in place of a number that has a schedule.

    Raises:
        TypeError: it is a function; the message names the setting that takes it.
    """
    if callable(value):
        raise TypeError(
            f"{name} is a number: {name}={value!r}; give the function as {schedule}=, and let it return the factor "
            f"of {name}"
        )


def scheduled(initial: float, schedule: Schedule, remaining: float) -> float:
    """Return the value of a setting when a share `remaining` of the run is still to come.

    Raises:
        ValueError: a function returned something else than a finite number of at least 0.
    """
    if callable(schedule):
        factor = float(schedule(remaining))
        if not 0.0 <= factor < math.inf:
            raise ValueError(f"a schedule {PROMISE}: it returned {factor} for {remaining:g}")
        return initial * factor
    return initial * remaining if schedule == "linear" else initial
