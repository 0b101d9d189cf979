"""The schedule of work items when simulators are slow, fail, join and leave."""

from __future__ import annotations

import random

import pytest

from actorrt.rl.evolution.work_schedule import AHEAD, SHARE_S, STRAGGLER_FLOOR_S, WorkSchedule, WorkShare


def schedule_of(count: int) -> WorkSchedule:
    schedule = WorkSchedule()
    for index in range(count):
        schedule.join(index)
    return schedule


def experienced(*item_s: float) -> WorkSchedule:
    """Return a schedule whose members took so long for an item of the round before."""
    schedule = schedule_of(len(item_s))
    schedule.begin("episodes", len(item_s))
    for share in list(schedule.to_ask(0.0)):
        schedule.completed(share, item_s[share.member])
    assert schedule.is_over
    return schedule


def asked(schedule: WorkSchedule, now: float) -> dict[int, list[tuple[int, ...]]]:
    """Return what each member is asked for now."""
    shares: dict[int, list[tuple[int, ...]]] = {}
    for share in schedule.to_ask(now):
        shares.setdefault(share.member, []).append(share.numbers)
    return shares


def test_first_shares_are_one_item_until_the_duration_of_an_item_is_known() -> None:
    schedule = schedule_of(2)
    schedule.begin("episodes", 100)
    assert asked(schedule, 0.0) == {0: [(0,), (2,)], 1: [(1,), (3,)]}
    assert asked(schedule, 0.0) == {}


def test_shares_get_smaller_towards_the_end() -> None:
    schedule = experienced(0.001, 0.001)
    schedule.begin("episodes", 32)
    sizes, now, shares = [], 0.0, list(schedule.to_ask(0.0))
    while shares:
        sizes.append(len(shares[0].numbers))
        now += 0.001 * sizes[-1]
        schedule.completed(shares.pop(0), now)
        shares += schedule.to_ask(now)
    assert schedule.is_over
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 32 // (AHEAD * 2)
    assert sizes[-1] == 1
    assert sum(sizes) == 32


def test_no_share_is_longer_than_allowed() -> None:
    schedule = experienced(SHARE_S / 4, SHARE_S * 4)
    schedule.begin("episodes", 100)
    assert {index: len(shares[0]) for index, shares in asked(schedule, 0.0).items()} == {0: 4, 1: 1}


def test_few_items_go_to_one_member_each() -> None:
    schedule = experienced(1.0, 1.0, 1.0)
    schedule.begin("episodes", 2)
    assert asked(schedule, 0.0) == {0: [(0,)], 1: [(1,)]}


def test_lost_items_are_given_out_first() -> None:
    schedule = schedule_of(2)
    schedule.begin("episodes", 10)
    first, *_ = schedule.to_ask(0.0)
    assert first.numbers == (0,)
    schedule.failed(first, 0.0)
    assert asked(schedule, 0.0) == {}
    assert schedule.look_again_s(0.0) == pytest.approx(0.02)
    assert asked(schedule, 0.02) == {0: [(0,)]}


def test_pauses_after_failures_get_longer_up_to_a_second() -> None:
    schedule, now, pauses = schedule_of(1), 0.0, []
    schedule.begin("episodes", 1)
    for _ in range(9):
        (share,) = schedule.to_ask(now)
        schedule.failed(share, now)
        pause = schedule.look_again_s(now)
        assert pause is not None
        pauses.append(pause)
        now += pause
    assert pauses[:3] == pytest.approx([0.02, 0.04, 0.08])
    assert pauses[-1] == pytest.approx(1.0)


def test_items_of_a_member_that_is_gone_wait_again() -> None:
    schedule = experienced(1.0, 1.0)
    schedule.begin("episodes", 2)
    lost, kept = schedule.to_ask(0.0)
    schedule.gone(lost.member)
    schedule.completed(kept, 1.0)
    assert asked(schedule, 1.0) == {1: [(0,)]}
    schedule.failed(lost, 1.0)
    assert asked(schedule, 1.0) == {}


def test_leaving_member_finishes_its_shares_and_gets_no_more() -> None:
    schedule = schedule_of(2)
    schedule.begin("episodes", 10)
    shares = list(schedule.to_ask(0.0))
    schedule.leave(1)
    assert schedule.departed() == []
    theirs = [share for share in shares if share.member == 1]
    assert [schedule.completed(share, 1.0) for share in theirs] == [[1], [3]]
    assert asked(schedule, 1.0) == {}
    assert schedule.departed() == [1]
    assert set(schedule.members) == {0}


