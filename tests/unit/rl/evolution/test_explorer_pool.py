"""The pool over fake simulators: requests, starts and stops, and how each failure ends a round."""

from __future__ import annotations

import asyncio
import logging

import pytest

import actorrt as art
from actorrt.rl.evolution.explorer_pool import ExplorerPool, ShareResult
from actorrt.rl.foundation.failures import DEATHS_LIMIT, RAISES_LIMIT
from tests.unit.rl.fakes import Clock, FakeRef, FakeReply, in_turn, unavailable


class Staff:
    """Starts and stops fake simulators for a pool; each squares numbers unless a test says otherwise.

    Attributes:
        events: what was started and stopped, in order.
        simulators: those that were started, by number.
    """

    def __init__(self, size, **answers):
        self.clock, self.events, self.simulators, self._answers = Clock(), [], {}, answers
        self.pool = ExplorerPool(size, self.start, self.stop, self.clock, self.clock.wait)

    def start(self, index):
        self.events.append(("start", index))
        if f"start_{index}" in self._answers:
            return FakeReply.of(self._answers[f"start_{index}"])
        answer = self._answers.get(f"simulator_{index}", squares(index))
        self.simulators[index] = FakeRef(f"simulator-{index}", square=answer)
        return FakeReply.of(self.simulators[index])

    def stop(self, index):
        self.events.append(("stop", index))
        return FakeReply.of(None)

    def do(self, count):
        return asyncio.run(self.pool.do("squares", count, lambda simulator, numbers: simulator.square(numbers)))


def squares(index, incarnation=1):
    return lambda numbers: ShareResult([number**2 for number in numbers], (index, incarnation, 100 + index))


def test_first_request_that_raises_ends_the_round_where_the_limit_is_one():
    staff = Staff(1, simulator_0=lambda numbers: ZeroDivisionError("in step"))
    staff.pool = ExplorerPool(1, staff.start, staff.stop, staff.clock, staff.clock.wait, raises_limit=1)
    with pytest.raises(ZeroDivisionError):
        staff.do(4)
    assert len(staff.simulators[0].calls) < RAISES_LIMIT


def test_results_come_in_the_items_order_with_the_sources_of_their_shares():
    staff = Staff(2)
    results, sources = staff.do(8)
    assert results == [number**2 for number in range(8)]
    assert set(sources) == {(0, 1, 100), (1, 1, 101)}
    assert staff.events == [("start", 0), ("start", 1)]
    asked = [number for simulator in staff.simulators.values() for _, numbers in simulator.calls for number in numbers]
    assert sorted(asked) == list(range(8))


def test_requests_under_way_are_cancelled():
    never = FakeReply()
    staff = Staff(2, simulator_0=lambda numbers: never, simulator_1=lambda numbers: ZeroDivisionError("in step"))
    staff.pool = ExplorerPool(2, staff.start, staff.stop, staff.clock, staff.clock.wait, raises_limit=1)
    with pytest.raises(ZeroDivisionError):
        staff.do(4)
    staff.pool.cancel()
    assert never.is_cancelled


def test_simulators_stay_for_the_next_round():
    staff = Staff(2)
    staff.do(4)
    staff.do(4)
    assert staff.events == [("start", 0), ("start", 1)]


def test_larger_pool_starts_simulators_of_new_numbers():
    staff = Staff(1)
    staff.do(2)
    staff.pool.resize(3)
    assert len(staff.pool) == 3
    staff.do(6)
    assert staff.events == [("start", 0), ("start", 1), ("start", 2)]


def test_smaller_pool_stops_those_that_came_last():
    staff = Staff(3)
    staff.do(6)
    staff.pool.resize(1)
    results, sources = staff.do(3)
    assert results == [0, 1, 4]
    assert staff.events[3:] == [("stop", 1), ("stop", 2)]
    assert {index for index, _, _ in sources} == {0}
    staff.pool.resize(2)
    staff.do(2)
    assert staff.events[5:] == [("start", 3)]


def test_share_that_is_lost_is_done_again_and_the_restart_counted():
    again = squares(0, incarnation=2)
    lost = in_turn(unavailable(), None)
    staff = Staff(1, simulator_0=lambda numbers: lost() or again(numbers))
    results, sources = staff.do(1)
    assert results == [0]
    assert sources == [(0, 2, 100)]
    assert staff.pool.statistics() == {"simulators_alive": 1, "simulators_restarted": 1, "shares_repeated": 0}
    assert staff.clock.now > 0.0


