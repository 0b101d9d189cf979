"""Simulators that hang, are slow, or are killed repeatedly: training still finishes."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl
from tests.integration.slow_environments import DRIVER, HANGS, OVER, SLOW
from tests.running import wait_until


@pytest.mark.parametrize("kind", [rl.PPO, rl.ARS])
def test_simulator_that_hangs_in_reset_is_replaced(kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HANGS, str(tmp_path / "mark"))
    art.init(cpus=4)
    try:
        more: dict[str, Any] = {"environments": 2} if kind is rl.PPO else {"directions": 4}
        algorithm = kind(
            "tests.integration.slow_environments:HangsOnce-v0", hang_timeout_s=1.0, directory=str(tmp_path), **more
        )
        run = algorithm.start(steps=2_048 if kind is rl.PPO else 200_000).wait()
    finally:
        art.shutdown()
    assert (tmp_path / "mark").exists()
    assert run.done()
    assert run.progress is not None
    assert run.progress.simulators_restarted == 1


def seconds_of_updates(count: int, folder: Path, *, is_slow: bool) -> float:
    """Return how long a run with eight simulators takes for `count` updates."""
    folder.mkdir()
    if not is_slow:
        (folder / "taken").touch()
    os.environ[SLOW], os.environ[DRIVER] = str(folder), str(os.getpid())
    times: list[float] = []
    art.init(cpus=10)
    try:
        settings: dict[str, Any] = {"environments": 8, "horizon": 16, "batch_steps": 128, "hidden": (8, 8)}
        algorithm = rl.IMPALA(
            "tests.integration.slow_environments:OneIsSlow-v0", simulators=8, directory=str(folder / "run"), **settings
        )
        run = algorithm.start(steps=1_000_000, on_progress=lambda _: times.append(time.perf_counter()))
        wait_until(lambda: len(times) >= count + 5 or run.done(), "the updates", within_s=50.0)
        (folder / OVER).touch()
        run.stop()
        run.wait()
    finally:
        art.shutdown()
        del os.environ[SLOW], os.environ[DRIVER]
    return times[count + 4] - times[4]  # the first updates wait for the import of torch


def test_one_of_eight_simulators_that_is_ten_times_slower_does_not_delay_the_others(tmp_path: Path) -> None:
    # Seven of eight collect at full speed and the eighth at a tenth, so a run takes 8 / 7.1 of the time; 1.3 is
    # promised. A busy machine gets further attempts.
    ratios = []
    for attempt in range(3):
        without, with_one = (
            seconds_of_updates(60, tmp_path / f"{attempt}-{is_slow}", is_slow=is_slow) for is_slow in (False, True)
        )
        ratios.append(with_one / without)
        if ratios[-1] <= 1.3:
            return
    pytest.fail(f"with one slow simulator, updates took {ratios} of the time without")


def slow_share(kind: Any, folder: Path, **settings: Any) -> tuple[float, rl.Run]:
    """Return the share of a slow simulator's fragments that a run trains on, beside three fast ones; and the run."""
    os.environ[SLOW], os.environ[DRIVER] = str(folder), str(os.getpid())
    art.init(cpus=6)
    try:
        algorithm = kind(
            "tests.integration.slow_environments:OneIsSlow-v0",
            simulators=4,
            environments=4,
            horizon=64,
            hidden=(8, 8),
            directory=str(folder / "run"),
            **settings,
        )
        run: rl.Run = algorithm.start(steps=1_000_000)

        def has_slow_come() -> bool:
            return run.done() or (run.progress is not None and not np.isnan(run.progress.trained_shares).any())

        wait_until(has_slow_come, "a fragment of the slow simulator", within_s=20.0)
        update = 0 if run.progress is None else run.progress.update
        wait_until(lambda: run.done() or run.rows[-1]["update"] >= update + 60, "further updates", within_s=30.0)
        (folder / OVER).touch()
        run.stop()
        run.wait()
    finally:
        art.shutdown()
        del os.environ[SLOW], os.environ[DRIVER]
    assert run.progress is not None
    assert len(run.progress.trained_shares) == 4
    slow = int(np.argmin(run.progress.trained_shares))
    assert run.rows[-1][f"trained_share_{slow}"] == run.progress.trained_shares[slow]
    return run.progress.trained_shares[slow], run


def test_slow_simulator_is_named_in_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    share, run = slow_share(rl.APPO, tmp_path, batch_steps=64, max_lag=2)
    assert share < 0.5
    assert run.rows[-1]["fragments_dropped"] > 0
    assert run.progress is not None
    slow = run.progress.trained_shares.index(share)
    warnings = [text for text in caplog.messages if text.startswith(f"simulator {slow}: ")]
    assert len(warnings) == 1
    assert re.match(r"simulator \d: \d+ of \d+ fragments came too late and were dropped, so .*horizon_s", warnings[0])


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (rl.APPO, {"batch_steps": 64, "max_lag": None}),
        (rl.APPO, {"batch_steps": 64, "max_lag": 8, "horizon_s": 0.1}),
        (rl.PPO, {"horizon_s": 0.1}),
    ],
)
def test_slow_simulator_is_trained_on_with_late_fragments_or_with_shorter_ones(
    kind: Any, settings: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    share, run = slow_share(kind, tmp_path, **settings)
    assert share == 1.0
    assert run.rows[-1]["fragments_dropped"] == 0
    assert not [text for text in caplog.messages if "fragments came too late" in text]


@pytest.mark.learning_long
@pytest.mark.timeout(200)
@pytest.mark.parametrize("kind", [rl.PPO, rl.A3C])
def test_threshold_is_reached_with_a_simulator_killed_every_5_seconds(kind: Any, tmp_path: Path) -> None:
    killed: list[float] = []

    def kill_periodically(progress: rl.Progress) -> None:
        if progress.seconds - (killed[-1] if killed else 0.0) >= 5.0:
            killed.append(progress.seconds)
            os.kill(progress.trained_on[0][2], signal.SIGKILL)

    art.init(cpus=4)
    try:
        settings: dict[str, Any] = {"learning_rate_schedule": "constant", "clip_schedule": "constant"}
        algorithm = kind("CartPole-v1", seed=1, directory=str(tmp_path), **(settings if kind is rl.PPO else {}))
        run = algorithm.start(
            steps=2_000_000, stop_return=475, on_progress=kill_periodically, keep_going=lambda: len(killed) < 3
        ).wait()
    finally:
        art.shutdown()
    assert run.is_reached
    assert len(killed) >= 3
    assert run.progress is not None
    assert run.progress.simulators_restarted >= 2
