"""Testing the tester, for tasks: with one safeguard taken away, a story of tasks finds what is broken then.

Each mutation is looked for from the seed that has found it on, as those of the standard story.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest

from actorrt.testing.virtual.processes import buried_silently
from tests.simulation.mutations_of_tasks import TASKS, TaskMutation, TaskStory

TRIED_COUNT = 8
"""How many seeds are tried, from the one that has found the mutation on."""


@pytest.fixture(autouse=True)
def nothing_is_logged() -> Iterator[None]:
    """Log nothing, since records keep what has failed, and bury the coroutines of worlds that have failed."""
    logging.disable(logging.CRITICAL)
    yield
    with buried_silently():
        for _ in range(2):
            gc.collect()
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("one", TASKS, ids=lambda one: one.mutation.name)
def test_a_story_of_tasks_finds_the_safeguard_that_is_missing(one: TaskMutation) -> None:
    with one.mutation.applied():
        seeds = range(one.seed, one.seed + TRIED_COUNT)
        assert any(map(one.story.verdict, seeds)), f"{one.mutation.name!r} is found by none of the seeds {seeds}"


@pytest.mark.parametrize("story", [*dict.fromkeys(one.story for one in TASKS)], ids=lambda story: story.main.__name__)
def test_the_same_stories_find_nothing_in_the_runtime_as_it_is(story: TaskStory) -> None:
    seeds = {one.seed for one in TASKS if one.story is story} | set(range(4))
    assert [(seed, said) for seed in sorted(seeds) if (said := story.verdict(seed))] == []
