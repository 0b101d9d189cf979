"""Who gets which work item, when simulators are slow, fail, join and leave."""

from __future__ import annotations

import random

import pytest

from actorrt.rl.evolution.rota import AHEAD, PATIENCE_FLOOR_S, SHARE_S, Rota, Share


def rota_of(count: int) -> Rota:
    rota = Rota()
    for index in range(count):
        rota.join(index)
    return rota


def experienced(*item_s: float) -> Rota:
    """Return a rota whose members took so long for an item of the round before."""
    rota = rota_of(len(item_s))
    rota.begin("episodes", len(item_s))
    for share in list(rota.to_ask(0.0)):
        rota.came(share, item_s[share.member])
    assert rota.is_over
    return rota


def asked(rota: Rota, now: float) -> dict[int, list[tuple[int, ...]]]:
    """Return what each member is asked for now."""
    shares: dict[int, list[tuple[int, ...]]] = {}
    for share in rota.to_ask(now):
        shares.setdefault(share.member, []).append(share.numbers)
    return shares


def test_first_shares_are_one_item_until_it_is_known_what_an_item_takes() -> None:
    rota = rota_of(2)
    rota.begin("episodes", 100)
    assert asked(rota, 0.0) == {0: [(0,), (2,)], 1: [(1,), (3,)]}
    assert asked(rota, 0.0) == {}


def test_shares_get_smaller_towards_the_end() -> None:
    rota = experienced(0.001, 0.001)
    rota.begin("episodes", 32)
    sizes, now, shares = [], 0.0, list(rota.to_ask(0.0))
    while shares:
        sizes.append(len(shares[0].numbers))
        now += 0.001 * sizes[-1]
        rota.came(shares.pop(0), now)
        shares += rota.to_ask(now)
    assert rota.is_over
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 32 // (AHEAD * 2)
    assert sizes[-1] == 1
    assert sum(sizes) == 32


def test_no_share_is_longer_than_allowed() -> None:
    rota = experienced(SHARE_S / 4, SHARE_S * 4)
    rota.begin("episodes", 100)
    assert {index: len(shares[0]) for index, shares in asked(rota, 0.0).items()} == {0: 4, 1: 1}


def test_few_items_go_to_one_member_each() -> None:
    rota = experienced(1.0, 1.0, 1.0)
    rota.begin("episodes", 2)
    assert asked(rota, 0.0) == {0: [(0,)], 1: [(1,)]}


def test_what_is_lost_goes_to_the_next_first() -> None:
    rota = rota_of(2)
    rota.begin("episodes", 10)
    first, *_ = rota.to_ask(0.0)
    assert first.numbers == (0,)
    rota.failed(first, 0.0)
    assert asked(rota, 0.0) == {}
    assert rota.look_again_s(0.0) == pytest.approx(0.02)
    assert asked(rota, 0.02) == {0: [(0,)]}


def test_pauses_after_failures_get_longer_up_to_a_second() -> None:
    rota, now, pauses = rota_of(1), 0.0, []
    rota.begin("episodes", 1)
    for _ in range(9):
        (share,) = rota.to_ask(now)
        rota.failed(share, now)
        pause = rota.look_again_s(now)
        assert pause is not None
        pauses.append(pause)
        now += pause
    assert pauses[:3] == pytest.approx([0.02, 0.04, 0.08])
    assert pauses[-1] == pytest.approx(1.0)


def test_items_of_one_who_is_gone_wait_again() -> None:
    rota = experienced(1.0, 1.0)
    rota.begin("episodes", 2)
    lost, kept = rota.to_ask(0.0)
    rota.gone(lost.member)
    rota.came(kept, 1.0)
    assert asked(rota, 1.0) == {1: [(0,)]}
    rota.failed(lost, 1.0)
    assert asked(rota, 1.0) == {}


def test_one_who_leaves_ends_its_shares_and_gets_no_more() -> None:
    rota = rota_of(2)
    rota.begin("episodes", 10)
    shares = list(rota.to_ask(0.0))
    rota.leave(1)
    assert rota.departed() == []
    theirs = [share for share in shares if share.member == 1]
    assert [rota.came(share, 1.0) for share in theirs] == [[1], [3]]
    assert asked(rota, 1.0) == {}
    assert rota.departed() == [1]
    assert set(rota.members) == {0}


