"""The memory of every process of a long run stays constant."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl
from actorrt.rl.records import run_record

MIB = 2**20
UPDATES, SETTLED = 6_000, 2_000


@pytest.mark.learning_long
@pytest.mark.timeout(240)
def test_memory_is_constant_over_a_long_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        run_record, "ROW_LIMIT", 500
    )  # the rows that are kept are bounded, and at the bound when the run has settled
    sizes: dict[int, list[int]] = {}  # for each process its resident bytes when settled, and at the end

    def measure(progress: rl.Progress) -> None:
        if progress.update in (SETTLED, UPDATES):
            actors = runtime.status().result(10)["actors"]
            for pid in {psutil.Process().pid, *(actor["pid"] for actor in actors)}:
                sizes.setdefault(pid, []).append(psutil.Process(pid).memory_info().rss)
        if progress.update >= UPDATES:
            run.stop()

    runtime = art.init(cpus=4)
    try:
        settings = {"horizon": 8, "environments": 2, "batch_steps": 16, "evaluate_every": 20_000}
        algorithm = rl.IMPALA("CartPole-v1", hidden=(8, 8), directory=str(tmp_path), **settings)
        run = algorithm.start(steps=100_000_000, on_progress=measure)
        run.wait()
    finally:
        art.shutdown()
    grown = {pid: (end - settled) / MIB for pid, (settled, end) in sizes.items()}
    assert len(grown) >= 4
    assert max(grown.values()) < 8.0, grown
