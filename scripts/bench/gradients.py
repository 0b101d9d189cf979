"""Times a learner's gradient steps: gradients written out over flat tensors, beside torch.nn, autograd and torch.optim.

Both improve a CartPole policy on the same batch by the same clipped objective, in one thread, and take turns.

    python scripts/bench/gradients.py [--steps 20] [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from actorrt import rl
from actorrt.rl.policy import MlpPolicy
from actorrt.rl.ppo import PPOSettings
from actorrt.rl.ppo_update import PPOUpdate, Transitions

BATCH_COUNT = 256
CLIP_RANGE, LEARNING_RATE = 0.2, 1e-3


def batch() -> Transitions:
    """Return drawn transitions of CartPole's shapes."""
    draw = torch.Generator().manual_seed(0)
    floats = [torch.randn(BATCH_COUNT, generator=draw) for _ in range(2)]
    action = torch.randint(0, 2, (BATCH_COUNT, 1), generator=draw)
    logp = torch.full((BATCH_COUNT,), 0.5).log()
    return Transitions(torch.randn(BATCH_COUNT, 4, generator=draw), action, logp, *floats)


def written_out(rows: Transitions) -> Callable[[], None]:
    """Return one step of the library's own update."""
    spec = rl.describe("CartPole-v1")
    update = PPOUpdate(PPOSettings.preset("CartPole-v1"), spec, MlpPolicy(spec).init(0), seed=0)

    def step() -> None:
        update.differentiate(rows, CLIP_RANGE)
        update._optimiser.step(LEARNING_RATE)

    return step


def recorded(rows: Transitions) -> Callable[[], None]:
    """Return one step as most libraries take it."""
    actor, critic = (
        nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, n)) for n in (2, 1)
    )
    parameters = [*actor.parameters(), *critic.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE, eps=1e-5)

    def loss() -> Tensor:
        logp = torch.distributions.Categorical(logits=actor(rows.obs)).log_prob(rows.action.view(-1))
        advantage = (rows.advantage - rows.advantage.mean()) / (rows.advantage.std() + 1e-8)
        ratio = (logp - rows.logp).exp()
        clipped = ratio.clamp(1 - CLIP_RANGE, 1 + CLIP_RANGE)
        error = critic(rows.obs).view(-1) - rows.target
        return -torch.min(ratio * advantage, clipped * advantage).mean() + 0.5 * error.square().mean()

    def step() -> None:
        optimiser.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(parameters, 0.5)
        optimiser.step()

    return step


def seconds(step: Callable[[], None], count: int) -> float:
    """Return how long so many steps take."""
    start = time.perf_counter()
    for _ in range(count):
        step()
    return time.perf_counter() - start


def main() -> None:
    """Print the time of the first step and the median time of a round, for both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20, help="gradient steps in a round")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = batch()
    makers = {"written out": written_out, "recorded": recorded}
    firsts: dict[str, float] = {}
    steps: dict[str, Callable[[], None]] = {}
    for name, make in makers.items():
        start = time.perf_counter()
        steps[name] = make(rows)
        steps[name]()
        firsts[name] = time.perf_counter() - start
    times: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(arguments.rounds):
        for name, step in steps.items():
            times[name].append(seconds(step, arguments.steps))
    for name in makers:
        median_ms = 1e3 * statistics.median(times[name])
        print(f"{name:12} {arguments.steps} steps {median_ms:7.1f} ms   making and first step {firsts[name]:6.3f} s")


if __name__ == "__main__":
    main()
