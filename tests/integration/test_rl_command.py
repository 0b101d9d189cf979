"""`actorrt train` as users run it: what it prints, what it leaves, how it ends."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from actorrt import rl

COMMAND = [sys.executable, "-m", "actorrt.cli", "train"]


def train(*arguments: str, timeout_s: float = 50.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=timeout_s)


def test_training_prints_progress_a_curve_and_where_the_results_are(tmp_path: Path) -> None:
    done = train("ppo", "CartPole-v1", "--steps", "2560", "--directory", str(tmp_path / "results"))
    assert done.returncode == 0, done.stderr
    assert "2,560/100,000" not in done.stderr
    assert "  2,560/2,560 steps · " in done.stderr
    assert "simulators 2/2 alive, 0 restarted · 0s left" in done.stderr
    assert "episodes on fresh seeds" in done.stdout
    assert "256" in done.stdout
    assert "2,560 steps" in done.stdout
    policy = rl.load_policy(str(tmp_path / "results" / "best.policy"))
    assert policy.spec.env_id == "CartPole-v1"
    with open(tmp_path / "results" / "metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["steps"]) for row in rows] == list(range(256, 2_561, 256))
    for name in ("best.policy", "metrics.csv"):
        assert str(tmp_path / "results" / name) in done.stdout
    left = {entry.name for entry in (tmp_path / "results").iterdir()}
    assert left <= {"best.policy", "metrics.csv", "curve.png"}


def test_unreached_return_is_said(tmp_path: Path) -> None:
    done = train(
        "ppo",
        "CartPole-v1",
        "--steps",
        "256",
        "--stop-return",
        "475",
        "--directory",
        str(tmp_path),
        "--simulators",
        "1",
    )
    assert done.returncode == 0, done.stderr
    assert "did not reach 475 within 256 steps" in done.stdout


def test_chaos_kills_a_simulator_and_shows_its_successor(tmp_path: Path) -> None:
    done = train("ppo", "CartPole-v1", "--stop-return", "30", "--chaos", "--directory", str(tmp_path))
    assert done.returncode == 0, done.stderr
    notes = [line for line in done.stderr.splitlines() if line.startswith("chaos: ")]
    assert len(notes) == 2, done.stderr
    assert "with SIGKILL" in notes[0]
    old, new = notes[0].split("process ")[2].split(",")[0], notes[1].split("process ")[1].split(";")[0]
    assert old.isdigit()
    assert new.isdigit()
    assert old != new


def test_chaos_that_does_not_happen_is_a_failure(tmp_path: Path) -> None:
    done = train("ppo", "CartPole-v1", "--steps", "512", "--chaos", "--directory", str(tmp_path))
    assert done.returncode == 1
    assert (
        done.stderr.splitlines()[-1] == "actorrt train: chaos: no simulator was killed: the run ended after 2 updates"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ppp", "CartPole-v1"), "there is no algorithm 'ppp'; did you mean ppo?"),
        (("dreamer", "CartPole-v1"), "there is no algorithm 'dreamer'; there are: ppo"),
        (("ppo", "CartPol-v1"), "there is no environment 'CartPol-v1'; did you mean CartPole-v1"),
        (("ppo", "CartPole-v1", "--simulators", "0"), "a run has at least one simulator: simulators=0"),
        (("ppo", "CartPole-v1", "--seed", "-1"), "seeds are 0 or larger: seed=-1"),
        (("ppo", "CartPole-v1", "--steps", "0"), "a run has at least 1 step: --steps 0"),
        (("ppo", "CartPole-v1", "--envs", "0"), "environments is at least 1: environments=0"),
    ],
)
def test_arguments_that_make_no_sense_are_told_in_one_line(arguments: tuple[str, ...], message: str) -> None:
    done = train(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"actorrt train: {message}")


def test_interrupt_saves_what_is_best_until_then(tmp_path: Path) -> None:
    command = [*COMMAND, "ppo", "CartPole-v1", "--steps", "1000000", "--directory", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if " steps · " in line:
            break
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "episodes on fresh seeds" in out
    assert (tmp_path / "best.policy").exists()
