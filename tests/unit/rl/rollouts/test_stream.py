"""A stream over fake simulators: the requests it sends, the batches it yields, and how each failure ends."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math

import pytest

import actorrt as art
from actorrt.rl.foundation.failures import DEATHS_LIMIT
from actorrt.rl.rollouts.fragment_collector import FragmentCollector
from actorrt.rl.rollouts.stream import Stream, stream
from tests.unit.rl.fakes import Clock, FakeRef, FakeReply, in_turn, unavailable
from tests.unit.rl.rollouts.test_fragment_collector import fragment, keys


def make_stream(*simulators, clock=None, **options):
    clock = clock or Clock()
    size = {} if {"steps", "episodes"} & set(options) else {"fragments": len(simulators)}
    collector = FragmentCollector(len(simulators), **{**size, **options})
    return Stream(list(simulators), collector, clock, clock.wait)


def test_each_simulator_is_asked_once_for_the_newest_version():
    first, second = FakeRef(rollout=fragment(0)), FakeRef(rollout=fragment(1))
    batches = make_stream(first, second, max_lag=0, order="deterministic")
    assert keys(next(batches)) == [(0, 1, 0), (1, 1, 0)]
    assert first.calls == second.calls == [("rollout", 0)]


def test_next_batch_is_asked_for_with_the_version_that_was_set():
    simulator = FakeRef(rollout=in_turn(fragment(0, 0, 0), fragment(0, 1, 7)))
    batches = make_stream(simulator, max_lag=0, order="deterministic")
    next(batches)
    batches.version = 7
    assert next(batches).fragments[0].policy_version == 7
    assert simulator.calls == [("rollout", 0), ("rollout", 7)]


def test_pipelined_simulators_are_asked_for_exactly_one_version_when_a_batch_is_taken():
    simulator = FakeRef(rollout=in_turn(fragment(0, 0, 0), fragment(0, 1, 0)))
    batches = make_stream(simulator, max_lag=1, order="deterministic")
    next(batches)
    assert simulator.calls == [("rollout", 0, {"exact": True})] * 2


def test_simulators_that_work_ahead_are_asked_again_at_once():
    numbers = iter(range(9))
    simulator = FakeRef(rollout=lambda version: fragment(0, next(numbers)))
    batches = make_stream(simulator, max_lag=8)
    assert [keys(next(batches)) for _ in range(2)] == [[(0, 1, 0)], [(0, 1, 1)]]
    assert len(simulator.calls) == 3


def test_cancelled_wait_loses_nothing():
    simulator = FakeRef()
    batches = stream([simulator], fragments=1)

    async def leave_and_come_back():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(batches)
        simulator.open[0].set_value(fragment(0, 3))
        return await anext(batches)

    assert keys(asyncio.run(leave_and_come_back())) == [(0, 1, 3)]
    assert not simulator.open[0].is_cancelled


def test_rollout_that_is_lost_is_asked_for_again_after_a_growing_pause():
    simulator, clock = FakeRef(rollout=in_turn(unavailable(), unavailable(), fragment(0))), Clock()
    batches = make_stream(simulator, clock=clock, max_lag=0)
    assert keys(next(batches)) == [(0, 1, 0)]
    assert len(simulator.calls) == 3
    assert clock.now == pytest.approx(0.01 + 0.02, abs=1e-5)
    assert batches.statistics()["rollouts_lost"] == 2


def test_simulator_that_dies_again_and_again_ends_the_stream_for_good():
    simulator, clock = FakeRef(rollout=unavailable("killed")), Clock()
    batches = make_stream(simulator, clock=clock, max_lag=0)
    with pytest.raises(art.ActorDiedError, match=r"^simulator 0 died 6 times in a row: .*killed") as first:
        next(batches)
    assert len(simulator.calls) == DEATHS_LIMIT
    with pytest.raises(art.ActorDiedError) as second:
        next(batches)
    assert second.value is first.value
    assert len(simulator.calls) == DEATHS_LIMIT


def test_other_simulators_fill_the_batch_when_one_is_gone_for_good():
    numbers = iter(range(9))
    gone, alive = FakeRef(rollout=art.ActorDiedError("stopped")), FakeRef(rollout=lambda v: fragment(1, next(numbers)))
    batches = make_stream(gone, alive, max_lag=0)
    assert keys(next(batches)) == [(1, 1, 0), (1, 1, 1)]
    assert len(gone.calls) == 1
    assert batches.statistics()["simulators_alive"] == 1


def test_last_simulator_gone_for_good_ends_the_stream_with_its_error():
    died = art.ActorDiedError("stopped")
    batches = make_stream(FakeRef(rollout=died), max_lag=0)
    for _ in range(2):
        with pytest.raises(art.ActorDiedError) as raised:
            next(batches)
        assert raised.value is died


def test_environments_error_is_told_in_place_of_the_death_that_followed():
    broken = ZeroDivisionError("in step")
    simulator = FakeRef(rollout=in_turn(broken, art.ActorDiedError("stopped")))
    with pytest.raises(ZeroDivisionError) as raised:
        next(make_stream(simulator, max_lag=0))
    assert raised.value is broken


def test_rollout_that_raises_is_logged_and_asked_for_again_and_the_third_time_raised(caplog):
    error = ZeroDivisionError("in step")
    error.add_note("simulator 0, incarnation 1, environment 2")
    simulator = FakeRef(rollout=error)
    with caplog.at_level(logging.WARNING), pytest.raises(ZeroDivisionError):
        next(make_stream(simulator, max_lag=0))
    assert len(simulator.calls) == 3
    line = "simulator 0, incarnation 1, environment 2: ZeroDivisionError: in step; the rollout is requested again"
    assert [record.getMessage() for record in caplog.records] == [line] * 2


def test_first_rollout_that_raises_ends_the_stream_where_the_limit_is_one():
    simulator = FakeRef(rollout=ZeroDivisionError("in step"))
    with pytest.raises(ZeroDivisionError):
        next(make_stream(simulator, max_lag=0, raises_limit=1))
    assert len(simulator.calls) == 1


def test_first_failure_of_an_environment_is_logged_and_all_are_counted(caplog):
    one, two = (dataclasses.replace(fragment(0, i), failures=(f"failure {i}", "more")) for i in (1, 2))
    batches = make_stream(FakeRef(rollout=in_turn(fragment(0), one, two)), max_lag=0)
    with caplog.at_level(logging.WARNING):
        counts = []
        for _ in range(3):
            next(batches)
            counts.append(batches.statistics()["environment_failures"])
    assert counts == [0, 2, 4]
    (record,) = caplog.records
    assert record.getMessage().startswith("simulator 0, incarnation 1, failure 1; the environment is made anew")


def test_longer_fragments_are_requested_in_place_of_a_stragglers():
    simulator, straggler, clock = FakeRef(), FakeRef(), Clock()
    batches = make_stream(simulator, straggler, clock=clock, max_lag=0, fragments=2, stretches=True)
    batches._take()
    for asked, seconds in ((simulator, 0.1), (straggler, 9.0)):
        clock.now += seconds
        asked.open[-1].set_value(fragment(0 if asked is simulator else 1))
        batches._receive([asked.open[-1]])
    assert len(next(batches).fragments) == 2
    batches._take()
    assert simulator.calls == [("rollout", 0), ("rollout", 0, {"share": 2.0})]
    assert straggler.calls == [("rollout", 0)] * 2


def test_simulator_whose_fragments_come_too_late_is_named_once_with_what_to_do(caplog):
    slow = FakeRef()
    batches = make_stream(slow, FakeRef(), max_lag=1, fragments=1)
    with caplog.at_level(logging.WARNING):
        for number in range(6):
            batches._take()
            version, batches.version = batches.version, batches.version + 3
            slow.open[-1].set_value(fragment(0, number, version))
            batches._receive([slow.open[-1]])
    (record,) = caplog.records
    assert record.getMessage().startswith("simulator 0: 4 of 4 fragments came too late and were dropped, so ")
    assert record.getMessage().endswith("max_lag=None")
    assert batches.trained_shares()[0] == 0.0


def test_error_without_a_note_names_the_simulator(caplog):
    simulator = FakeRef(rollout=in_turn(ZeroDivisionError("in step"), fragment(0)))
    with caplog.at_level(logging.WARNING):
        next(make_stream(simulator, max_lag=0))
    assert [record.getMessage() for record in caplog.records] == [
        "simulator 0: ZeroDivisionError: in step; the rollout is requested again"
    ]


def test_wait_ends_in_time_although_simulators_become_overdue_while_requests_are_sent():
    clock, numbers = Clock(), iter(range(9))

    def first_fragment_only(version):
        if len(fast.calls) == 1:
            return fragment(0)
        clock.now += 0.06  # a simulator is overdue after 0.05 s
        return FakeReply()

    fast, stuck, idle = (
        FakeRef(rollout=first_fragment_only),
        FakeRef(),
        FakeRef(rollout=lambda v: fragment(2, next(numbers))),
    )
    batches = make_stream(fast, stuck, idle, clock=clock, fragments=4, max_lag=0)
    assert keys(next(batches)) == [(0, 1, 0), (2, 1, 0), (2, 1, 1), (2, 1, 2)]
    assert len(stuck.calls) == 1


def test_slow_simulator_is_not_waited_for_in_order_of_completion():
    numbers, clock = iter(range(9)), Clock()
    fast, slow = FakeRef(rollout=lambda version: fragment(0, next(numbers))), FakeRef()
    batches = make_stream(fast, slow, clock=clock, max_lag=0)
    assert keys(next(batches)) == [(0, 1, 0), (0, 1, 1)]
    assert len(slow.calls) == 1


def test_closing_cancels_open_requests_and_ends_the_iteration():
    simulator = FakeRef()
    batches = stream([simulator], fragments=1, max_lag=8)
    batches._ask()
    batches.close()
    batches.close()
    assert [reply.is_cancelled for reply in simulator.open] == [True]
    assert list(batches) == []

    async def rest():
        return [batch async for batch in batches]

    assert asyncio.run(rest()) == []


def test_statistics_name_every_counter():
    late, again = fragment(0, 1, 0), fragment(0, 2, 5)
    simulator = FakeRef(
        rollout=in_turn(fragment(0, 0, 0), late, unavailable(), again, again, fragment(0, 0, 5, incarnation=2))
    )
    batches = make_stream(simulator, max_lag=0)
    next(batches)
    batches.version = 5
    # The old fragment is of a lower version than was asked for: the newer versions are lost, so the stream goes back.
    assert next(batches).fragments[0].policy_version == 0
    batches.version = 5
    assert keys(next(batches)) == [(0, 1, 2)]
    assert keys(next(batches)) == [(0, 2, 0)]
    assert batches.statistics() == {
        "simulators_alive": 1,
        "simulators_restarted": 1,
        "fragments_dropped": 0,
        "fragments_repeated": 1,
        "rollouts_lost": 1,
        "environment_failures": 0,
    }


def test_fragments_collected_ahead_are_the_next_batch_of_a_resumed_stream():
    simulator = FakeRef(rollout=in_turn(fragment(0, 0, 0), fragment(0, 1, 0)))
    batches = make_stream(simulator, max_lag=1, order="deterministic")
    next(batches)
    ahead = asyncio.run(batches.ahead())
    assert [each.key for each in ahead] == [(0, 1, 1)]
    resumed = make_stream(FakeRef(), max_lag=1, order="deterministic")
    resumed.put_back(ahead, batches.turn)
    assert keys(next(resumed)) == [(0, 1, 1)]


def test_nothing_is_collected_ahead_in_other_orders():
    simulator = FakeRef()
    assert asyncio.run(make_stream(simulator, max_lag=8).ahead()) == []
    assert simulator.calls == []


@pytest.mark.parametrize(
    ("simulators", "message"),
    [
        (7, "give an ActorGroup, or a list of refs that were waited for, not 7"),
        ([math], "is no ref of a simulator: it has no `rollout`"),
    ],
)
def test_argument_without_simulators_is_refused(simulators, message):
    with pytest.raises(TypeError, match=message):
        stream(simulators, fragments=1)