def test_one_who_joins_gets_its_part_at_once() -> None:
    rota = rota_of(1)
    rota.begin("episodes", 10)
    assert asked(rota, 0.0) == {0: [(0,), (1,)]}
    rota.join(5)
    assert asked(rota, 0.0) == {5: [(2,), (3,)]}


def test_idle_member_does_again_what_would_come_much_later() -> None:
    rota = experienced(1.0, 10.0)
    rota.begin("episodes", 2)
    fast, slow = rota.to_ask(0.0)
    assert rota.came(fast, 1.0) == [0]
    (again,) = rota.to_ask(1.0)
    assert (again.member, again.numbers, rota.repeated_count) == (0, (1,), 1)
    assert asked(rota, 1.5) == {}
    assert rota.came(again, 2.0) == [1]
    assert rota.is_over
    assert rota.came(slow, 10.0) == []


def test_what_comes_soon_is_waited_for() -> None:
    rota = experienced(1.0, 2.0)
    rota.begin("episodes", 2)
    fast, _ = rota.to_ask(0.0)
    rota.came(fast, 1.0)
    assert asked(rota, 1.0) == {}
    overdue_at = 8.0  # four times what it took last
    assert rota.look_again_s(1.0) == pytest.approx(overdue_at - 1.0)
    assert asked(rota, overdue_at) == {0: [(1,)]}


def test_one_who_was_never_heard_of_is_held_to_what_others_take() -> None:
    rota = experienced(0.001)
    rota.join(1)
    rota.begin("episodes", 2)
    shares = {share.member: share for share in rota.to_ask(0.0)}
    rota.came(shares[0], 0.001)
    assert rota.look_again_s(0.001) == pytest.approx(PATIENCE_FLOOR_S - 0.001)
    assert asked(rota, PATIENCE_FLOOR_S) == {0: [shares[1].numbers]}


def test_shares_of_an_earlier_round_count_for_nothing_and_keep_their_member_busy() -> None:
    rota = experienced(1.0, 100.0)
    rota.begin("episodes", 2)
    fast, slow = rota.to_ask(0.0)
    rota.came(fast, 1.0)
    (again,) = rota.to_ask(1.0)
    rota.came(again, 2.0)
    rota.begin("episodes", 2)
    assert asked(rota, 2.0) == {0: [(0,)]}
    assert rota.came(slow, 100.0) == []
    assert not rota.is_over
    assert asked(rota, 100.0) == {1: [(1,)]}


def test_what_two_have_is_not_lost_with_one() -> None:
    rota = experienced(1.0, 10.0)
    rota.begin("episodes", 2)
    fast, slow = rota.to_ask(0.0)
    rota.came(fast, 1.0)
    (again,) = rota.to_ask(1.0)
    rota.failed(slow, 1.5)
    assert asked(rota, 4.0) == {}
    assert rota.came(again, 6.0) == [1]


@pytest.mark.parametrize("seed", range(60))
def test_every_item_counts_once_whatever_happens(seed: int) -> None:
    chance, rota, now = random.Random(seed), rota_of(3), 0.0
    newest = 2
    for round_number in range(4):
        count = chance.randrange(1, 40)
        rota.begin(chance.choice(["episodes", "leaves"]), count)
        counted: list[int] = []
        under_way: list[Share] = []
        for _ in range(10_000):
            if rota.is_over:
                break
            under_way += rota.to_ask(now)
            under_way = [share for share in under_way if share.member in rota.members]
            now += chance.choice([0.0, 0.001, 0.1, 2.0])
            event = chance.random()
            if under_way and event < 0.6:
                counted += rota.came(under_way.pop(chance.randrange(len(under_way))), now)
            elif under_way and event < 0.75:
                rota.failed(under_way.pop(chance.randrange(len(under_way))), now)
            elif event < 0.8 and len(rota.members) > 1:
                rota.gone(chance.choice(list(rota.members)))
            elif event < 0.85 and len(rota.members) > 1:
                rota.leave(chance.choice(list(rota.members)))
            elif event < 0.95 or all(member.is_leaving for member in rota.members.values()):
                newest += 1
                rota.join(newest)
            rota.departed()
        assert sorted(counted) == list(range(count)), round_number
