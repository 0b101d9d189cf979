"""The cells of one endpoint, and which of them keep a mailbox."""

from __future__ import annotations

import pytest

from actorrt.actors.hosting.population import MAILBOXES_COUNT, Population
from actorrt.ids import IdSource
from actorrt.invariants import BrokenInvariantError
from actorrt.machine.clock import ManualClock

IDS = IdSource()


class Cell:
    def __init__(self, is_idle=True):
        self.actor_id, self.label, self.mailbox = IDS.actor(), "actor", None
        self.is_idle = is_idle

    def drop_mailbox(self):
        if self.is_idle:
            self.mailbox = None
        return self.is_idle


@pytest.fixture
def population():
    population = Population(ManualClock())
    yield population
    population.close()


def add(population, *, has_mailbox=False, is_idle=True):
    cell = Cell(is_idle)
    population.add(cell.actor_id, cell)
    if has_mailbox:
        cell.mailbox = "a mailbox"
        population.allocated(cell)
    return cell


def test_cell_is_found_by_its_actor_until_it_is_removed(population):
    cell, other = add(population), add(population)
    assert (population.cell(cell.actor_id), population.cells(), len(population)) == (cell, [cell, other], 2)
    population.remove(cell)
    population.remove(cell)
    assert (population.cell(cell.actor_id), population.cells()) == (None, [other])


def test_idle_cell_that_has_had_its_mailbox_longest_drops_it_beyond_the_bound(population):
    first, second = add(population, has_mailbox=True), add(population, has_mailbox=True)
    for _ in range(MAILBOXES_COUNT - 1):
        add(population, has_mailbox=True)
    assert (first.mailbox, second.mailbox) == (None, "a mailbox")
    assert len(population.with_mailbox()) == MAILBOXES_COUNT
    assert population.with_mailbox()[0] is second


def test_busy_cell_keeps_its_mailbox_and_goes_to_the_end_of_the_line(population):
    busy = add(population, has_mailbox=True, is_idle=False)
    for _ in range(MAILBOXES_COUNT):
        add(population, has_mailbox=True)
    assert (busy.mailbox, population.with_mailbox()[-1]) == ("a mailbox", busy)
    assert len(population.with_mailbox()) == MAILBOXES_COUNT + 1


def test_removed_cell_is_not_among_those_with_a_mailbox(population):
    cell = add(population, has_mailbox=True)
    population.remove(cell)
    assert population.with_mailbox() == []


def test_what_contradicts_itself_is_found(population):
    cell = add(population, has_mailbox=True)
    population.check_invariants()
    del population._cells[cell.actor_id]
    with pytest.raises(BrokenInvariantError, match="actor is gone, and has a mailbox"):
        population.check_invariants()
    population.add(IDS.actor(), cell)
    with pytest.raises(BrokenInvariantError, match="actor is filed as another actor"):
        population.check_invariants()
    population._cells.clear()
    population._with_mailbox.clear()
    population.add(cell.actor_id, cell)
    with pytest.raises(BrokenInvariantError, match="actor has a mailbox that nobody looks into"):
        population.check_invariants()
