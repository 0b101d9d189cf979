"""The command `actorrt train`: its output, its files and its ends."""

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
from actorrt.rl.records import checkpoint
from tests.running import wait_until

BROKEN = """
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Broken(CartPoleEnv):
    def step(self, action):
        raise ArithmeticError("this environment can't be stepped")

gymnasium.register("Broken-v0", entry_point=Broken)
"""
SLOW = """
import pathlib, threading
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Slow(CartPoleEnv):
    def step(self, action):
        pathlib.Path(__file__).with_name("stepped").touch()
        threading.Event().wait(20.0)  # longer than the test lasts
        return super().step(action)

gymnasium.register("Slow-v0", entry_point=Slow)
"""
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
    assert left <= {"best.policy", "checkpoint", "metrics.csv", "curve.png"}
    for more, message in (
        (("--steps", "512", "--directory"), "directory='RESULTS' holds the checkpoint and the best.policy of an"),
        (("--steps", "512", "--resume"), "the run in RESULTS has 2,560 steps already"),
    ):
        refused = train("ppo", "CartPole-v1", *more, str(tmp_path / "results"))
        assert refused.returncode == 2
        assert refused.stdout == ""
        assert refused.stderr.startswith(f"actorrt train: {message}".replace("RESULTS", str(tmp_path / "results")))


@pytest.mark.parametrize("algorithm", ["appo", "impala", "a2c", "a3c", "ars", "es"])
def test_every_algorithm_trains_and_resumes(algorithm: str, tmp_path: Path) -> None:
    for more in (("--directory", str(tmp_path), "--steps", "600"), ("--resume", str(tmp_path), "--steps", "1200")):
        done = train(algorithm, "CartPole-v1", *more)
        assert done.returncode == 0, done.stderr
    assert checkpoint.load(str(tmp_path))["record"]["steps"] >= 1200
    assert rl.load_policy(str(tmp_path / "best.policy")).spec.env_id == "CartPole-v1"


def test_resumed_run_takes_other_simulators_and_settings(tmp_path: Path) -> None:
    settings = ("--hidden", "8,8", "--horizon", "16", "--orthogonal", "false", "--max-grad-norm", "inf")
    kwargs = ("--env-kwargs", "max_episode_steps=9")
    begun = train("ppo", "CartPole-v1", "--directory", str(tmp_path), "--steps", "256", *settings, *kwargs)
    assert begun.returncode == 0, begun.stderr
    more = ("--simulators", "1", "--learning-rate", "1e-4", "--evaluation-episodes", "3", "--steps", "512")
    resumed = train("ppo", "--resume", str(tmp_path), *more)
    assert resumed.returncode == 0, resumed.stderr
    assert "simulators 1/1 alive" in resumed.stderr
    assert "over 3 episodes on fresh seeds" in resumed.stdout
    origin = checkpoint.load(str(tmp_path))["origin"]
    names = ("hidden", "horizon", "orthogonal", "max_grad_norm", "learning_rate", "evaluation_episodes")
    assert [origin["settings"][name] for name in names] == [[8, 8], 16, False, float("inf"), 1e-4, 3]
    assert origin["env_kwargs"] == {"max_episode_steps": 9}
    assert rl.evaluate(rl.load_policy(str(tmp_path / "best.policy")), episodes=3).returns.max() <= 9.0
    refused = train("ppo", "--resume", str(tmp_path), "--hidden", "16")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("actorrt train: a resumed run keeps hidden=(8, 8)")


def test_return_that_was_not_reached_is_reported(tmp_path: Path) -> None:
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


