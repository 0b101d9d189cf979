#!/usr/bin/env python
"""Prints what the algorithms reach: returns of freshly drawn seeds, within a short budget or the published one.

    scripts/bench/learning.py                 short budgets, 2 seeds: a few minutes
    scripts/bench/learning.py --all           the published budgets, 5 seeds: hours
    scripts/bench/learning.py --only ars      rows of one algorithm

A return is the mean of 20 deterministic episodes of the run's best policy, on seeds that no run has seen. Rows whose
environment is not installed are left out, and named.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from typing import Any

import actorrt as art
from actorrt import rl
from actorrt.rl.algorithms import ALGORITHMS
from actorrt.rl.environment import make_environment


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        algorithm: its name, as the command line takes it.
        env_id: Gymnasium id.
        steps: the published budget.
        target: the return to reach within it.
        published: what others publish, with its source.
        short_share: share of the budget that the short version takes.
        short_target: the return to reach within that.
    """

    algorithm: str
    env_id: str
    steps: int
    target: float
    published: str
    short_share: float
    short_target: float


ROWS = (
    Row("ppo", "CartPole-v1", 100_000, 490.0, "500, RL-Zoo", 0.5, 450.0),
    Row("a2c", "CartPole-v1", 500_000, 480.0, "500, RL-Zoo", 0.2, 400.0),
    Row("a3c", "CartPole-v1", 1_000_000, 450.0, "none at hand", 0.1, 400.0),
    Row("appo", "CartPole-v1", 1_000_000, 450.0, "450 in 1 M, RLlib", 0.1, 400.0),
    Row("impala", "CartPole-v1", 1_000_000, 450.0, "450 in 2 M, RLlib", 0.1, 400.0),
    Row("ars", "CartPole-v1", 50_000, 490.0, "500, RL-Zoo", 1.0, 490.0),
    Row("es", "CartPole-v1", 500_000, 450.0, "100, RLlib", 0.3, 300.0),
    Row("ppo", "LunarLander-v3", 1_000_000, 220.0, "242, RL-Zoo (v2)", 0.1, -50.0),
    Row("ppo", "HalfCheetah-v5", 1_000_000, 1_400.0, "1,443, CleanRL (v4)", 0.1, 0.0),
    Row("ars", "Swimmer-v5", 2_000_000, 300.0, "355, RL-Zoo (v3)", 0.05, 30.0),
)


def main() -> int:
    """Print the table and return 0 if every row reaches its target with every seed but one in five."""
    arguments = _parse()
    seeds = random.sample(range(10_000), arguments.seeds or (5 if arguments.all else 2))
    print(f"seeds {' '.join(map(str, seeds))}\n")
    print("| algorithm | environment | steps | target | published | mean | worst | seconds | steps/s | reached |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    results, left_out = [], []
    for row in ROWS:
        if arguments.only and row.algorithm not in arguments.only:
            continue
        if _is_missing(row.env_id):
            left_out.append(row.env_id)
            continue
        results.append(_measure(row, seeds, is_short=not arguments.all))
        print(_line(row, results[-1]), flush=True)
    if left_out:
        print(f"\nleft out, since not installed here: {', '.join(left_out)}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"seeds": seeds, "rows": results}, file, indent=1)
    return 0 if all(result["reached_count"] * 5 >= len(seeds) * 4 for result in results) else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print the returns that the algorithms reach.")
    parser.add_argument("--all", action="store_true", help="the published budgets (default: a share of each)")
    parser.add_argument("--seeds", type=int, help="how many seeds to draw (default: 2; 5 with --all)")
    parser.add_argument("--only", nargs="*", choices=list(ALGORITHMS), help="rows of these algorithms")
    parser.add_argument("--json", metavar="FILE", help="write the results there, too")
    return parser.parse_args()


def _is_missing(env_id: str) -> bool:
    import gymnasium

    try:
        make_environment(env_id).close()
    except (ValueError, ModuleNotFoundError, gymnasium.error.DependencyNotInstalled):
        return True
    return False


def _measure(row: Row, seeds: list[int], *, is_short: bool) -> dict[str, Any]:
    steps = int(row.steps * row.short_share) if is_short else row.steps
    target = row.short_target if is_short else row.target
    returns, seconds, rates = [], [], []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as directory:
            began_at = time.perf_counter()
            run = ALGORITHMS[row.algorithm](row.env_id, seed=seed, directory=directory).start(steps=steps).wait()
            seconds.append(time.perf_counter() - began_at)
            rates.append(run.steps / seconds[-1])
        returns.append(rl.evaluate(run.best, episodes=20, seed=random.randrange(10_000)).mean)
    return {
        **asdict(row),
        "budget_steps": steps,
        "budget_target": target,
        "returns": returns,
        "seconds": seconds,
        "steps_per_s": rates,
        "reached_count": sum(value >= target for value in returns),
    }


def _line(row: Row, result: dict[str, Any]) -> str:
    returns = result["returns"]
    cells = [
        row.algorithm,
        row.env_id,
        f"{result['budget_steps']:,}",
        f"{result['budget_target']:,.0f}",
        row.published,
        f"{statistics.mean(returns):,.1f}",
        f"{min(returns):,.1f}",
        f"{statistics.median(result['seconds']):.1f}",
        f"{statistics.median(result['steps_per_s']):,.0f}",
        f"{result['reached_count']}/{len(returns)}",
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        art.shutdown()
