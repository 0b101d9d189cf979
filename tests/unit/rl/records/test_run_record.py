"""Records of runs: spread of returns, and a bound on rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from actorrt.rl.records.run_record import ROW_LIMIT, RunRecord


def test_mean_and_deviation_are_of_the_episodes_that_ended_last():
    record = RunRecord()
    assert math.isnan(record.return_mean)
    assert math.isnan(record.return_std)
    record.episode_returns.extend([1.0] * 50 + [2.0, 4.0] * 50)
    assert record.return_mean == 3.0
    assert record.return_std == pytest.approx(np.std([2.0, 4.0]))


def test_long_runs_keep_every_other_row_and_the_newest():
    record = RunRecord()
    for number in range(3 * ROW_LIMIT):
        record.add({"update": number})
        assert len(record.rows) <= ROW_LIMIT
        assert record.rows[-1]["update"] == number
    updates = [row["update"] for row in record.rows]
    assert updates == sorted(updates)
    assert set(np.diff(updates).tolist()) == {16, 8, 4, 2, 1}  # older ones are fewer


def test_record_survives_a_checkpoint():
    record = RunRecord(steps=5, update_count=2)
    record.add({"update": 1, "steps": 5, "kl": 0.5})
    record.episode_returns.extend([1.0, 2.0])
    restored = RunRecord()
    restored.restore(record.state(3.0))
    assert (restored.steps, restored.seconds, restored.update_count) == (5, 3.0, 2)
    assert restored.rows == record.rows
    assert restored.return_mean == 1.5


def test_spread_of_very_large_returns_is_a_number():
    record = RunRecord()
    record.episode_returns.extend([1e300, 3e300])
    assert record.return_std == pytest.approx(1e300)
