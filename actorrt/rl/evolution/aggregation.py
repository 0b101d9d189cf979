"""Adds up weighted directions as a tree, whose parts may be added up in any process.

Floating-point sums depend on their order. Here the tree alone decides the order: a leaf is the sum of `FAN_IN`
directions, an inner node the sum of `FAN_IN` sums. So the result is the same bit for bit, whether one process adds up
everything or any number of simulators add up parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from actorrt.rl.evolution.explorer_pool import ExplorerPool
from actorrt.rl.evolution.perturbation import direction
from actorrt.rl.spaces.array_spaces import Array

FAN_IN = 16
LEAF_S, NODE_S = 11e-9, 0.5e-9  # for one number: generating and adding it in a leaf, adding it in a node
SHARED_FROM_S = 0.01  # a level that takes less time in this process is not worth the messages

Term: TypeAlias = tuple[int, float]
"""Number of a direction, and its weight."""


def sum_of_terms(terms: Sequence[Term], run_seed: int, iteration: int, count: int) -> Array:
    """Return the sum of a leaf, float64.

    Args:
        terms: directions of the update, with their weights.
        run_seed: seed of the run.
        iteration: number of the update.
        count: number of the policy's parameters.
    """
    total = np.zeros(count)
    for number, weight in terms:
        total += weight * direction(run_seed, iteration, number, count)
    return total


def sum_of_sums(parts: Sequence[Array]) -> Array:
    """Return the sum of an inner node."""
    total: Array = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


async def weighted_sum(pool: ExplorerPool, weights: Array, run_seed: int, iteration: int, count: int) -> Array:
    """Return the weighted sum of an update's directions, float64 of shape (count,).

    The pool adds up the levels that are worth the messages.
    """
    terms = [(number, float(weight)) for number, weight in enumerate(weights) if weight]
    leaves = _grouped(terms)
    if not leaves:
        return np.zeros(count)
    if _is_worth_sharing(pool, len(terms) * count * LEAF_S):
        parts, _ = await pool.do(
            "leaves",
            len(leaves),
            lambda simulator, numbers: simulator.add_up([leaves[number] for number in numbers], iteration),
        )
    else:
        parts = [sum_of_terms(leaf, run_seed, iteration, count) for leaf in leaves]
    while len(parts) > 1:
        parts = await _next_level(pool, _grouped(parts), len(parts) * count * NODE_S)
    whole: Array = parts[0]
    return whole


async def _next_level(pool: ExplorerPool, nodes: Sequence[Sequence[Array]], cost_s: float) -> list[Array]:
    if not _is_worth_sharing(pool, cost_s):
        return [sum_of_sums(node) for node in nodes]
    sums, _ = await pool.do(
        "nodes", len(nodes), lambda simulator, numbers: simulator.add([nodes[number] for number in numbers])
    )
    return sums


def _grouped(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[start : start + FAN_IN] for start in range(0, len(items), FAN_IN)]


def _is_worth_sharing(pool: ExplorerPool, cost_s: float) -> bool:
    return len(pool) > 1 and cost_s >= SHARED_FROM_S