def test_joining_member_gets_a_share_at_once() -> None:
    schedule = schedule_of(1)
    schedule.begin("episodes", 10)
    assert asked(schedule, 0.0) == {0: [(0,), (1,)]}
    schedule.join(5)
    assert asked(schedule, 0.0) == {5: [(2,), (3,)]}


def test_idle_member_repeats_a_share_that_would_arrive_much_later() -> None:
    schedule = experienced(1.0, 10.0)
    schedule.begin("episodes", 2)
    fast, slow = schedule.to_ask(0.0)
    assert schedule.completed(fast, 1.0) == [0]
    (again,) = schedule.to_ask(1.0)
    assert (again.member, again.numbers, schedule.repeated_count) == (0, (1,), 1)
    assert asked(schedule, 1.5) == {}
    assert schedule.completed(again, 2.0) == [1]
    assert schedule.is_over
    assert schedule.completed(slow, 10.0) == []


def test_share_that_arrives_soon_is_not_repeated() -> None:
    schedule = experienced(1.0, 2.0)
    schedule.begin("episodes", 2)
    fast, _ = schedule.to_ask(0.0)
    schedule.completed(fast, 1.0)
    assert asked(schedule, 1.0) == {}
    overdue_at = 8.0  # four times what it took last
    assert schedule.look_again_s(1.0) == pytest.approx(overdue_at - 1.0)
    assert asked(schedule, overdue_at) == {0: [(1,)]}


def test_member_without_a_result_is_overdue_by_the_duration_of_the_others() -> None:
    schedule = experienced(0.001)
    schedule.join(1)
    schedule.begin("episodes", 2)
    shares = {share.member: share for share in schedule.to_ask(0.0)}
    schedule.completed(shares[0], 0.001)
    assert schedule.look_again_s(0.001) == pytest.approx(STRAGGLER_FLOOR_S - 0.001)
    assert asked(schedule, STRAGGLER_FLOOR_S) == {0: [shares[1].numbers]}


def test_shares_of_an_earlier_round_count_for_nothing_and_keep_their_member_busy() -> None:
    schedule = experienced(1.0, 100.0)
    schedule.begin("episodes", 2)
    fast, slow = schedule.to_ask(0.0)
    schedule.completed(fast, 1.0)
    (again,) = schedule.to_ask(1.0)
    schedule.completed(again, 2.0)
    schedule.begin("episodes", 2)
    assert asked(schedule, 2.0) == {0: [(0,)]}
    assert schedule.completed(slow, 100.0) == []
    assert not schedule.is_over
    assert asked(schedule, 100.0) == {1: [(1,)]}


def test_share_of_two_members_is_not_lost_with_one_of_them() -> None:
    schedule = experienced(1.0, 10.0)
    schedule.begin("episodes", 2)
    fast, slow = schedule.to_ask(0.0)
    schedule.completed(fast, 1.0)
    (again,) = schedule.to_ask(1.0)
    schedule.failed(slow, 1.5)
    assert asked(schedule, 4.0) == {}
    assert schedule.completed(again, 6.0) == [1]


@pytest.mark.parametrize("seed", range(60))
def test_every_item_counts_once_in_random_histories(seed: int) -> None:
    chance, schedule, now = random.Random(seed), schedule_of(3), 0.0
    newest = 2
    for round_number in range(4):
        count = chance.randrange(1, 40)
        schedule.begin(chance.choice(["episodes", "leaves"]), count)
        counted: list[int] = []
        under_way: list[WorkShare] = []
        for _ in range(10_000):
            if schedule.is_over:
                break
            under_way += schedule.to_ask(now)
            under_way = [share for share in under_way if share.member in schedule.members]
            now += chance.choice([0.0, 0.001, 0.1, 2.0])
            event = chance.random()
            if under_way and event < 0.6:
                counted += schedule.completed(under_way.pop(chance.randrange(len(under_way))), now)
            elif under_way and event < 0.75:
                schedule.failed(under_way.pop(chance.randrange(len(under_way))), now)
            elif event < 0.8 and len(schedule.members) > 1:
                schedule.gone(chance.choice(list(schedule.members)))
            elif event < 0.85 and len(schedule.members) > 1:
                schedule.leave(chance.choice(list(schedule.members)))
            elif event < 0.95 or all(member.is_leaving for member in schedule.members.values()):
                newest += 1
                schedule.join(newest)
            schedule.departed()
        assert sorted(counted) == list(range(count)), round_number
