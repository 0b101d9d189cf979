"""Testing the tester: with one safeguard of the runtime taken away, a world finds what is broken then.

Each mutation is looked for from the seed that has found it on: when the story changes, a seed tells another story. If
a mutation is not found any more, `scripts/mutate --search --only NAME --write` looks further. If there is no seed, an
oracle has got lost.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest

from actorrt.testing.virtual.processes import buried_silently
from tests.simulation.mutations import Mutation, MutationError, verdict_of
from tests.simulation.mutations_of_repairs import REPAIRS
from tests.simulation.mutations_table import MUTATIONS, Story, read_stories
from tests.simulation.mutations_uncaught import UNCAUGHT

TRIED_COUNT = 12
"""How many seeds are tried, from the one that has found the mutation on."""
STORIES = read_stories()
CAUGHT = [(mutation, story) for mutation in MUTATIONS if (story := STORIES.get(mutation.name)) is not None]


@pytest.fixture(autouse=True)
def nothing_is_logged() -> Iterator[None]:
    """Log nothing: records keep errors, whose tracebacks keep the memory of processes that are long dead."""
    logging.disable(logging.CRITICAL)
    yield
    with buried_silently():
        for _ in range(2):  # a finalizer keeps what it sees until the next search
            gc.collect()  # coroutines of a world that failed would be reported with a later test
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("mutation", "story"), CAUGHT, ids=[mutation.name for mutation, _ in CAUGHT])
def test_world_finds_the_safeguard_that_is_missing(mutation: Mutation, story: Story) -> None:
    with mutation.applied():
        stories = (story._replace(seed=story.seed + more) for more in range(TRIED_COUNT))
        assert any(map(found_by, stories)), f"{mutation.name!r} is found from {story} on by none: {mutation.breaks}"


def found_by(story: Story) -> bool:
    return bool(verdict_of(*story))


@pytest.mark.parametrize("story", sorted({story for _, story in CAUGHT}))
def test_same_stories_find_nothing_in_the_runtime_as_it_is(story: Story) -> None:
    assert not verdict_of(*story)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_fits_the_code_and_leaves_no_trace(mutation: Mutation) -> None:
    function = mutation.function()
    before = function.__code__
    with mutation.applied():
        assert function.__code__ is not before
    assert function.__code__ is before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"place": "actors.cells.deduplication:Nobody.is_first"}, r"Nobody\.is_first is not there"),
        ({"place": "actors.cells.deduplication:KEY_WINDOW_COUNT"}, r"KEY_WINDOW_COUNT is no function, but 10000"),
        ({"old": "no such text"}, r"'no such text' is in .*is_first 0 times"),
        ({"old": "running"}, r"'running' is in .*is_first 4 times"),
    ],
)
def test_mutation_whose_code_has_moved_fails_with_the_place(change: dict[str, str], said: str) -> None:
    mutation = MUTATIONS[0]._replace(**change)
    with pytest.raises(MutationError, match=said), mutation.applied():
        pass


def test_every_reason_is_for_a_mutation_that_no_seed_finds() -> None:
    names = {mutation.name for mutation in MUTATIONS}
    assert set(UNCAUGHT) <= names - {mutation.name for mutation, _ in CAUGHT}


def test_every_mutation_is_found_or_has_a_reason() -> None:
    assert {mutation.name for mutation in MUTATIONS} == {mutation.name for mutation, _ in CAUGHT} | set(UNCAUGHT)


def test_ten_defects_that_a_reader_had_found_are_found_when_their_repairs_are_taken_out() -> None:
    assert {mutation.name for mutation in REPAIRS} <= {mutation.name for mutation, _ in CAUGHT}
    assert len(REPAIRS) == 10
