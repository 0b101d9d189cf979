"""The directory of a run: whether a run may begin there, which is found out before anything starts.

What is in a directory is written elsewhere: the checkpoint in `checkpoint`, the best policy by the run, the curve and
the metrics by `views`.
"""

from __future__ import annotations

import os
import tempfile

from actorrt.rl.records import checkpoint

RUNS = "runs"  # where the directories of runs are that were given none
BEST_FILE, CURVE_FILE, METRICS_FILE = "best.policy", "curve.png", "metrics.csv"


def require_usable(directory: str, *, resumption: str | None = None) -> None:
    """Make sure that a run can leave its results in `directory`, which is made if need be.

    Args:
        directory: the run's.
        resumption: what goes on with a run that is there; None where the run at hand does, or makes a directory below.

    Raises:
        ValueError: an earlier run left its results there, and would be written over; or nothing can be written there.
    """
    found = [name for name in (checkpoint.FILE, BEST_FILE) if os.path.exists(os.path.join(directory, name))]
    if found and resumption is not None:
        raise ValueError(
            f"directory={directory!r} holds the {' and the '.join(found)} of an earlier run, which this one would "
            f"write over; go on with that run ({resumption}), or give another directory"
        )
    try:
        os.makedirs(directory, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ValueError(
            f"directory={directory!r} can't be written to ({error.strerror or error}): give another directory"
        ) from error
