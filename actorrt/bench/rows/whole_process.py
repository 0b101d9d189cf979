"""The rows that measure a whole process: a node started by `init`, and a policy trained from the command line."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time

from actorrt.bench.measuring.measurement import Effort, Samples
from actorrt.bench.rows.training import require

_INIT = """
import time
import actorrt as art
start = time.perf_counter()
art.init()
print(time.perf_counter() - start)
art.shutdown()
"""
_PROCESS_TIMEOUT_S = 60.0


def node_up(effort: Effort) -> Samples:
    """Return how long `init()` takes in a process of its own until the node answers, in seconds."""
    return Samples([float(_output("init()", [sys.executable, "-c", _INIT])) for _ in range(effort.rounds_count)])


def cartpole(effort: Effort) -> Samples:
    """Return how long training CartPole-v1 to a return of 475 takes, from the command's start to its end, in seconds.

    Each round has a random seed.

    Raises:
        UnavailableError: a package that training needs is missing.
    """
    return _cartpole(effort, 20)


def cartpole_ten(effort: Effort) -> Samples:
    """Return the same with evaluations of 10 episodes instead of 20."""
    return _cartpole(effort, 10)


def _cartpole(effort: Effort, evaluation_episodes: int) -> Samples:
    require("gymnasium", extras="rl")
    seeds = [random.randrange(1 << 16) for _ in range(effort.rounds_count)]
    return Samples(
        [_train_s(seed, evaluation_episodes) for seed in seeds], notes=[f"seeds {', '.join(map(str, seeds))}"]
    )


def _train_s(seed: int, evaluation_episodes: int) -> float:
    with tempfile.TemporaryDirectory(prefix="cartpole-") as directory:
        command = [sys.executable, "-m", "actorrt.cli", "train", "ppo", "CartPole-v1", "--simulators", "2"]
        command += ["--seed", str(seed), "--stop-return", "475", "--directory", directory]
        command += ["--evaluation-episodes", str(evaluation_episodes)]
        start = time.perf_counter()
        output = _output(f"training with seed {seed}", command)
        took_s = time.perf_counter() - start
    if "did not reach" in output:
        raise RuntimeError(f"seed {seed} did not reach 475")
    return took_s


def _output(what: str, command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=_PROCESS_TIMEOUT_S, check=False)
    if result.returncode != 0:
        last_line = (result.stderr.strip().splitlines() or ["it printed no error"])[-1]
        raise RuntimeError(f"{what} ended with {result.returncode}: {last_line}")
    return result.stdout
