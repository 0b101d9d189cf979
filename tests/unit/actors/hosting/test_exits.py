"""What a host reports of the ends of its actors, without a host."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from actorrt.actors.hosting.exits import ALIKE_COUNT, Exits
from actorrt.ids import IdSource, PeerAddress
from actorrt.protocol.authorities import Exited
from actorrt.reasons import SHUTDOWN, ExitKind, ExitReason

IDS = IdSource()
NODE, OTHER = PeerAddress(IDS.peer(), "memory://node"), PeerAddress(IDS.peer(), "memory://other")
ERROR = ExitReason(ExitKind.ERROR, "no")


class Authority:
    """Keeps what an endpoint tells authorities, its own among them."""

    def __init__(self):
        self.told = []
        self.heard_here = []

    def notify(self, to, notice):
        assert type(notice) is Exited
        self.told.append((to, list(notice.actors), notice.incarnation, notice.reason.kind))

    def exited(self, actor_id, incarnation, reason, *, is_administrative):
        self.heard_here.append((actor_id, incarnation, reason, is_administrative))


@pytest.fixture
def authority():
    return Authority()


@pytest.fixture
async def exits(authority):
    return Exits(SimpleNamespace(loop=asyncio.get_running_loop(), control=authority, registry=authority))


def ended(exits, authority=NODE, incarnation=1, reason=SHUTDOWN, *, is_child_here=False):
    """Report the end of another actor; return its id."""
    cell = SimpleNamespace(
        actor_id=IDS.actor(), blueprint=SimpleNamespace(authority=authority, is_child_here=is_child_here)
    )
    exits.report(cell, incarnation, reason, is_administrative=True, is_buried=True)
    return cell.actor_id


async def test_actors_that_ended_alike_share_a_message(exits, authority):
    ids = [ended(exits) for _ in range(ALIKE_COUNT + 1)]
    assert authority.told == []  # before the end of the turn
    await asyncio.sleep(0)
    assert authority.told == [(NODE, ids[:-1], 1, "shutdown"), (NODE, ids[-1:], 1, "shutdown")]


async def test_reports_keep_their_order_and_each_its_own_authority_incarnation_and_reason(exits, authority):
    ids = [
        ended(exits),
        ended(exits, reason=ERROR),
        ended(exits, reason=ERROR),
        ended(exits, incarnation=2),
        ended(exits, OTHER),
        ended(exits),
    ]
    await asyncio.sleep(0)
    assert authority.told == [
        (NODE, ids[:1], 1, "shutdown"),
        (NODE, ids[1:3], 1, "error"),
        (NODE, ids[3:4], 2, "shutdown"),
        (OTHER, ids[4:5], 1, "shutdown"),
        (NODE, ids[5:], 1, "shutdown"),
    ]


async def test_end_of_a_child_of_this_endpoint_is_heard_here(exits, authority):
    child = ended(exits, is_child_here=True)
    await asyncio.sleep(0)
    assert (authority.told, authority.heard_here) == ([], [(child, 1, SHUTDOWN, True)])
