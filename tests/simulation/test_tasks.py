"""Tasks in virtual time, while workers die, links break and processes stand still: each ends in a value or an error."""

from __future__ import annotations

import pytest

from actorrt.testing import Faults, World
from tests.simulation.stories_of_tasks import FAULTS, begun, cancelled_elsewhere, forced, graph, steps


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_tasks_end_once_in_values_or_typed_errors_whatever_fails(first: int) -> None:
    for seed in range(first, first + 20):
        begun.clear()
        world = World(seed=seed, faults=FAULTS)
        world.run(graph, seed)
        assert max(begun.values()) == 1, f"seed {seed}: a task without retries has begun twice: {begun}"


@pytest.mark.parametrize("seed", [14, 155])
def test_tasks_of_these_seeds_found_defects(seed: int) -> None:
    """Run seeds that found defects.

    14: tasks that were refused together ended twice, since the end of one cancelled others; and a worker that ended
    began a coroutine. 155: what plain code submitted had been sent away when the code waited for it.
    """
    faults = Faults(kill=4.0, drop=0.5, cut=0.2, freeze=0.2, delay_s=0.05, spawn_failure=0.3)
    World(seed=seed, faults=faults).run(graph, seed)


def test_tasks_that_other_processes_cancel_end_whatever_fails() -> None:
    cancelled_counts = [World(seed=seed, faults=FAULTS).run(cancelled_elsewhere, seed) for seed in range(20)]
    assert sum(cancelled_counts) > 10 * 20, cancelled_counts


def test_code_of_tasks_that_were_cancelled_by_force_ends_whatever_fails() -> None:
    faults = Faults(drop=0.3, freeze=0.1, delay_s=0.02, spawn_failure=0.1)
    for seed in range(15):
        steps.clear()
        World(seed=seed, cpus=2, faults=faults).run(forced, seed)
        assert steps, "none of them has begun"


def test_one_seed_tells_one_story_of_tasks() -> None:
    digests = set()
    for _ in range(2):
        world = World(seed=5, faults=FAULTS)
        world.run(graph, 5)
        digests.add(world.digest())
    assert len(digests) == 1
