"""Callbacks that log a run's metrics: as CSV, to TensorBoard, to Weights & Biases, to MLflow."""

from __future__ import annotations

import importlib
import logging
import math
import os
import threading
from collections.abc import Iterable
from typing import Any, TextIO

from actorrt.rl.foundation.extras import require
from actorrt.rl.records.progress import Progress
from actorrt.rl.records.run_directory import METRICS_FILE
from actorrt.rl.rollouts.evaluation import Evaluation
from actorrt.rl.runs.callbacks import Callback, CallbackLike
from actorrt.rl.runs.run import Run
from actorrt.rl.views import curve
from actorrt.rl.views.csv_file import csv_writer
from actorrt.rl.views.event_file import EventFile

logger = logging.getLogger(__name__)


class CsvLog(Callback):
    """Writes a CSV file with a line for each update.

    Args:
        path: of the file, which is overwritten. None means `metrics.csv` in the run's directory.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._file: TextIO | None = None

    @property
    def is_of_the_run(self) -> bool:
        """Whether it writes the file in the run's directory."""
        return self._path is None

    def on_update(self, run: Run, progress: Progress) -> None:
        """Write a line. The first line has the names of columns; a resumed run writes its earlier rows first."""
        rows = [progress.row()]
        if self._file is None:
            rows = run.rows
            path = self._path or os.path.join(run.directory, METRICS_FILE)
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            self._file = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115  # closed at the end of the run
            self._writer = csv_writer(self._file, rows)
        self._writer.writerows(rows)
        self._file.flush()

    def on_end(self, run: Run) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class CurveFile(Callback):
    """Draws `curve.png` in the run's directory when the run has ended, if matplotlib is installed.

    Matplotlib's import takes longer than drawing. It is imported in a thread when the first update has ended, since
    this process is idle then.
    """

    def __init__(self) -> None:
        self._preparing: threading.Thread | None = None

    def on_update(self, run: Run, progress: Progress) -> None:
        """Begin to import matplotlib, once."""
        if self._preparing is None:
            self._preparing = threading.Thread(target=curve.preload, name="import of matplotlib", daemon=True)
            self._preparing.start()

    def on_end(self, run: Run) -> None:
        """Draw the curve, unless nothing was measured. A run does not fail because its curve can't be written."""
        if self._preparing is None:
            return
        self._preparing.join()
        self._preparing = None
        if curve.can_draw_png():
            try:
                run.save_curve()
            except OSError as error:
                logger.warning("the learning curve of %s was not drawn: %s", run.plan.name, error)
            finally:
                curve.release_fonts()  # the run's thread ends


def files_of_the_run(callbacks: Iterable[CallbackLike]) -> list[Callback]:
    """Return the callbacks that write `metrics.csv` and `curve.png`, beside the ones of a user."""
    is_logged = any(isinstance(each, CsvLog) and each.is_of_the_run for each in callbacks)
    return [CurveFile()] if is_logged else [CsvLog(), CurveFile()]


class TensorBoardLog(Callback):
    """Writes an event file for TensorBoard, without needing TensorBoard.

    Args:
        directory: directory of the file. None means the run's directory.
    """

    def __init__(self, directory: str | None = None) -> None:
        self._directory = directory

    def on_start(self, run: Run) -> None:
        """Open the file."""
        self._file = EventFile(self._directory or run.directory)

    def on_update(self, run: Run, progress: Progress) -> None:
        """Write the metrics of the update."""
        self._file.add(progress.steps, {f"train/{name}": value for name, value in numbers(progress.row()).items()})

    def on_evaluation(self, run: Run, steps: int, evaluation: Evaluation) -> None:
        """Write the result of the evaluation."""
        self._file.add(steps, {"evaluation/mean": evaluation.mean, "evaluation/std": evaluation.std})

    def on_end(self, run: Run) -> None:
        """Close the file."""
        self._file.close()


class WandbLog(Callback):
    """Logs to Weights & Biases, with the package `wandb`.

    Args:
        **options: arguments of `wandb.init`, such as `project`.

    Raises:
        MissingPackageError: `wandb` is not installed.
    """

    def __init__(self, **options: Any) -> None:
        require("wandb")
        self._options = options

    def on_start(self, run: Run) -> None:
        """Begin a run of Weights & Biases, with this run's name and settings."""
        wandb = importlib.import_module("wandb")
        options = {"name": run.plan.name, "config": run.plan.origin(), **self._options}
        self._theirs = wandb.init(**options)

    def on_update(self, run: Run, progress: Progress) -> None:
        """Log the metrics of the update."""
        self._theirs.log(numbers(progress.row()), step=progress.steps)

    def on_evaluation(self, run: Run, steps: int, evaluation: Evaluation) -> None:
        """Log the result of the evaluation with the next update, since steps may only increase there."""
        self._theirs.log({"evaluation_mean": evaluation.mean, "evaluation_std": evaluation.std}, commit=False)

    def on_end(self, run: Run) -> None:
        """End the run of Weights & Biases."""
        self._theirs.finish()


class MlflowLog(Callback):
    """Logs to MLflow, with the package `mlflow`.

    Args:
        **options: arguments of `mlflow.start_run`.

    Raises:
        MissingPackageError: `mlflow` is not installed.
    """

    def __init__(self, **options: Any) -> None:
        require("mlflow")
        self._options = options

    def on_start(self, run: Run) -> None:
        """Begin a run of MLflow, with this run's name and settings."""
        self._mlflow = importlib.import_module("mlflow")
        self._mlflow.start_run(**{"run_name": run.plan.name, **self._options})
        self._mlflow.log_params(run.plan.settings.to_data())

    def on_update(self, run: Run, progress: Progress) -> None:
        """Log the metrics of the update."""
        self._mlflow.log_metrics(numbers(progress.row()), step=progress.steps)

    def on_evaluation(self, run: Run, steps: int, evaluation: Evaluation) -> None:
        """Log the result of the evaluation."""
        self._mlflow.log_metrics({"evaluation_mean": evaluation.mean, "evaluation_std": evaluation.std}, step=steps)

    def on_end(self, run: Run) -> None:
        """End the run of MLflow."""
        self._mlflow.end_run()


def numbers(row: dict[str, Any]) -> dict[str, float]:
    """Return the numbers of a row, without values that have not been measured yet."""
    return {
        name: float(value) for name, value in row.items() if isinstance(value, int | float) and not math.isnan(value)
    }
