"""What a host reports of the ends of its actors, without a host."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from actorrt.actors.hosting.reports import ALIKE_COUNT, Reports
from actorrt.ids import IdSource, PeerAddress
from actorrt.protocol.authorities import Exited, Handled
from actorrt.protocol.nodes import Orphaned
from actorrt.reasons import SHUTDOWN, ExitKind, ExitReason

IDS = IdSource()
NODE, OTHER = PeerAddress(IDS.peer(), "memory://node"), PeerAddress(IDS.peer(), "memory://other")
ERROR = ExitReason(ExitKind.ERROR, "no")


class Authority:
    """Keeps what an endpoint tells authorities, its own among them."""

    def __init__(self):
        self.told = []
        self.heard_here = []
        self.stops = self

    def notify(self, to, notice):
        if isinstance(notice, Exited):
            self.told.append((to, list(notice.actors), notice.incarnation, str(notice.reason.kind)))
        else:
            self.told.append((to, notice))

    def exited(self, actor_id, incarnation, reason, *, is_administrative):
        self.heard_here.append((actor_id, incarnation, reason, is_administrative))

    def handled_a_message(self, actor_id, incarnation):
        self.heard_here.append((actor_id, incarnation))

    def stop_children(self, actor_id):
        self.heard_here.append(("stop children", actor_id))


@pytest.fixture
def authority():
    return Authority()


@pytest.fixture
async def reports(authority):
    return Reports(authority, SimpleNamespace(node=NODE), authority, asyncio.get_running_loop().call_soon)


def cell_of(authority=NODE, *, is_child_here=False, has_distant_children=False):
    blueprint = SimpleNamespace(authority=authority, is_child_here=is_child_here)
    return SimpleNamespace(
        actor_id=IDS.actor(), incarnation=3, blueprint=blueprint, has_distant_children=has_distant_children
    )


def ended(reports, authority=NODE, incarnation=1, reason=SHUTDOWN, *, is_child_here=False):
    """Report the end of another actor; return its id."""
    cell = cell_of(authority, is_child_here=is_child_here)
    reports.exited(cell, incarnation, reason, is_administrative=True, is_buried=True)
    return cell.actor_id


async def test_actors_that_ended_alike_share_a_message(reports, authority):
    ids = [ended(reports) for _ in range(ALIKE_COUNT + 1)]
    assert authority.told == []  # before the end of the turn
    await asyncio.sleep(0)
    assert authority.told == [(NODE, ids[:-1], 1, "shutdown"), (NODE, ids[-1:], 1, "shutdown")]


async def test_reports_keep_their_order_and_each_its_own_authority_incarnation_and_reason(reports, authority):
    ids = [
        ended(reports),
        ended(reports, reason=ERROR),
        ended(reports, reason=ERROR),
        ended(reports, incarnation=2),
        ended(reports, OTHER),
        ended(reports),
    ]
    await asyncio.sleep(0)
    assert authority.told == [
        (NODE, ids[:1], 1, "shutdown"),
        (NODE, ids[1:3], 1, "error"),
        (NODE, ids[3:4], 2, "shutdown"),
        (OTHER, ids[4:5], 1, "shutdown"),
        (NODE, ids[5:], 1, "shutdown"),
    ]


async def test_end_of_a_child_of_this_endpoint_is_heard_here(reports, authority):
    child = ended(reports, is_child_here=True)
    await asyncio.sleep(0)
    assert (authority.told, authority.heard_here) == ([], [(child, 1, SHUTDOWN, True)])


async def test_first_message_is_told_to_the_authority_of_the_actor(reports, authority):
    there, here = cell_of(OTHER), cell_of(is_child_here=True)
    reports.handled_first(there)
    reports.handled_first(here)
    assert authority.told == [(OTHER, Handled(actor=there.actor_id, incarnation=3))]
    assert authority.heard_here == [(here.actor_id, 3)]


async def test_end_ends_children_here_and_wakes_who_waits_for_it(reports, authority):
    cell, other = cell_of(), cell_of()
    waiting, waiting_for_other = reports.next_exit_of(cell.actor_id), reports.next_exit_of(other.actor_id)
    reports.happened(cell)
    assert (waiting.done(), waiting_for_other.done()) == (True, False)
    assert (authority.heard_here, authority.told) == ([("stop children", cell.actor_id)], [])


async def test_node_is_told_of_an_end_whose_distant_children_nobody_else_knows(reports, authority):
    elsewhere, of_the_node = cell_of(OTHER, has_distant_children=True), cell_of(has_distant_children=True)
    reports.happened(elsewhere)
    reports.happened(of_the_node)
    assert authority.told == [(NODE, Orphaned(actor=elsewhere.actor_id))]
