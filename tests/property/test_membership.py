"""Membership in named stories, and in random ones: a node whose death is written has no lease when its time is over."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorrt.cluster.membership.constants import FENCE_S, FREEZE_MAX_S, UNDECIDED_S
from actorrt.cluster.membership.membership import Phase
from actorrt.protocol.cluster.members import MemberStatus
from tests.property.membership_world import MembershipWorld, node_id

ALIVE, DEAD, JOINING = MemberStatus.ALIVE, MemberStatus.DEAD, MemberStatus.JOINING


def test_nodes_that_reach_each_other_and_the_store_all_stay() -> None:
    world = MembershipWorld(1, 12)
    world.run(120)
    assert world.statuses() == [ALIVE] * 12
    assert all(not node.phases for node in world.nodes)


@pytest.mark.parametrize("nodes_count", [2, 3, 5, 30])
@pytest.mark.parametrize("seed", range(5))
def test_a_silent_node_is_written_dead_within_four_and_a_half_seconds(nodes_count: int, seed: int) -> None:
    world = MembershipWorld(seed, nodes_count, store=0)
    world.run(10 + seed / 7)
    world.kill(1)
    world.run(4.5)
    assert world.statuses() == [ALIVE, DEAD, *[ALIVE] * (nodes_count - 2)]
    world.run(1.5)  # and all know within another read
    others = [node for node in world.nodes if node.number != 1]
    assert all([member.node for _, member in node.ended] == [node_id(1)] for node in others)


def test_a_node_that_joins_counts_when_half_have_read_its_row() -> None:
    world = MembershipWorld(1, 3)
    world.run(5)
    world.start(3)
    assert world.statuses() == [ALIVE] * 3 + [JOINING]
    world.run(3)
    assert world.statuses() == [ALIVE] * 4
    assert all(len(node.membership.view.counted) == 4 for node in world.nodes)


def test_of_two_nodes_the_one_without_the_store_freezes_while_the_other_is_away_and_goes_on() -> None:
    world = MembershipWorld(1, 2, store=0)
    world.run(5)
    world.pause(0, 30)
    world.run(20)
    assert world.nodes[1].membership.phase is Phase.FROZEN
    assert node_id(0) in world.nodes[1].membership.undecided(world.now)
    world.run(20)
    assert world.statuses() == [ALIVE, ALIVE]
    assert world.running() == [0, 1]
    assert node_id(0) not in world.nodes[1].membership.undecided(world.now)


@pytest.mark.parametrize("nodes_count", [3, 4, 5, 12])
def test_while_the_node_with_the_store_is_away_all_others_go_on(nodes_count: int) -> None:
    world = MembershipWorld(1, nodes_count, store=0)
    world.run(5)
    world.pause(0, 30)
    world.run(29)
    assert all(not node.phases for node in world.nodes[1:])
    world.run(10)
    assert world.statuses() == [ALIVE] * nodes_count
    assert world.running() == list(range(nodes_count))


def test_three_nodes_with_a_one_way_cut_lose_at_most_one() -> None:
    world = MembershipWorld(1, 3)
    world.run(5)
    world.cut((1, 2))
    world.run(60)
    assert world.statuses()[0] is ALIVE
    assert world.statuses().count(DEAD) == 1  # one of the two that can't reach each other, after half a minute
    world.heal()
    world.run(10)
    assert len(world.running()) == 2


def test_two_nodes_that_can_not_reach_each_other_are_both_there_before_half_a_minute() -> None:
    world = MembershipWorld(1, 5)
    world.run(5)
    world.part([1], [2])
    world.run(28)
    assert world.statuses() == [ALIVE] * 5
    world.run(12)
    assert sorted(world.statuses()) == [ALIVE] * 4 + [DEAD]


def test_of_five_nodes_the_three_without_the_store_go_on_and_nobody_is_written_dead() -> None:
    world = MembershipWorld(1, 5, store=0)
    world.run(5)
    world.part([0, 1], [2, 3, 4])
    world.run(60)
    assert world.statuses() == [ALIVE] * 5
    assert world.running() == [0, 1, 2, 3, 4]
    world.heal()
    world.run(10)
    assert world.statuses() == [ALIVE] * 5


def test_of_five_nodes_the_two_without_the_store_are_written_dead_and_give_up() -> None:
    world = MembershipWorld(1, 5, store=0)
    world.run(5)
    world.part([0, 1, 2], [3, 4])
    world.run(6)
    assert world.statuses() == [ALIVE] * 3 + [DEAD] * 2
    assert world.running() == [0, 1, 2]
    world.heal()
    world.run(3)
    assert [node.membership.phase for node in world.nodes[3:]] == [Phase.GIVEN_UP] * 2


def test_a_node_that_slept_through_its_death_gives_up_when_it_wakes() -> None:
    world = MembershipWorld(1, 3)
    world.run(5)
    world.pause(2, 20)
    world.run(10)
    assert world.statuses() == [ALIVE, ALIVE, DEAD]
    world.run(15)
    assert world.nodes[2].membership.phase is Phase.GIVEN_UP


def test_a_node_that_is_alone_for_two_minutes_gives_up() -> None:
    world = MembershipWorld(1, 2, store=0)
    world.run(5)
    world.kill(0)
    world.run(FENCE_S + 2)
    assert world.nodes[1].membership.phase is Phase.FROZEN
    world.run(FREEZE_MAX_S + 2)
    assert world.nodes[1].membership.phase is Phase.GIVEN_UP


def test_a_cut_of_ten_seconds_makes_a_member_undecided_and_not_dead() -> None:
    world = MembershipWorld(1, 5)
    world.run(5)
    world.part([1], [2])
    world.run(UNDECIDED_S + 1)
    assert node_id(2) in world.nodes[1].membership.undecided(world.now)
    assert node_id(2) not in world.nodes[0].membership.undecided(world.now)


def test_a_node_that_comes_back_is_another_incarnation() -> None:
    world = MembershipWorld(1, 3)
    world.run(5)
    world.kill(2)
    world.run(1)
    old = world.nodes[2].incarnation
    world.start(2)
    world.run(5)
    assert world.statuses() == [ALIVE] * 3
    assert [member.incarnation for _, member in world.nodes[0].ended] == [old]


FAULTS = ("cut", "part", "heal", "kill", "pause", "store", "slow", "start", "wait")


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    nodes_count=st.integers(2, 7),
    is_on_a_node=st.booleans(),
    faults=st.lists(
        st.tuples(st.sampled_from(FAULTS), st.integers(0, 6), st.integers(0, 6), st.floats(0, 12)), max_size=14
    ),
)
def test_a_node_that_is_written_dead_has_no_lease_when_others_may_start_its_actors(
    seed: int, nodes_count: int, is_on_a_node: bool, faults: list[tuple[str, int, int, float]]
) -> None:
    world = MembershipWorld(seed, nodes_count, store=0 if is_on_a_node else None)
    world.run(3)
    for fault, a, b, seconds in faults:
        one, other = a % nodes_count, b % nodes_count
        match fault:
            case "cut" if one != other:
                world.cut((one, other))
            case "part":
                group = [n for n in range(nodes_count) if world.chance.random() < 0.5]
                world.part(group, [n for n in range(nodes_count) if n not in group])
            case "heal":
                world.heal()
            case "kill" if one or not is_on_a_node:
                world.kill(one)
            case "pause":
                world.pause(one, seconds)
            case "store":
                world.is_store_away = not world.is_store_away
            case "slow":
                world.latency_s = 0.3 if world.latency_s < 0.1 else 0.001
            case "start" if world.nodes[one].is_dead and not world.is_store_away:
                world.start(one)
        world.run(seconds)
    world.heal()
    world.is_store_away, world.latency_s = False, 0.001
    world.run(20)  # and then it settles: every node that lives runs, or has been written dead
    for node, status in zip(world.nodes, world.statuses(), strict=True):
        if node.is_dead:
            continue
        expected = Phase.RUNNING if status in (ALIVE, JOINING) else Phase.GIVEN_UP
        assert node.membership.phase is expected or node.membership.phase is Phase.GIVEN_UP


def test_in_a_large_cluster_nobody_is_undecided_that_is_there() -> None:
    world = MembershipWorld(1, 25)
    world.run(2 * UNDECIDED_S)
    assert [node.membership.undecided(world.now) for node in world.nodes] == [{}] * 25


def test_a_node_that_was_paused_hears_before_it_calls_others_silent() -> None:
    world = MembershipWorld(1, 3, store=0)
    world.run(5)
    world.pause(1, 2 * UNDECIDED_S)
    world.run(2 * UNDECIDED_S + 0.5)
    assert world.nodes[1].membership.undecided(world.now) == {}


def test_a_member_that_answers_without_a_lease_is_undecided_too() -> None:
    world = MembershipWorld(1, 4)
    world.run(5)
    world.is_store_away = True
    world.part([0, 2], [1, 3])  # no side is more than half
    world.run(FENCE_S + UNDECIDED_S + 3)
    assert world.running() == []
    undecided = world.nodes[3].membership.undecided(world.now)
    assert sorted(undecided) == [node_id(0), node_id(1), node_id(2)]
    assert "has been without a lease for 10 s" in undecided[node_id(1)]
    assert "nothing has been heard" in undecided[node_id(0)]
    world.is_store_away = False
    world.heal()
    world.run(3)
    assert [node.membership.undecided(world.now) for node in world.nodes] == [{}] * 4
