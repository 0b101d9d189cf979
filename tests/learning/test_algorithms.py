"""Every algorithm reaches a return within a share of its steps, and with `--all` its target within all of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

pytest.importorskip("torch")

import actorrt as art
from tests.learning.returns import ROWS, Outcome, Row, missing, train

SEED = 1
ONE_SEED = 0.9  # of the target, which is for the mean of five seeds
TAKES_LONG = ("ppo-halfcheetah-preset",)  # its networks are large and learn from each step twenty times
SHORT = [
    pytest.param(row, id=row.name, marks=[pytest.mark.learning_long] if row.name in TAKES_LONG else []) for row in ROWS
]


def outcome(row: Row, seed: int, directory: Path, monkeypatch: pytest.MonkeyPatch, *, is_short: bool) -> Outcome:
    """Train in the directory of the test, to which MuJoCo writes its log."""
    monkeypatch.chdir(directory)
    lacking = missing(row)
    if lacking:
        pytest.skip(lacking)
    stop_return = row.short_target if is_short else None
    art.init(cpus=4)
    try:
        return train(row, seed, is_short=is_short, stop_return=stop_return)
    finally:
        art.shutdown()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("row", SHORT)
def test_return_is_reached_within_a_share_of_the_steps(
    row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = outcome(row, SEED, tmp_path, monkeypatch, is_short=True)
    assert result.is_reached, result


@pytest.mark.learning_long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_return_is_reached_within_the_budget(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = random.randrange(10_000)
    result = outcome(row, seed, tmp_path, monkeypatch, is_short=False)
    assert result.evaluation.mean >= ONE_SEED * row.target, (seed, result)