def test_chaos_option_that_kills_nothing_fails_the_command(tmp_path: Path) -> None:
    done = train("ppo", "CartPole-v1", "--steps", "512", "--chaos", "--directory", str(tmp_path))
    assert done.returncode == 1
    assert (
        done.stderr.splitlines()[-1] == "actorrt train: chaos: no simulator was killed: the run ended after 2 updates"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ppp", "CartPole-v1"), "there is no algorithm 'ppp'; did you mean ppo?"),
        (
            ("dreamer", "CartPole-v1"),
            "there is no algorithm 'dreamer'; there are: ppo, appo, impala, a2c, a3c, dqn, ars, es",
        ),
        (("ars", "CartPole-v1", "--envs", "2"), "ARS has no setting 'environments'"),
        (("ppo", "CartPol-v1"), "there is no environment 'CartPol-v1'; did you mean CartPole-v1"),
        (("ppo", "nothere:Foo-v0"), "there is no environment 'nothere:Foo-v0'; module 'nothere' can't be imported"),
        (("ppo", "CartPole-v1", "--simulators", "0"), "simulators is at least 1: simulators=0"),
        (("ppo", "CartPole-v1", "--seed", "-1"), "seed is at least 0: seed=-1"),
        (("ppo", "CartPole-v1", "--steps", "0"), "a run has at least 1 step: --steps 0"),
        (("ppo", "CartPole-v1", "--envs", "0"), "environments is at least 1: environments=0"),
        (("ppo", "CartPole-v1", "--resume", "/nowhere"), "there is no checkpoint in /nowhere"),
        (("ppo", "CartPole-v1", "--resume", "/nowhere", "--seed", "1"), "--seed can't be combined with --resume"),
        (("ppo", "CartPole-v1", "--resume", "/nowhere", "--envs", "5"), "--envs can't be combined with --resume"),
        (("ppo", "CartPole-v1", "--env-kwargs", "g"), "--env-kwargs takes NAME=VALUE or one JSON object, not 'g'"),
        (
            ("ppo", "CartPole-v1", "--env-kwargs", "g=1"),
            "CartPoleEnv.__init__() got an unexpected keyword argument 'g'",
        ),
        (("ppo",), "give the environment, as in: actorrt train ppo CartPole-v1"),
        (("ppo", "CartPole-v1", "--horizon", "many"), "horizon is a whole number: horizon='many'"),
        (("ppo", "CartPole-v1", "--hidden", "8,x"), "hidden has the units of each hidden layer"),
        (("ars", "CartPole-v1", "--clip-range", "0.2"), "ARS has no setting 'clip_range'"),
        (("ppo", "CartPole-v1", "--evaluation-episodes", "0"), "evaluation_episodes is at least 1"),
        (("PPO", "CartPole-v1"), "there is no algorithm 'PPO'; did you mean ppo?"),
        (("ppo", "CartPole-v1", "--stop-return", "nan"), "stop_return is a finite number: stop_return=nan"),
        (
            ("ppo", "CartPole-v1", "--stop-return", "9", "--evaluate-every", "none"),
            "evaluate_every=None evaluates nothing",
        ),
        (("ppo", "CartPole-v1", "--envs", "2", "--environments", "4"), "give one of --envs, of each simulator, and"),
        (("ppo", "CartPole-v1", "--directory", ""), "directory is the path of a directory: directory=''"),
        (("ppo", "CartPole-v1", "--policy", "/"), "[Errno 21] Is a directory: '/'"),
        (("ppo", "CartPole-v1", "--directory", "/proc/x"), "directory='/proc/x' can't be written to"),
    ],
)
def test_invalid_arguments_are_an_error_of_one_line(arguments: tuple[str, ...], message: str) -> None:
    done = train(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"actorrt train: {message}")


def test_option_that_does_not_exist_is_answered_with_the_right_one() -> None:
    done = train("ppo", "CartPole-v1", "--lr", "3e-4")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "usage: actorrt train ALGORITHM [ENVIRONMENT] [OPTIONS]",
        "actorrt train: error: unrecognized arguments: --lr 3e-4; --lr is called --learning-rate here",
    ]


def test_interrupt_pauses_the_run_and_resume_continues_it(tmp_path: Path) -> None:
    command = [*COMMAND, "ppo", "CartPole-v1", "--steps", "1000000", "--directory", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if " steps · " in line:
            break
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "pausing after the current update" in err
    assert " by the evaluator\n" in out
    again = f"and so does actorrt train ppo CartPole-v1 --resume {tmp_path} --steps 1000000"
    assert out.splitlines()[-1].endswith(again)
    assert (tmp_path / "best.policy").exists()
    steps = checkpoint.load(str(tmp_path))["record"]["steps"]
    assert f"paused after {steps:,} steps" in out
    resumed = train("ppo", "CartPole-v1", "--resume", str(tmp_path), "--steps", str(steps + 512))
    assert resumed.returncode == 0, resumed.stderr
    assert f"  {steps + 512:,}/{steps + 512:,} steps" in resumed.stderr


def test_second_interrupt_ends_the_command_at_once(tmp_path: Path) -> None:
    (tmp_path / "slow_environment.py").write_text(SLOW)
    command = [*COMMAND, "ppo", "slow_environment:Slow-v0", "--directory", str(tmp_path / "run")]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    wait_until((tmp_path / "stepped").exists, "a first step")
    os.kill(process.pid, signal.SIGINT)
    assert any("pausing after the current update" in line for line in process.stderr)
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "best policy: none was evaluated yet" in out
    assert out.splitlines()[-1] == "ended after 0 steps, before the first checkpoint"


def test_environment_that_always_raises_ends_the_command_with_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken_environment.py").write_text(BROKEN)
    command = [*COMMAND, "ppo", "broken_environment:Broken-v0", "--directory", str(tmp_path / "run")]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, capture_output=True, text=True, timeout=50.0, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("actorrt train: ArithmeticError: this environment can't be stepped (simulator ")
    assert "environment 0, step 1 of the episode with seed " in last
