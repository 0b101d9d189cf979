"""The rules of `fragment_collector` where a seed determines the run: simulators take turns, also a version ahead."""

from __future__ import annotations

from tests.unit.rl.rollouts.fragments import ask, fragment, keys, make_collector


def test_deterministic_order_waits_for_each_in_turn():
    collector = make_collector(3, steps=12, order="deterministic")
    assert ask(collector) == [0, 1, 2]
    collector.arrived(2, fragment(2), 1.0)
    collector.arrived(1, fragment(1), 2.0)
    assert collector.take() is None
    assert ask(collector, 9.0) == []
    collector.arrived(0, fragment(0), 10.0)
    assert keys(collector.take()) == [(0, 1, 0), (1, 1, 0), (2, 1, 0)]


def test_deterministic_order_asks_only_simulators_whose_turns_fill_the_batch():
    collector = make_collector(3, steps=8, order="deterministic")
    assert ask(collector) == [0, 1, 2]  # how much a fragment holds is not known yet
    for index in (0, 1, 2):
        collector.arrived(index, fragment(index), 1.0)
    assert keys(collector.take()) == [(0, 1, 0), (1, 1, 0)]
    assert ask(collector, 1.0) == [0]
    collector.arrived(0, fragment(0, 1), 2.0)
    assert keys(collector.take()) == [(2, 1, 0), (0, 1, 1)]


def pipelined(count=2):
    return make_collector(count, steps=None, fragments=count, max_lag=1, order="deterministic")


def test_pipelined_batches_are_of_the_version_that_was_newest_when_the_one_before_was_taken():
    collector, lags = pipelined(), []
    assert ask(collector) == [0, 1]
    for number in range(4):
        asked_for = collector.version_to_ask_for
        for index in (1, 0):
            collector.arrived(index, fragment(index, number, asked_for), 1.0)
        batch = collector.take()
        assert [each.simulator for each in batch.fragments] == [0, 1]
        lags.append(batch.policy_lag)
        assert collector.version_to_ask_for == number
        assert ask(collector) == [0, 1]
        collector.version = number + 1  # the update ends while they collect
        assert collector.version_to_ask_for == number
    assert lags == [(0, 0), (1, 1), (1, 1), (1, 1)]
    assert collector.dropped_count == 0


def test_pipelined_simulator_that_died_is_asked_for_the_same_version_again():
    collector = pipelined(1)
    ask(collector)
    collector.arrived(0, fragment(0, 0), 1.0)
    collector.take()
    ask(collector)
    collector.version = 1
    collector.failed(0, 1.0)
    assert ask(collector, 5.0) == [0]
    assert collector.simulators[0].asked_version == 0


def test_fragments_of_before_are_the_first_batch():
    collector = pipelined()
    collector.version = 5
    collector.put_back([fragment(0, 7, 4), fragment(1, 9, 4)])
    assert collector.is_full()
    assert [each.sequence for each in collector.held()] == [7, 9]
    batch = collector.take()
    assert batch.policy_lag == (1, 1)
    assert ask(collector) == [0, 1]
    assert collector.version_to_ask_for == 5
    collector.arrived(0, fragment(0, 0, 5), 1.0)  # another incarnation counts from 0 again
    assert collector.repeated_count == 0


def test_fragment_that_waits_for_its_turn_is_dropped_when_it_becomes_stale():
    collector = make_collector(3, steps=8, order="deterministic")
    ask(collector)
    for index in (0, 1, 2):
        collector.arrived(index, fragment(index), 1.0)
    assert keys(collector.take()) == [(0, 1, 0), (1, 1, 0)]
    collector.version = 1
    assert collector.dropped_count == 1
    assert ask(collector, 1.0) == [2, 0]
    for index in (0, 2):
        collector.arrived(index, fragment(index, 1, 1), 2.0)
    batch = collector.take()
    assert keys(batch) == [(2, 1, 1), (0, 1, 1)]
    assert batch.policy_lag == (0, 0)


def test_fragment_of_the_batch_at_hand_is_dropped_when_a_later_one_shows_that_it_is_stale():
    collector = make_collector(max_lag=1)
    ask(collector)
    collector.arrived(0, fragment(0, version=0), 1.0)
    collector.arrived(1, fragment(1, version=2), 1.0)
    assert (collector.version, collector.dropped_count) == (2, 1)
    assert keys_held(collector) == [(1, 1, 0)]


def keys_held(collector):
    return [each.key for each in collector.held()]


def test_pipelined_batches_continue_when_one_batch_leads_to_two_versions():
    collector = pipelined(1)
    for number in range(4):
        assert ask(collector) == [0]
        collector.arrived(0, fragment(0, 2 * number, collector.version_to_ask_for), 1.0)
        assert collector.take() is not None
        assert ask(collector) == [0]
        collector.version += 2
        assert collector.version_to_ask_for == collector.version - 1
        collector.arrived(0, fragment(0, 2 * number + 1, collector.version - 2), 1.0)
    assert collector.dropped_count == 4


def test_lag_is_no_less_than_none_where_versions_were_lost():
    collector = make_collector(max_lag=None)
    collector.version = 5
    ask(collector)
    collector.arrived(0, fragment(0, version=5), 1.0)
    collector.arrived(1, fragment(1, version=2), 1.0)  # the parameter server went on from an older version
    assert collector.take().policy_lag == (0, 0)
