"""Every rule of `fragment_collector` as a case: which simulators are asked, which fragments are kept, full batches."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorrt.rl.foundation.failures import DEATHS_LIMIT
from actorrt.rl.rollouts.fragment_collector import FragmentCollector
from tests.unit.rl.rollouts.fragments import ask, fragment, keys, make_collector


def test_all_simulators_are_asked_first():
    assert ask(make_collector(3)) == [0, 1, 2]


def test_batch_is_full_when_its_steps_have_come_in_order_of_completion():
    collector = make_collector()
    ask(collector)
    collector.arrived(1, fragment(1), 1.0)
    assert collector.take() is None
    collector.arrived(0, fragment(0), 2.0)
    batch = collector.take()
    assert batch is not None
    assert keys(batch) == [(1, 1, 0), (0, 1, 0)]
    assert batch.policy_lag == (0, 0)
    assert collector.take() is None


def test_batch_can_count_fragments():
    collector = make_collector(1, steps=None, fragments=2)
    ask(collector)
    collector.arrived(0, fragment(0, 0), 1.0)
    assert ask(collector, 1.0) == [0]
    collector.arrived(0, fragment(0, 1), 2.0)
    assert keys(collector.take()) == [(0, 1, 0), (0, 1, 1)]


def test_without_lag_no_fragment_beyond_the_batch_is_requested():
    collector = make_collector()
    ask(collector)
    collector.arrived(0, fragment(0), 0.001)
    assert ask(collector, 0.001) == []


def test_with_lag_idle_simulators_are_asked_at_once():
    collector = make_collector(max_lag=1)
    ask(collector)
    collector.arrived(0, fragment(0), 0.001)
    assert collector.works_ahead
    assert ask(collector, 0.001) == [0]


def test_overdue_simulator_is_replaced_by_an_idle_one():
    collector = make_collector()
    ask(collector)
    collector.arrived(0, fragment(0), 0.02)
    assert collector.look_again_s(0.02) == pytest.approx(0.06)
    assert ask(collector, 0.07) == []
    assert ask(collector, 0.09) == [0]


def test_simulator_is_overdue_exactly_when_it_was_to_be_looked_at_again():
    collector = make_collector()
    ask(collector)
    collector.arrived(0, fragment(0), 0.02)
    assert ask(collector, 0.02) == []
    overdue_at = 0.08  # four times what the fastest fragment took
    assert collector.look_again_s(0.0) == overdue_at
    assert ask(collector, overdue_at) == [0]
    assert collector.look_again_s(overdue_at) == overdue_at  # for simulator 0, which was asked just now


def test_nothing_is_expected_of_a_simulator_known_to_be_slow():
    collector = make_collector(steps=8)
    ask(collector)
    collector.arrived(0, fragment(0, 0), 0.01)
    collector.arrived(1, fragment(1, 0), 5.0)
    assert collector.take() is not None
    assert ask(collector, 5.0) == [0, 1]
    collector.arrived(0, fragment(0, 1), 5.01)
    assert ask(collector, 5.01) == [0]


@pytest.mark.parametrize(("size", "steps"), [({"steps": 12}, 4), ({"steps": None, "fragments": 4}, 4)])
def test_fast_simulators_collect_longer_fragments_in_place_of_a_stragglers(size, steps):
    collector = make_collector(4, stretches=True, **size)
    for round_number in range(3):
        collector.version = round_number
        assert ask(collector, 10 * round_number) == [0, 1, 2, 3]
        share = 1.0 if round_number == 0 else 4 / 3
        assert [collector.share_to_ask_for(index) for index in range(4)] == pytest.approx([share] * 3 + [1.0])
        assert collector.take() is None
        for index in range(3):
            collected = fragment(index, round_number, round_number, steps=3 if round_number == 0 else steps)
            collector.arrived(index, collected, 10 * round_number + share / 10)
        if round_number == 0:  # nothing is known of the straggler yet
            assert collector.take() is None
            collector.arrived(3, fragment(3, 0, 0, steps=3), 5.0)
        assert len(collector.take().fragments) == (4 if round_number == 0 else 3)
        if round_number > 0:
            collector.version = round_number + 1  # so that what the straggler brings is too old
            collector.arrived(3, fragment(3, round_number, round_number, steps=3), 10 * round_number + 5)


def test_nobody_collects_longer_fragments_without_a_straggler_or_while_others_are_at_work():
    collector = make_collector(4, steps=16, stretches=True)
    for version in range(3):
        collector.version = version
        assert ask(collector, version) == [0, 1, 2, 3]
        assert [collector.share_to_ask_for(index) for index in range(4)] == [1.0] * 4
        for index in range(4):
            collector.arrived(index, fragment(index, version, version), version + 0.1)
        collector.take()
    collector.gone(3)
    collector.version = 4
    ask(collector, 5.0)
    collector.failed(2, 5.0)
    collector.arrived(0, fragment(0, 4, 4), 5.1)
    assert ask(collector, 5.1) == [0, 2]
    assert [collector.share_to_ask_for(index) for index in (0, 2)] == [1.0, 1.0]


def test_straggler_is_asked_again_since_it_may_be_fast_now():
    collector = make_collector(2, stretches=True)
    ask(collector)
    collector.arrived(0, fragment(0, 0), 0.1)
    collector.arrived(1, fragment(1, 0), 9.0)
    collector.take()
    assert ask(collector, 9.0) == [0, 1]
    assert [collector.share_to_ask_for(index) for index in (0, 1)] == [2.0, 1.0]
    collector.arrived(1, fragment(1, 1), 9.1)
    collector.arrived(0, fragment(0, 1, steps=8), 9.2)
    collector.take()
    assert ask(collector, 9.2) == [0, 1]
    assert [collector.share_to_ask_for(index) for index in (0, 1)] == [1.0, 1.0]


def test_fragment_too_far_behind_is_dropped_and_counted():
    collector = make_collector(max_lag=1)
    ask(collector)
    collector.version = 5
    collector.arrived(0, fragment(0, version=3), 1.0)
    collector.arrived(1, fragment(1, version=4), 1.0)
    assert collector.dropped_count == 1
    ask(collector, 1.0)
    collector.arrived(0, fragment(0, 1, version=5), 2.0)
    batch = collector.take()
    assert keys(batch) == [(1, 1, 0), (0, 1, 1)]
    assert batch.policy_lag == (1, 0)


def test_shares_count_what_each_simulator_had_dropped_and_slow_ones_are_named_once():
    collector = make_collector(3, steps=4, max_lag=1)
    assert np.isnan(collector.shares.shares()).all()
    for round_number in range(6):
        ask(collector, round_number)
        collector.version = 2 * round_number + 2
        collector.arrived(0, fragment(7, round_number, version=2 * round_number + 2), round_number)
        if round_number < 5:  # of the version that it was asked for, which is stale by now
            collector.arrived(1, fragment(8, round_number, version=2 * round_number), round_number)
        assert keys(collector.take()) == [(7, 1, round_number)]
        named = collector.shares.newly_slow()
        assert named == ([(1, 4, 4)] if round_number == 3 else [])
    assert collector.shares.shares()[:2] == (1.0, 0.0)
    assert np.isnan(collector.shares.shares()[2])


def test_fragment_that_becomes_stale_in_an_unfinished_batch_counts_as_dropped():
    collector = make_collector(2, steps=8, max_lag=1)
    ask(collector)
    collector.arrived(1, fragment(1), 1.0)
    assert collector.shares.shares()[1] == 1.0
    collector.version = 2
    assert collector.shares.shares()[1] == 0.0


def test_newest_version_is_learnt_from_fragments():
    collector = make_collector(max_lag=None)
    ask(collector)
    collector.arrived(0, fragment(0, version=7), 1.0)
    assert collector.version == 7


def test_version_that_was_lost_with_its_parameter_server_is_given_up():
    collector = make_collector(1, steps=4)
    collector.version = 5
    ask(collector)
    collector.arrived(0, fragment(version=2), 1.0)
    assert collector.version == 2
    assert collector.take().policy_lag == (0,)


def test_unlimited_lag_keeps_everything():
    collector = make_collector(1, max_lag=None, steps=4)
    ask(collector)
    collector.version = 1000
    collector.arrived(0, fragment(version=0), 1.0)
    assert collector.take().policy_lag == (1000,)


def test_no_fragment_is_taken_twice():
    collector = make_collector(1, steps=8)
    for _ in range(2):
        ask(collector)
        collector.arrived(0, fragment(0, 0), 1.0)
    assert collector.repeated_count == 1
    assert collector.take() is None


def test_failed_simulator_is_asked_again_after_a_growing_delay():
    collector = make_collector(1)
    delays = []
    now = 0.0
    for _ in range(9):
        assert ask(collector, now) == [0]
        collector.failed(0, now)
        assert collector.to_ask(now) == []
        delay = collector.look_again_s(now)
        delays.append(delay)
        now += delay
    assert delays == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0])
    assert collector.failed_count == 9


def test_simulator_that_dies_again_and_again_is_given_up():
    collector = make_collector(1, steps=4)
    for n in range(DEATHS_LIMIT - 1):
        assert not collector.failed(0, float(n))
    collector.arrived(0, fragment(), 10.0)
    assert [collector.failed(0, 20.0 + n) for n in range(DEATHS_LIMIT)] == [False] * (DEATHS_LIMIT - 1) + [True]


def test_failed_simulator_is_replaced_by_an_idle_one_at_once():
    collector = make_collector()
    ask(collector)
    collector.arrived(0, fragment(0), 0.001)
    collector.failed(1, 0.001)
    assert collector.alive_count == 1
    assert ask(collector, 0.001) == [0]


def test_restarted_simulator_counts_as_alive_and_restarted_with_its_first_fragment():
    collector = make_collector()
    ask(collector)
    collector.arrived(1, fragment(1, 3), 0.001)
    collector.asked(1, 0.001)
    collector.failed(1, 0.002)
    ask(collector, 0.1)
    assert (collector.alive_count, collector.restart_count) == (1, 0)
    collector.arrived(1, fragment(1, 0, incarnation=2), 0.2)
    assert (collector.alive_count, collector.restart_count) == (2, 1)


def test_simulators_gone_for_good_are_left_out_until_none_is_left():
    collector = make_collector()
    ask(collector)
    collector.gone(0)
    collector.arrived(1, fragment(1), 0.01)
    assert ask(collector, 0.01) == [1]
    assert not collector.is_exhausted
    collector.gone(1)
    assert collector.is_exhausted


def test_batch_can_count_episodes():
    collector = make_collector(1, steps=None, episodes=3)
    for number, episodes in enumerate((0, 2, 2)):
        assert collector.take() is None
        assert ask(collector) == [0]
        returned = dataclasses.replace(fragment(0, number), episode_return=np.zeros(episodes))
        collector.arrived(0, returned, 1.0)
    assert keys(collector.take()) == [(0, 1, 0), (0, 1, 1), (0, 1, 2)]


def test_fragment_without_a_transition_fills_no_batch():
    collector = make_collector(1, steps=None, fragments=1)
    ask(collector)
    resets = fragment(0, 0, steps=1)
    collector.arrived(0, dataclasses.replace(resets, valid=~resets.valid), 1.0)
    assert collector.take() is None
    assert ask(collector, 1.0) == [0]
    collector.arrived(0, fragment(0, 1), 2.0)
    assert collector.take().step_count == 4


@settings(max_examples=60)
@given(
    chance=st.randoms(use_true_random=False),
    count=st.integers(1, 4),
    mode=st.sampled_from(
        [("completion", 0), ("completion", 3), ("completion", None), ("deterministic", 0), ("deterministic", 1)]
    ),
    size=st.sampled_from([{"steps": 10}, {"fragments": 3}, {"episodes": 2}]),
    stretches=st.booleans(),
)
def test_each_fragment_is_used_once_or_dropped_and_none_is_stale_in_random_histories(
    chance, count, mode, size, stretches
):
    order, max_lag = mode
    collector = FragmentCollector(count, **size, max_lag=max_lag, order=order, stretches=stretches)
    now, made, used, put_in = 0.0, [0] * count, [], 0
    lives, under_way = [1] * count, {}
    for _ in range(80):
        for index in ask(collector, now):
            assert index not in under_way
            under_way[index] = collector.version_to_ask_for
        now += chance.choice([0.0, 0.01, 2.0])
        if under_way:
            index = chance.choice(sorted(under_way))
            version = under_way.pop(index)
            event = chance.random()
            if event < 0.1:
                collector.failed(index, now)
                lives[index] += 1
            elif event < 0.15:
                assert not collector.raised(index, now) or collector.simulators[index].raises >= 3
                lives[index] += 1
            elif (
                event < 0.17
                and count > 1
                and any(not s.is_gone for i, s in enumerate(collector.simulators) if i != index)
            ):
                collector.gone(index)
            else:
                version += chance.choice([0, 0, 1]) if order == "completion" else 0
                new = fragment(index, made[index], version, incarnation=lives[index], steps=chance.randrange(1, 6))
                new = dataclasses.replace(new, episode_return=np.zeros(chance.randrange(3)))
                made[index] += 1
                put_in += 1
                collector.arrived(index, new, now)
        batch = collector.take()
        if batch is not None:
            used += keys(batch)
            assert all(0 <= lag <= (1_000 if max_lag is None else max_lag) for lag in batch.policy_lag)
            collector.version += chance.choice([0, 1, 1, 2])
    waiting = sum(source.waiting is not None for source in collector.simulators)
    assert len(used) == len(set(used))
    assert len(used) + collector.dropped_count + len(collector.held()) + waiting == put_in
    assert collector.repeated_count == 0


def test_sizes_that_are_no_whole_numbers_are_refused():
    for options in ({"steps": 1.5}, {"steps": "5"}, {"max_lag": 0.5}):
        with pytest.raises(TypeError, match="is a whole number"):
            make_collector(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "at least one simulator"),
        ({"fragments": 2}, "give one of steps=, fragments= and episodes="),
        ({"steps": 0}, "fragments= and episodes=, 1 or more: steps=0"),
        ({"max_lag": -1}, "max_lag counts versions, 0 or more: max_lag=-1"),
        ({"order": "random"}, "order='random': give 'completion' or 'deterministic'"),
        ({"order": "deterministic", "max_lag": 2}, "needs max_lag=0 or max_lag=1, not max_lag=2"),
    ],
)
def test_senseless_streams_are_refused(options, message):
    with pytest.raises(ValueError) as caught:
        make_collector(**options)
    assert message in str(caught.value)