def test_simulator_that_dies_again_and_again_ends_the_round():
    staff = Staff(1, simulator_0=unavailable("killed"))
    with pytest.raises(art.ActorDiedError, match=r"^simulator 0 died 6 times in a row: .*killed"):
        staff.do(1)
    assert len(staff.simulators[0].calls) == DEATHS_LIMIT


def test_other_simulators_do_the_items_of_one_that_is_gone_for_good():
    staff = Staff(2, simulator_0=art.ActorDiedError("stopped"))
    results, sources = staff.do(6)
    assert results == [number**2 for number in range(6)]
    assert {index for index, _, _ in sources} == {1}


def test_simulator_that_is_gone_is_replaced_by_one_of_a_new_number():
    staff = Staff(2, simulator_0=art.ActorDiedError("stopped"))
    staff.do(6)
    staff.do(6)
    assert ("start", 2) in staff.events


def test_last_simulator_gone_for_good_ends_the_round():
    died = art.ActorDiedError("stopped")
    with pytest.raises(art.ActorDiedError) as raised:
        Staff(1, simulator_0=died).do(2)
    assert raised.value is died


def test_error_of_an_environment_is_logged_and_the_third_in_a_row_raised(caplog):
    error = ZeroDivisionError("in step")
    error.add_note("simulator 0, incarnation 1, environment 0")
    staff = Staff(1, simulator_0=error)
    with caplog.at_level(logging.WARNING), pytest.raises(ZeroDivisionError) as raised:
        staff.do(1)
    assert raised.value is error
    assert len(staff.simulators[0].calls) == RAISES_LIMIT
    line = "simulator 0, incarnation 1, environment 0: ZeroDivisionError: in step; the simulator is restarted"
    assert [record.getMessage() for record in caplog.records] == [line] * 2


def test_errors_of_several_simulators_are_counted_apart():
    def raising_twice(index):
        first = in_turn(*[ZeroDivisionError("in step")] * (RAISES_LIMIT - 1), None)
        return lambda numbers: first() if len(staff.simulators[index].calls) < RAISES_LIMIT else squares(index)(numbers)

    staff = Staff(3, **{f"simulator_{index}": raising_twice(index) for index in range(3)})
    assert staff.do(3)[0] == [0, 1, 4]


def test_error_of_the_runtime_is_raised_at_once():
    staff = Staff(1, simulator_0=art.CallTimeoutError("too late", executed="maybe"))
    with pytest.raises(art.CallTimeoutError):
        staff.do(1)
    assert len(staff.simulators[0].calls) == 1


def test_success_between_errors_resets_their_count():
    error, works = ZeroDivisionError("in step"), squares(0)
    outcomes = in_turn(error, error, None, error, error, None)
    staff = Staff(1, simulator_0=lambda numbers: outcomes() or works(numbers))
    assert staff.do(1)[0] == [0]
    assert staff.do(1)[0] == [0]


def test_simulator_that_could_not_be_started_ends_the_round():
    staff = Staff(1)
    staff.pool._start = lambda index: FakeReply.of(art.ActorStartError("no such environment"))
    with pytest.raises(art.ActorStartError, match="no such environment"):
        staff.do(1)


def test_slow_share_is_done_by_an_idle_simulator_as_well_and_counted_once():
    staff = Staff(2)
    staff.do(8)
    slow = staff.simulators[1]
    slow._answers.clear()
    results, _ = staff.do(4)
    assert results == [0, 1, 4, 9]
    assert staff.pool.statistics()["shares_repeated"] == 1
    slow.open[0].set_value(ShareResult([-1], (1, 1, 101)))
    assert staff.do(2)[0] == [0, 1]


def test_simulator_whose_process_ends_in_its_start_is_replaced_by_one_of_a_new_number():
    killed = art.ActorStartError("did not start", reason=art.ExitReason(art.ExitKind.KILLED, "SIGKILL"))
    staff = Staff(1, start_0=killed)
    results, _ = staff.do(2)
    assert results == [0, 1]
    assert staff.events == [("start", 0), ("start", 1)]


def test_simulators_whose_processes_end_in_their_starts_again_and_again_end_the_round():
    killed = art.ActorStartError("did not start", reason=art.ExitReason(art.ExitKind.KILLED, "SIGKILL"))
    staff = Staff(1, **{f"start_{index}": killed for index in range(DEATHS_LIMIT)})
    with pytest.raises(art.ActorDiedError, match=r"^a simulator that was starting died 6 times in a row: did not"):
        staff.do(2)
    assert len(staff.events) == DEATHS_LIMIT


def test_simulator_that_can_not_be_started_ends_the_round():
    with pytest.raises(art.ActorStartError, match="no such class"):
        Staff(1, start_0=art.ActorStartError("no such class")).do(2)
