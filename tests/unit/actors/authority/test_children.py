"""The children of each parent."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.actors.authority.children import Children
from actorrt.actors.authority.record import ActorRecord
from actorrt.ids import IdSource
from tests.unit.records import order_of

IDS = IdSource()


def child_of(parent):
    return ActorRecord(IDS.actor(), order_of(parent))


@pytest.fixture
def parent():
    return IDS.actor()


def test_children_are_listed_in_order_and_for_their_end_last_first(parent):
    children, (a, b) = Children(), [child_of(parent) for _ in range(2)]
    children.add(a)
    children.add(b)
    assert (list(children.in_order(parent)), children.of(parent), children.all()) == ([a, b], [b, a], [a, b])
    assert [(who, list(found)) for who, found in children.families()] == [(parent, [a, b])]


def test_parent_is_known_for_as_long_as_it_has_children(parent):
    children, child = Children(), child_of(parent)
    assert parent not in children
    children.add(child)
    assert parent in children
    children.remove(child)
    children.remove(child)
    assert (parent in children, children.of(parent), list(children.in_order(parent))) == (False, [], [])


def test_actor_that_no_actor_spawned_is_nobodys_child():
    children, alone = Children(), child_of(None)
    children.add(alone)
    children.remove(alone)
    assert children.all() == []


async def test_children_are_gone_when_the_last_one_is(parent):
    children, records = Children(), [child_of(parent) for _ in range(2)]
    for record in records:
        children.add(record)
    waiting = asyncio.ensure_future(children.gone(parent))
    for record in records:
        await asyncio.sleep(0)
        assert not waiting.done()
        children.remove(record)
        record.gone()
    await waiting
