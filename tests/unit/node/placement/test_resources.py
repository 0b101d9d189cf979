"""Reservations: what fits, what is shared, and what can never be had."""

from __future__ import annotations

import pytest

from actorrt.actors.policy.options import ActorOptions
from actorrt.errors import ActorStartError, PlacementError
from actorrt.ids import IdSource
from actorrt.node.placement.resources import Resources

IDS = IdSource()


@pytest.mark.parametrize("may_exceed", [False, True])
@pytest.mark.parametrize(("name", "options"), [("gpus", {"gpus": 1}), ("tpus", {"resources": {"tpus": 1}})])
def test_resource_that_the_node_lacks_cannot_be_shared(may_exceed, name, options):
    resources = Resources(2, 0, may_exceed=may_exceed)
    with pytest.raises(PlacementError, match=f"a-1 did not start: it reserves {name}, and the node has none"):
        resources.reserve(IDS.actor(), "a-1", ActorOptions(cpus=1, **options))
    assert list(resources.reserving()) == []
    assert resources.reserved("cpus") == 0


def test_more_than_there_is_can_be_shared_where_the_node_says_so():
    resources = Resources(2, 1, may_exceed=True)
    for _ in range(3):
        resources.reserve(IDS.actor(), "a", ActorOptions(cpus=1, gpus=1))
    assert (resources.reserved("cpus"), resources.reserved("gpus")) == (3, 3)


def test_more_than_is_left_is_refused_and_the_earlier_reservation_is_released():
    resources, actor = Resources(2, 0, may_exceed=False), IDS.actor()
    resources.reserve(actor, "a", ActorOptions(cpus=1))
    with pytest.raises(ActorStartError, match="with it 3 cpus would be reserved, and the node has 2"):
        resources.reserve(actor, "a", ActorOptions(cpus=3))
    assert resources.reserved("cpus") == 0
