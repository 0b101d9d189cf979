"""Whom the stream asks, what it keeps, and when a batch is full: every rule of `intake` as a case."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorrt.rl.rollouts.intake import DEATHS_LIMIT, Intake
from actorrt.rl.rollouts.trajectory import Fragment

EMPTY = np.zeros((0,))


def fragment(simulator=0, sequence=0, version=0, *, incarnation=1, steps=4):
    rows = np.zeros((steps, 1), np.float32)
    flags = np.zeros((steps, 1), bool)
    return Fragment(
        rows, rows, rows, flags, flags, ~flags, rows, rows, rows, rows[0], EMPTY, EMPTY, EMPTY, EMPTY, EMPTY,
        policy_version=version, simulator=simulator, incarnation=incarnation, sequence=sequence, process_id=1,
    )  # fmt: skip


def make_intake(count=2, **options):
    return Intake(count, **{"steps": 8, "fragments": None, "max_lag": 0, "order": "completion", **options})


def ask(intake, now=0.0):
    indices = intake.to_ask(now)
    for index in indices:
        intake.asked(index, now)
    return indices


def keys(batch):
    return [item.key for item in batch.fragments]


def test_all_simulators_are_asked_first():
    assert ask(make_intake(3)) == [0, 1, 2]


def test_batch_is_full_when_its_steps_have_come_in_order_of_completion():
    intake = make_intake()
    ask(intake)
    intake.arrived(1, fragment(1), 1.0)
    assert intake.take() is None
    intake.arrived(0, fragment(0), 2.0)
    batch = intake.take()
    assert batch is not None
    assert keys(batch) == [(1, 1, 0), (0, 1, 0)]
    assert batch.policy_lag == (0, 0)
    assert intake.take() is None


def test_batch_can_count_fragments():
    intake = make_intake(1, steps=None, fragments=2)
    ask(intake)
    intake.arrived(0, fragment(0, 0), 1.0)
    assert ask(intake, 1.0) == [0]
    intake.arrived(0, fragment(0, 1), 2.0)
    assert keys(intake.take()) == [(0, 1, 0), (0, 1, 1)]


def test_without_lag_nobody_collects_in_vain():
    intake = make_intake()
    ask(intake)
    intake.arrived(0, fragment(0), 0.001)
    assert ask(intake, 0.001) == []


def test_with_lag_everybody_works_ahead():
    intake = make_intake(max_lag=1)
    ask(intake)
    intake.arrived(0, fragment(0), 0.001)
    assert intake.works_ahead
    assert ask(intake, 0.001) == [0]


def test_overdue_simulator_is_replaced_by_an_idle_one():
    intake = make_intake()
    ask(intake)
    intake.arrived(0, fragment(0), 0.02)
    assert intake.look_again_s(0.02) == pytest.approx(0.06)
    assert ask(intake, 0.07) == []
    assert ask(intake, 0.09) == [0]


def test_nothing_is_expected_of_a_simulator_known_to_be_slow():
    intake = make_intake(steps=8)
    ask(intake)
    intake.arrived(0, fragment(0, 0), 0.01)
    intake.arrived(1, fragment(1, 0), 5.0)
    assert intake.take() is not None
    assert ask(intake, 5.0) == [0, 1]
    intake.arrived(0, fragment(0, 1), 5.01)
    assert ask(intake, 5.01) == [0]


def test_fragment_too_far_behind_is_dropped_and_counted():
    intake = make_intake(max_lag=1)
    ask(intake)
    intake.version = 5
    intake.arrived(0, fragment(0, version=3), 1.0)
    intake.arrived(1, fragment(1, version=4), 1.0)
    assert intake.dropped_count == 1
    ask(intake, 1.0)
    intake.arrived(0, fragment(0, 1, version=5), 2.0)
    batch = intake.take()
    assert keys(batch) == [(1, 1, 0), (0, 1, 1)]
    assert batch.policy_lag == (1, 0)


def test_newest_version_is_learnt_from_fragments():
    intake = make_intake(max_lag=None)
    ask(intake)
    intake.arrived(0, fragment(0, version=7), 1.0)
    assert intake.version == 7


def test_version_that_nobody_has_any_more_is_given_up():
    intake = make_intake(1, steps=4)
    intake.version = 5
    ask(intake)
    intake.arrived(0, fragment(version=2), 1.0)
    assert intake.version == 2
    assert intake.take().policy_lag == (0,)


def test_unlimited_lag_keeps_everything():
    intake = make_intake(1, max_lag=None, steps=4)
    ask(intake)
    intake.version = 1000
    intake.arrived(0, fragment(version=0), 1.0)
    assert intake.take().policy_lag == (1000,)


def test_no_fragment_is_taken_twice():
    intake = make_intake(1, steps=8)
    for _ in range(2):
        ask(intake)
        intake.arrived(0, fragment(0, 0), 1.0)
    assert intake.repeated_count == 1
    assert intake.take() is None


def test_failed_simulator_is_asked_again_after_a_growing_delay():
    intake = make_intake(1)
    delays = []
    now = 0.0
    for _ in range(9):
        assert ask(intake, now) == [0]
        intake.failed(0, now)
        assert intake.to_ask(now) == []
        delay = intake.look_again_s(now)
        delays.append(delay)
        now += delay
    assert delays == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0])
    assert intake.failed_count == 9


def test_simulator_that_dies_again_and_again_is_given_up():
    intake = make_intake(1, steps=4)
    for n in range(DEATHS_LIMIT - 1):
        assert not intake.failed(0, float(n))
    intake.arrived(0, fragment(), 10.0)
    assert [intake.failed(0, 20.0 + n) for n in range(DEATHS_LIMIT)] == [False] * (DEATHS_LIMIT - 1) + [True]


def test_failed_simulator_is_replaced_by_an_idle_one_at_once():
    intake = make_intake()
    ask(intake)
    intake.arrived(0, fragment(0), 0.001)
    intake.failed(1, 0.001)
    assert intake.alive_count == 1
    assert ask(intake, 0.001) == [0]


def test_restarted_simulator_counts_as_alive_and_restarted_with_its_first_fragment():
    intake = make_intake()
    ask(intake)
    intake.arrived(1, fragment(1, 3), 0.001)
    intake.asked(1, 0.001)
    intake.failed(1, 0.002)
    ask(intake, 0.1)
    assert (intake.alive_count, intake.restart_count) == (1, 0)
    intake.arrived(1, fragment(1, 0, incarnation=2), 0.2)
    assert (intake.alive_count, intake.restart_count) == (2, 1)


def test_simulators_gone_for_good_are_left_out_until_none_is_left():
    intake = make_intake()
    ask(intake)
    intake.gone(0)
    intake.arrived(1, fragment(1), 0.01)
    assert ask(intake, 0.01) == [1]
    assert not intake.is_exhausted
    intake.gone(1)
    assert intake.is_exhausted


def test_deterministic_order_waits_for_each_in_turn():
    intake = make_intake(3, steps=12, order="deterministic")
    assert ask(intake) == [0, 1, 2]
    intake.arrived(2, fragment(2), 1.0)
    intake.arrived(1, fragment(1), 2.0)
    assert intake.take() is None
    assert ask(intake, 9.0) == []
    intake.arrived(0, fragment(0), 10.0)
    assert keys(intake.take()) == [(0, 1, 0), (1, 1, 0), (2, 1, 0)]


def test_deterministic_order_asks_only_those_whose_turn_fills_the_batch():
    intake = make_intake(3, steps=8, order="deterministic")
    assert ask(intake) == [0, 1, 2]  # how much a fragment holds is not known yet
    for index in (0, 1, 2):
        intake.arrived(index, fragment(index), 1.0)
    assert keys(intake.take()) == [(0, 1, 0), (1, 1, 0)]
    assert ask(intake, 1.0) == [0]
    intake.arrived(0, fragment(0, 1), 2.0)
    assert keys(intake.take()) == [(2, 1, 0), (0, 1, 1)]


def test_batch_can_count_episodes():
    intake = make_intake(1, steps=None, episodes=3)
    for number, episodes in enumerate((0, 2, 2)):
        assert intake.take() is None
        assert ask(intake) == [0]
        returned = dataclasses.replace(fragment(0, number), episode_return=np.zeros(episodes))
        intake.arrived(0, returned, 1.0)
    assert keys(intake.take()) == [(0, 1, 0), (0, 1, 1), (0, 1, 2)]


def test_fragment_without_a_transition_fills_no_batch():
    intake = make_intake(1, steps=None, fragments=1)
    ask(intake)
    resets = fragment(0, 0, steps=1)
    intake.arrived(0, dataclasses.replace(resets, valid=~resets.valid), 1.0)
    assert intake.take() is None
    assert ask(intake, 1.0) == [0]
    intake.arrived(0, fragment(0, 1), 2.0)
    assert intake.take().step_count == 4


def pipelined(count=2):
    return make_intake(count, steps=None, fragments=count, max_lag=1, order="deterministic")


def test_pipelined_batches_are_of_the_version_that_was_newest_when_the_one_before_was_taken():
    intake, lags = pipelined(), []
    assert ask(intake) == [0, 1]
    for number in range(4):
        asked_for = intake.version_to_ask_for
        for index in (1, 0):
            intake.arrived(index, fragment(index, number, asked_for), 1.0)
        batch = intake.take()
        assert [each.simulator for each in batch.fragments] == [0, 1]
        lags.append(batch.policy_lag)
        assert intake.version_to_ask_for == number
        assert ask(intake) == [0, 1]
        intake.version = number + 1  # the update ends while they collect
        assert intake.version_to_ask_for == number
    assert lags == [(0, 0), (1, 1), (1, 1), (1, 1)]
    assert intake.dropped_count == 0


def test_pipelined_simulator_that_died_is_asked_for_the_same_version_again():
    intake = pipelined(1)
    ask(intake)
    intake.arrived(0, fragment(0, 0), 1.0)
    intake.take()
    ask(intake)
    intake.version = 1
    intake.failed(0, 1.0)
    assert ask(intake, 5.0) == [0]
    assert intake.sources[0].asked_version == 0


def test_fragments_of_before_are_the_first_batch():
    intake = pipelined()
    intake.version = 5
    intake.put_back([fragment(0, 7, 4), fragment(1, 9, 4)])
    assert intake.is_full()
    assert [each.sequence for each in intake.held()] == [7, 9]
    batch = intake.take()
    assert batch.policy_lag == (1, 1)
    assert ask(intake) == [0, 1]
    assert intake.version_to_ask_for == 5
    intake.arrived(0, fragment(0, 0, 5), 1.0)  # another incarnation counts from 0 again
    assert intake.repeated_count == 0


def test_fragment_that_waits_for_its_turn_is_dropped_when_it_becomes_stale():
    intake = make_intake(3, steps=8, order="deterministic")
    ask(intake)
    for index in (0, 1, 2):
        intake.arrived(index, fragment(index), 1.0)
    assert keys(intake.take()) == [(0, 1, 0), (1, 1, 0)]
    intake.version = 1
    assert intake.dropped_count == 1
    assert ask(intake, 1.0) == [2, 0]
    for index in (0, 2):
        intake.arrived(index, fragment(index, 1, 1), 2.0)
    batch = intake.take()
    assert keys(batch) == [(2, 1, 1), (0, 1, 1)]
    assert batch.policy_lag == (0, 0)


def test_fragment_of_the_batch_at_hand_is_dropped_when_a_later_one_shows_that_it_is_stale():
    intake = make_intake(max_lag=1)
    ask(intake)
    intake.arrived(0, fragment(0, version=0), 1.0)
    intake.arrived(1, fragment(1, version=2), 1.0)
    assert (intake.version, intake.dropped_count) == (2, 1)
    assert keys_held(intake) == [(1, 1, 0)]


def keys_held(intake):
    return [each.key for each in intake.held()]


def test_pipelined_batches_go_on_when_two_versions_come_of_one_batch():
    intake = pipelined(1)
    for number in range(4):
        assert ask(intake) == [0]
        intake.arrived(0, fragment(0, 2 * number, intake.version_to_ask_for), 1.0)
        assert intake.take() is not None
        assert ask(intake) == [0]
        intake.version += 2
        assert intake.version_to_ask_for == intake.version - 1
        intake.arrived(0, fragment(0, 2 * number + 1, intake.version - 2), 1.0)
    assert intake.dropped_count == 4


def test_lag_is_no_less_than_none_where_versions_were_lost():
    intake = make_intake(max_lag=None)
    intake.version = 5
    ask(intake)
    intake.arrived(0, fragment(0, version=5), 1.0)
    intake.arrived(1, fragment(1, version=2), 1.0)  # the parameter server went on from an older version
    assert intake.take().policy_lag == (0, 0)


@settings(max_examples=60)
@given(
    chance=st.randoms(use_true_random=False),
    count=st.integers(1, 4),
    mode=st.sampled_from(
        [("completion", 0), ("completion", 3), ("completion", None), ("deterministic", 0), ("deterministic", 1)]
    ),
    size=st.sampled_from([{"steps": 10}, {"fragments": 3}, {"episodes": 2}]),
)
def test_whatever_happens_each_fragment_is_used_once_or_dropped_and_none_is_stale(chance, count, mode, size):
    order, max_lag = mode
    intake = Intake(count, **size, max_lag=max_lag, order=order)
    now, made, used, put_in = 0.0, [0] * count, [], 0
    lives, under_way = [1] * count, {}
    for _ in range(80):
        for index in ask(intake, now):
            assert index not in under_way
            under_way[index] = intake.version_to_ask_for
        now += chance.choice([0.0, 0.01, 2.0])
        if under_way:
            index = chance.choice(sorted(under_way))
            version = under_way.pop(index)
            event = chance.random()
            if event < 0.1:
                intake.failed(index, now)
                lives[index] += 1
            elif event < 0.15:
                assert not intake.raised(index, now) or intake.sources[index].raises >= 3
                lives[index] += 1
            elif event < 0.17 and count > 1 and not all(s.is_gone for i, s in enumerate(intake.sources) if i != index):
                intake.gone(index)
            else:
                version += chance.choice([0, 0, 1]) if order == "completion" else 0
                new = fragment(index, made[index], version, incarnation=lives[index], steps=chance.randrange(1, 6))
                new = dataclasses.replace(new, episode_return=np.zeros(chance.randrange(3)))
                made[index] += 1
                put_in += 1
                intake.arrived(index, new, now)
        batch = intake.take()
        if batch is not None:
            used += keys(batch)
            assert all(0 <= lag <= (1_000 if max_lag is None else max_lag) for lag in batch.policy_lag)
            intake.version += chance.choice([0, 1, 1, 2])
    waiting = sum(source.waiting is not None for source in intake.sources)
    assert len(used) == len(set(used))
    assert len(used) + intake.dropped_count + len(intake.held()) + waiting == put_in
    assert intake.repeated_count == 0


def test_sizes_that_are_no_whole_numbers_are_refused():
    for options in ({"steps": 1.5}, {"steps": "5"}, {"max_lag": 0.5}):
        with pytest.raises(TypeError, match="is a whole number"):
            make_intake(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "at least one simulator"),
        ({"fragments": 2}, "give one of steps=, fragments= and episodes="),
        ({"steps": 0}, "fragments= and episodes=, 1 or more: steps=0"),
        ({"max_lag": -1}, "max_lag counts versions, 0 or more: max_lag=-1"),
        ({"order": "random"}, "order='random': give 'completion' or 'deterministic'"),
        ({"order": "deterministic", "max_lag": 2}, "goes with max_lag=0 or max_lag=1, not max_lag=2"),
    ],
)
def test_senseless_streams_are_refused(options, message):
    with pytest.raises(ValueError) as caught:
        make_intake(**options)
    assert message in str(caught.value)
