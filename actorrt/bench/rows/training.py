"""The rows of the learning library within a process: steps per second of training, and of sampling alone.

Rates are counted from the end of the first update or batch. `whole_process.cartpole` measures imports and starts too.
"""

from __future__ import annotations

import contextlib
import importlib.util
import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from actorrt.bench.measuring.measurement import Effort, Samples, UnavailableError

SIMULATORS: Final = 2
_PYTHON_ENVIRONMENTS, _NATIVE_ENVIRONMENTS, _HORIZON = 32, 256, 128  # of each simulator
NO_EVALUATION: Final = 1 << 40  # steps until the next
_EPISODES: Final = 20

STABLE_BASELINES3: Final[dict[str, Any]] = {  # its defaults, on HalfCheetah too
    "hidden": (64, 64),
    "activation": "tanh",
    "orthogonal": True,
    "log_std": 0.0,
    "horizon": 2048,
    "minibatch_size": 64,
    "epochs": 10,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "learning_rate": 3e-4,
    "clip_range": 0.2,
    "entropy_coefficient": 0.0,
    "value_coefficient": 0.5,
    "max_grad_norm": 0.5,
    "normalise_observations": False,
    "normalise_rewards": False,
}


def require(*packages: str, extras: str) -> None:
    """Check that packages are installed.

    Raises:
        UnavailableError: one is not; the message names it, and the extra that installs it.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise UnavailableError(f"needs {package}: pip install 'actorrt[{extras}]'")


def halfcheetah(environments: int) -> Callable[[Effort], Samples]:
    """Return a function that measures PPO on HalfCheetah-v5 with that many environments, in steps per second."""
    return partial(_halfcheetah, partial(_training_rate, environments))


def halfcheetah_return(effort: Effort) -> Samples:
    """Return the returns that PPO reaches on HalfCheetah-v5 with one environment: those of each run's last policy."""
    return _halfcheetah(_training_return, effort)


def _halfcheetah(measure: Callable[[int, int], float], effort: Effort) -> Samples:
    """Call `measure` for each round, with a random seed and the number of steps."""
    require("gymnasium", "mujoco", extras="rl,mujoco")
    import actorrt as art

    seeds = [random.randrange(1 << 16) for _ in range(effort.rounds_count)]
    with tempfile.TemporaryDirectory(prefix="halfcheetah-") as directory, contextlib.chdir(directory):  # MuJoCo's log
        try:
            values = [measure(seed, effort.operations_count) for seed in seeds]
        finally:
            art.shutdown()
    return Samples(values, notes=[f"seeds {', '.join(map(str, seeds))}"])


def _training_rate(environments: int, seed: int, steps: int) -> float:
    """Train for that many steps, and return how many steps per second it learned from after the first update."""
    return rate_of(partial(_train, environments, seed, steps))


def rate_of(train: Callable[..., Any]) -> float:
    """Call `train` with `on_progress=`, and return how many steps per second it learned from after the first update."""
    marks: list[tuple[float, int]] = []
    train(on_progress=lambda now: marks.append((time.perf_counter(), now.steps)))
    (began_at, first), (ended_at, last) = marks[0], marks[-1]
    return (last - first) / (ended_at - began_at)


def _training_return(seed: int, steps: int) -> float:
    """Train for that many steps, and return the mean return of deterministic episodes of the last policy."""
    from actorrt import rl

    policy = _train(1, seed, steps).best  # of the only evaluation, at the end
    return rl.evaluate(policy, episodes=_EPISODES, seed=random.randrange(1 << 16)).mean


def _train(environments: int, seed: int, steps: int, **options: Any) -> Any:
    """Train for that many steps; return the ended run."""
    from actorrt import rl

    settings = {**STABLE_BASELINES3, "environments": environments, "evaluate_every": NO_EVALUATION}
    algorithm = rl.PPO("HalfCheetah-v5", simulators=min(environments, SIMULATORS), seed=seed, **settings)
    return algorithm.start(steps, show=False, **options).wait()


def sampling(effort: Effort) -> Samples:
    """Return how many steps per second simulators take in CartPole-v1, with environments in Python."""
    return _sampling(effort, _PYTHON_ENVIRONMENTS, is_native=False)


def sampling_native(effort: Effort) -> Samples:
    """Return how many steps per second simulators take in CartPole-v1, with one vector environment each."""
    return _sampling(effort, _NATIVE_ENVIRONMENTS, is_native=True)


def _sampling(effort: Effort, environments: int, *, is_native: bool) -> Samples:
    require("gymnasium", extras="rl")
    import actorrt as art

    try:
        return Samples(art.run(_sample, effort, environments, is_native))
    finally:
        art.shutdown()


async def _sample(effort: Effort, environments: int, is_native: bool) -> list[float]:
    from actorrt import rl
    from actorrt.rl.environments.description import describe
    from actorrt.rl.policies.factory import make_policy

    env = "CartPole-v1"
    params = await rl.ParameterServer.spawn(make_policy(describe(env)).init(seed=0))
    simulators = await rl.Simulator.options(cpus=1).spawn_many(
        SIMULATORS, env=env, params=params, envs=environments, horizon=_HORIZON, native=is_native
    )
    batches = rl.stream(simulators, steps=effort.operations_count)
    try:
        await anext(batches)
        rates = []
        for _ in range(effort.rounds_count):
            began_at = time.perf_counter()
            batch = await anext(batches)
            rates.append(batch.step_count / (time.perf_counter() - began_at))
        return rates
    finally:
        batches.close()
