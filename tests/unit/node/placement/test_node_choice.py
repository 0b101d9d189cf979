"""Which node an actor is given, and the words when it is given none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorrt.actors.policy.node_placement import HasLabels, OnNode, Placement, Strategy
from actorrt.errors import PlacementError
from actorrt.ids import NodeId, PeerAddress, PeerId
from actorrt.node.placement.node_choice import NodeView, choose


def node(number: int, cpus: float = 4, free: float | None = None, **changes: Any) -> NodeView:
    """Return what is known of a node; number 0 is this one."""
    id = NodeId(bytes([number]) * 16)
    total = {"cpus": cpus, "gpus": changes.pop("gpus", 0.0)}
    left = {"cpus": cpus if free is None else free, "gpus": changes.pop("free_gpus", total["gpus"])}
    daemon = PeerAddress(PeerId(id), "node") if number else None
    return NodeView(daemon, id, changes.pop("labels", {}), total, left, **changes)


def chosen(
    need: dict[str, float], placement: Placement | None, *views: NodeView, near: NodeId | None = None
) -> list[int]:
    return [view.node[0] for view in choose("a", need, placement, views, near).nodes if view.node is not None]


ONE = {"cpus": 1.0}


def test_this_node_comes_first_where_it_has_room_and_then_the_one_with_most_free() -> None:
    assert chosen(ONE, None, node(0, free=1), node(1), node(2, free=3)) == [0, 1, 2]
    assert chosen(ONE, None, node(0, free=0.5), node(1, free=2), node(2, free=3)) == [2, 1]


def test_spread_prefers_nodes_with_few_actors_of_the_job_and_then_free_cpus() -> None:
    views = node(0, actors_count=1), node(1, free=2), node(2, free=3), node(3, actors_count=2)
    assert chosen(ONE, Strategy.SPREAD, *views) == [2, 1, 0, 3]
    assert chosen(ONE, Strategy.SPREAD, node(0), node(1)) == [0, 1]


def test_pack_prefers_the_fullest_node_with_room() -> None:
    assert chosen(ONE, Strategy.PACK, node(0), node(1, free=1), node(2, free=2), node(3, free=0)) == [1, 2, 0]
    gpu = {"gpus": 1.0}
    assert chosen(gpu, Strategy.PACK, node(0, gpus=4), node(1, gpus=4, free_gpus=1)) == [1, 0]


def test_one_node_is_named_by_the_beginning_of_its_id() -> None:
    assert chosen(ONE, OnNode("02"), node(0), node(1), node(2)) == [2]
    with pytest.raises(
        PlacementError, match=r"art.node\('07'\): 07 is no node of the cluster; the nodes are 00000000, 01"
    ):
        chosen(ONE, OnNode("07"), node(0), node(1))
    with pytest.raises(PlacementError, match="0 is the beginning of several ids"):
        chosen(ONE, OnNode("0"), node(0), node(1))


def test_labels_choose_among_the_nodes_that_have_them_all() -> None:
    views = node(0, labels={"zone": "a"}), node(1, labels={"zone": "b", "disk": "ssd"}), node(2, labels={"zone": "b"})
    assert chosen(ONE, HasLabels((("zone", "b"),)), *views) == [1, 2]
    assert chosen(ONE, HasLabels((("disk", "ssd"), ("zone", "b"))), *views) == [1]
    with pytest.raises(
        PlacementError, match="a did not start: no node has the label zone=c; the labels are disk=ssd, zone=a"
    ):
        chosen(ONE, HasLabels((("zone", "c"),)), *views)
    with pytest.raises(PlacementError, match="no node has all of disk=ssd, zone=a"):
        chosen(ONE, HasLabels((("disk", "ssd"), ("zone", "a"))), *views)
    with pytest.raises(PlacementError, match="no node has labels; --label NAME=VALUE gives one"):
        chosen(ONE, HasLabels((("zone", "a"),)), node(0))


def test_near_comes_first_if_it_has_room() -> None:
    other = node(2)
    assert chosen(ONE, None, node(0), node(1), other, near=other.node) == [2, 0, 1]
    assert chosen(ONE, None, node(0), node(1), node(2, free=0), near=other.node) == [0, 1]


def test_what_no_node_is_large_enough_for_is_refused_at_once_with_the_largest() -> None:
    views = node(0, gpus=2, free_gpus=0), node(1, cpus=8)
    with pytest.raises(PlacementError, match="it reserves gpus=3, and the largest node has 2; reserve less"):
        chosen({"gpus": 3}, None, *views)
    with pytest.raises(PlacementError, match="it reserves tpus=1, and no node has any"):
        chosen({"tpus": 1}, None, *views)
    with pytest.raises(PlacementError, match="it reserves 5 cpus, 1 gpus, and no node has all of that"):
        chosen({"cpus": 5, "gpus": 1}, None, *views)


def test_what_does_not_fit_now_waits_and_says_what_each_node_has() -> None:
    choice = choose("a", {"gpus": 2}, None, [node(0, gpus=2, free_gpus=1), node(1), node(2, gpus=4, free_gpus=0)])
    assert choice.nodes == []
    assert choice.lacks == ("waits for 2 gpus: node 00000000 has 1 of 2 gpus free, node 02020202 has 0 of 4 gpus free")


def test_node_of_zero_cpus_runs_nothing_and_what_needs_nothing_goes_to_the_entry_node() -> None:
    assert chosen({}, None, node(0, cpus=0), node(1), node(2, is_entry=True)) == [2, 1]
    assert chosen(ONE, None, node(0, cpus=0), node(1), node(2, free=3, is_entry=True)) == [1, 2]
    with pytest.raises(PlacementError, match="have no CPUs, so they run drivers only"):
        chosen({}, None, node(0, cpus=0))


def test_only_this_node_may_exceed_what_it_has() -> None:
    assert chosen({"cpus": 9}, None, node(0, free=-3, may_exceed=True), node(1)) == [0]
    with pytest.raises(PlacementError, match="no node has any"):
        chosen({"gpus": 1}, None, node(0, may_exceed=True), node(1))


AMOUNTS = st.dictionaries(st.sampled_from(["cpus", "gpus"]), st.sampled_from([0.5, 1.0, 2.0, 4.0]))
PLACEMENTS = st.sampled_from([None, Strategy.PACK, Strategy.SPREAD, OnNode("01"), HasLabels((("zone", "a"),))])


@st.composite
def views(draw: st.DrawFn) -> list[NodeView]:
    made = []
    for number in range(draw(st.integers(1, 5))):
        cpus, gpus = draw(st.integers(0, 4)), draw(st.integers(0, 2))
        made.append(
            node(
                number,
                cpus,
                draw(st.integers(0, cpus)),
                gpus=gpus,
                free_gpus=draw(st.integers(0, gpus)),
                labels=draw(st.sampled_from([{}, {"zone": "a"}, {"zone": "b"}])),
                actors_count=draw(st.integers(0, 3)),
            )
        )
    return made


@given(AMOUNTS, PLACEMENTS, views())
def test_every_choice_fits_and_every_wait_can_end(
    need: dict[str, float], placement: Placement | None, known: list[NodeView]
) -> None:
    """The nodes with room are exactly those that fit; one waits only for what an empty node could give."""

    def allows(view: NodeView) -> bool:
        match placement:
            case OnNode(id):
                return view.node is not None and view.node.hex().startswith(id)
            case HasLabels(labels):
                return set(labels) <= set(view.labels.items())
        return True

    large = [v for v in known if allows(v) and v.total["cpus"] and all(v.total[n] >= a for n, a in need.items())]
    fitting = [v for v in large if all(v.free[n] >= a for n, a in need.items())]
    try:
        choice = choose("a", need, placement, known)
    except PlacementError:
        assert large == []
        return
    assert sorted(choice.nodes, key=known.index) == fitting
    assert bool(choice.lacks) == (not fitting)
    assert large
