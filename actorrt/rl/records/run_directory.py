"""The directory of a run: checks before anything starts whether the run may write its files there, and locks it.

The files are written elsewhere: the checkpoint by `checkpoint`, the best policy by the run, the curve by `views.curve`
and the metrics by `views.csv_file`.
"""

from __future__ import annotations

import fcntl
import os
import tempfile

from actorrt.rl.records import checkpoint

RUNS = "runs"  # parent of the directories of runs without a given directory
BEST_FILE = checkpoint.BEST_FILE
CURVE_FILE, METRICS_FILE = "curve.png", "metrics.csv"


def require_usable(directory: str, *, resumption: str | None = None) -> None:
    """Make sure that a run can write its results into `directory`, and create the directory if it does not exist.

    Args:
        directory: the run's directory.
        resumption: code that resumes an earlier run in it, for the error's text; None allows an earlier run's files.

    Raises:
        ValueError: the results of an earlier run would be overwritten, another run is under way in the directory, or it
            can't be written to.
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
    DirectoryLock(directory, is_shared=True).release()


class DirectoryLock:
    """Keeps other runs, of any process, from writing into a directory; it ends with the process at the latest.

    A directory of a file system without locks is not locked.

    Args:
        directory: path of the directory, which is created if it does not exist; a shared lock needs none then.
        is_shared: whether other shared locks are allowed at the same time, as for a look whether a run is under way.

    Raises:
        ValueError: another run has locked the directory.
    """

    def __init__(self, directory: str, *, is_shared: bool = False) -> None:
        self._file: int | None = None
        if not is_shared:
            os.makedirs(directory, exist_ok=True)
        elif not os.path.isdir(directory):
            return
        file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(file, fcntl.LOCK_NB | (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX))
        except OSError as error:
            os.close(file)
            if isinstance(error, BlockingIOError):
                raise ValueError(
                    f"directory={directory!r} is that of a run which is under way: wait for its end, or give another "
                    "directory"
                ) from None
        else:
            self._file = file

    def release(self) -> None:
        """Let other runs write into the directory. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            fcntl.flock(file, fcntl.LOCK_UN)  # forked processes may have the file as well
            os.close(file)
