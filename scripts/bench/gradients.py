"""Times a learner's gradient steps: the library's on NumPy and in torch, and those of torch.nn with torch.optim.

All improve a CartPole policy on the same batch by the same clipped objective, in one thread, and take turns. The
figures are CPU times, so other work on the machine matters little.

    python scripts/bench/gradients.py [--hidden 64 64] [--batch 256] [--steps 20] [--rounds 15]
"""

from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # as in a worker; read when NumPy is imported

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from actorrt import rl
from actorrt.rl.algorithms.ppo import PPOSettings, PPOUpdate
from actorrt.rl.policies.numpy_policy import MlpPolicy
from actorrt.rl.rollouts.transitions import Transitions
from actorrt.rl.settings.algorithm_settings import Backend

CLIP_RANGE, LEARNING_RATE = 0.2, 1e-3


def batch(count: int) -> Transitions:
    """Return random transitions with CartPole's shapes."""
    rng = np.random.default_rng(0)
    obs, advantage, target = (rng.standard_normal(shape, np.float32) for shape in ((count, 4), count, count))
    return Transitions(
        obs, rng.integers(2, size=(count, 1)), np.full(count, np.log(0.5), np.float32), advantage, target
    )


def own(rows: Transitions, spec: rl.PolicySpec, backend: Backend) -> Callable[[], None]:
    """Return a function that takes one step of the library's own update."""
    settings = PPOSettings.preset("CartPole-v1", hidden=spec.hidden, backend=backend)
    update = PPOUpdate(settings, spec, MlpPolicy(spec).init(0), seed=0)
    placed = update.share(rows)

    def step() -> None:
        update.differentiate(placed, CLIP_RANGE)
        update.step(LEARNING_RATE)

    return step


def recorded(rows: Transitions, hidden: tuple[int, ...]) -> Callable[[], None]:
    """Return a function that takes one step with torch.nn, autograd and torch.optim, as most libraries do."""
    obs, action, old_logp, drawn, target = map(
        torch.from_numpy, (rows.obs, rows.action[:, 0], rows.logp, rows.advantage, rows.target)
    )
    layers = list(itertools.pairwise((4, *hidden)))
    actor, critic = (
        nn.Sequential(
            *(layer for ends in layers for layer in (nn.Linear(*ends), nn.Tanh())), nn.Linear(hidden[-1], count)
        )
        for count in (2, 1)
    )
    parameters = [*actor.parameters(), *critic.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE, eps=1e-5)

    def loss() -> Tensor:
        logp = torch.distributions.Categorical(logits=actor(obs)).log_prob(action)
        advantage = (drawn - drawn.mean()) / (drawn.std() + 1e-8)
        ratio = (logp - old_logp).exp()
        clipped = ratio.clamp(1 - CLIP_RANGE, 1 + CLIP_RANGE)
        error = critic(obs).view(-1) - target
        return -torch.min(ratio * advantage, clipped * advantage).mean() + 0.5 * error.square().mean()

    def step() -> None:
        optimiser.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(parameters, 0.5)
        optimiser.step()

    return step


def seconds(step: Callable[[], None], count: int) -> float:
    """Return the CPU time of that many steps."""
    start = time.process_time()
    for _ in range(count):
        step()
    return time.process_time() - start


def main() -> None:
    """Print the time of the first step and the median time of a round, for each implementation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 64], help="units of the hidden layers")
    parser.add_argument("--batch", type=int, default=256, help="transitions in a batch")
    parser.add_argument("--steps", type=int, default=20, help="gradient steps in a round")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows, hidden = batch(arguments.batch), tuple(arguments.hidden)
    spec = rl.describe("CartPole-v1", hidden=hidden)
    makers: dict[str, Callable[[], Callable[[], None]]] = {
        "NumPy": partial(own, rows, spec, "numpy"),
        "torch": partial(own, rows, spec, "torch"),
        "torch.optim": partial(recorded, rows, hidden),
    }
    firsts: dict[str, float] = {}
    steps: dict[str, Callable[[], None]] = {}
    for name, make in makers.items():
        start = time.process_time()
        steps[name] = make()
        steps[name]()
        firsts[name] = time.process_time() - start
    times: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(arguments.rounds):
        for name, step in steps.items():
            times[name].append(seconds(step, arguments.steps))
    for name in makers:
        median_ms, least_ms = (1e3 * of(times[name]) for of in (statistics.median, min))
        print(
            f"{name:12} {arguments.steps} steps {median_ms:8.1f} ms (least {least_ms:.1f})   "
            f"making and first step {firsts[name]:6.3f} s"
        )


if __name__ == "__main__":
    main()
