"""The directory of a run: checks before anything starts whether the run may write its files there.

The files are written elsewhere: the checkpoint by `checkpoint`, the best policy by the run, the curve by `views.curve`
and the metrics by `views.csv_file`.
"""

from __future__ import annotations

import os
import tempfile

from actorrt.rl.records import checkpoint

RUNS = "runs"  # parent of the directories of runs without a given directory
BEST_FILE, CURVE_FILE, METRICS_FILE = "best.policy", "curve.png", "metrics.csv"


def require_usable(directory: str, *, resumption: str | None = None) -> None:
    """Make sure that a run can write its results into `directory`, and create the directory if it does not exist.

    Args:
        directory: the run's directory.
        resumption: code that resumes an earlier run in it, for the error's text; None allows an earlier run's files.

    Raises:
        ValueError: the results of an earlier run would be overwritten, or the directory can't be written to.
    """
    found = [name for name in (checkpoint.FILE, BEST_FILE) if os.path.exists(os.path.join(directory, name))]
    if found and resumption is not None:
        raise ValueError(
            f"directory={directory!r} holds the {' and the '.join(found)} of an earlier run, which this run would "
            f"overwrite; resume that run ({resumption}), or give another directory"
        )
    try:
        os.makedirs(directory, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ValueError(
            f"directory={directory!r} can't be written to ({error.strerror or error}): give another directory"
        ) from error
