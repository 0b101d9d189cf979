"""Leases that several submitters want: fair shares, tasks that wait, and actors beside tasks."""

from __future__ import annotations

from actorrt.errors import PlacementError
from actorrt.node.leases.decision import BLOCKED_COUNT, RECALL_AFTER_S, REPORT_AFTER_S
from actorrt.node.leases.orders import Dismiss
from actorrt.node.leases.recalls import TURN_S
from tests.unit.node.leases.lender import ANN, BOB, CAT, OTHER_JOB, Lender, need

# Fairness


def test_cpus_are_shared_over_jobs_then_over_submitters() -> None:
    lender = Lender(cpus=4)
    lender.want(ANN, 4)
    lender.want(BOB, 4)
    lender.want(CAT, 4, job=OTHER_JOB)
    lender.start_workers()
    assert lender.counts(ANN, BOB, CAT) == [1, 1, 2]


def test_classes_of_a_submitter_take_turns_and_deeper_ones_come_first() -> None:
    lender = Lender(cpus=4)
    lender.want(ANN, 4, task_class=1)
    lender.want(ANN, 4, task_class=2)
    lender.start_workers()
    assert sorted(lender.classes.values()) == [1, 1, 2, 2]
    lender = Lender(cpus=2)
    lender.want(ANN, 2, task_class=1)
    lender.want(ANN, 2, task_class=2, depth=1)
    lender.start_workers()
    assert sorted(lender.classes.values()) == [2, 2]


def test_lease_is_recalled_for_a_submitter_that_has_waited_from_the_holder_of_most() -> None:
    lender = Lender(cpus=4)
    lender.want(ANN, 4)
    lender.start_workers()
    lender.want(BOB, 4)
    assert lender.recalled == set()
    lender.wait(RECALL_AFTER_S)
    assert len(lender.recalled) == 2
    lender.wait(1)
    assert len(lender.recalled) == 2, "what is on its way back is not recalled again"
    assert lender.give_back_recalled() == [ANN, ANN]
    assert lender.counts(ANN, BOB) == [2, 2]
    lender.wait(1)
    assert lender.recalled == set()


def test_jobs_with_equal_shares_are_left_alone_however_their_submitters_stand() -> None:
    lender = Lender(cpus=2)
    lender.want(ANN, 2)
    lender.want(CAT, 2, job=OTHER_JOB)
    lender.start_workers()
    lender.want(BOB, 2)
    lender.wait(RECALL_AFTER_S)
    lender.wait(TURN_S)
    assert {*lender.recalled} == {*lender.held[ANN]}, "only the submitter of the same job gives"


def test_submitters_that_cannot_have_equal_shares_take_turns() -> None:
    lender = Lender(cpus=1)
    lender.want(ANN, 9)
    lender.start_workers()
    lender.want(BOB, 9)
    turns = []
    for _ in range(4):
        lender.wait(TURN_S + RECALL_AFTER_S)
        turns += lender.give_back_recalled()
    assert turns == [ANN, BOB, ANN, BOB]


def test_lease_that_its_submitter_does_not_want_is_recalled_first_and_without_a_turn() -> None:
    lender = Lender(cpus=2)
    lender.want(ANN, 1)
    lender.want(BOB, 1)
    lender.start_workers()
    lender.want(ANN, 0)
    lender.want(CAT, 1)
    lender.wait(RECALL_AFTER_S)
    assert {*lender.recalled} == {*lender.held[ANN]}


def test_want_of_many_cpus_is_not_starved_by_wants_of_few() -> None:
    lender = Lender(cpus=2)
    lender.want(ANN, 9)
    lender.start_workers()
    lender.want(BOB, 1, need(cpus=2))
    lender.wait(TURN_S + RECALL_AFTER_S)
    assert len(lender.recalled) == 2
    lender.give_back(ANN)
    assert lender.counts(ANN, BOB) == [1, 0], "the CPU that came back is kept"
    lender.give_back(ANN)
    assert lender.counts(ANN, BOB) == [0, 1]


# Tasks that wait


def test_cpu_of_a_task_that_waits_is_lent_on_and_paid_back_when_it_goes_on() -> None:
    lender = Lender(cpus=1)
    lender.want(ANN, 1)
    lender.start_workers()
    (waits,) = lender.held[ANN].values()
    lender.block(waits)
    lender.want(BOB, 2)
    assert lender.counts(BOB) == [1], "the spare worker is at hand"
    lender.start_workers()
    lender.block(waits, is_blocked=False)
    lender.want(ANN, 0)
    lender.give_back(ANN)
    assert lender.counts(BOB) == [1], "the node was over its CPUs"
    lender.give_back(BOB)
    assert lender.counts(BOB) == [1]


def test_gpus_and_memory_of_a_task_that_waits_are_kept() -> None:
    lender = Lender(cpus=1, gpus=1)
    lender.want(ANN, 1, need(cpus=1, gpus=1, memory_bytes=900))
    lender.start_workers()
    lender.block(*lender.held[ANN].values())
    lender.want(BOB, 1, need(cpus=1, gpus=1))
    lender.want(CAT, 1, need(cpus=1, memory_bytes=200))
    lender.start_workers()
    assert lender.counts(BOB, CAT) == [0, 0]


def test_cpus_that_are_overdrawn_for_long_are_recalled_but_for_one_lease() -> None:
    lender = Lender(cpus=1)
    lender.want(ANN, 3)
    lender.start_workers()
    (waits,) = lender.held[ANN].values()
    lender.block(waits)
    lender.start_workers()
    lender.block(waits, is_blocked=False)
    assert (lender.counts(ANN), lender.recalled) == ([2], set())
    lender.wait(RECALL_AFTER_S)
    assert len(lender.recalled) == 1
    lender.give_back_recalled()
    lender.wait(1)
    assert (lender.counts(ANN), lender.recalled) == ([1], set())


def test_deeper_tasks_get_the_cpus_of_those_that_wait_for_them() -> None:
    """Parents of the same job whose tasks all wait have no share either, so depth decides."""
    lender = Lender(cpus=1)
    lender.want(ANN, 9)
    lender.start_workers()
    lender.want(BOB, 1, depth=1)
    lender.block(*lender.held[ANN].values())
    assert lender.counts(ANN, BOB) == [1, 1]


def test_lease_that_is_returned_while_its_task_waits_ends_its_worker() -> None:
    lender = Lender(cpus=1)
    lender.want(ANN, 1)
    lender.start_workers()
    (worker,) = lender.held[ANN].values()
    lender.block(worker)
    lender.give_back(ANN)
    assert lender.dismissed == [Dismiss(worker, may_work=True)]


def test_wait_that_is_told_by_another_worker_or_of_a_light_task_is_ignored() -> None:
    lender = Lender(cpus=1)
    lender.want(ANN, 1)
    lender.want(BOB, 1, need())
    lender.start_workers()
    (lease,), ((light, worker),) = lender.held[ANN], lender.held[BOB].items()
    assert lender.grants.blocked(1000, lease, lender.now, is_blocked=True) == ()
    assert lender.grants.blocked(worker, light, lender.now, is_blocked=True) == ()
    lender.want(CAT, 1)
    assert lender.counts(CAT) == [0]


def test_many_workers_are_reported_once_and_beyond_the_bound_the_newest_want_is_refused() -> None:
    lender = Lender(cpus=1)
    lender.want(ANN, 1000)
    for _ in range(BLOCKED_COUNT - 1):
        lender.start_workers()
        running = max(lender.held[ANN])
        lender.block(lender.held[ANN][running])
    assert len(lender.said) == 1
    assert "a node of 1 CPUs has" in lender.said[0]
    lender.start_workers()
    lender.want(BOB, 1, depth=1)
    assert lender.refused == {}
    lender.block(lender.held[ANN][max(lender.held[ANN])])
    lender.want(CAT, 1, depth=2)
    lender.start_workers()
    while (free := max((*lender.held.get(BOB, {}), *lender.held.get(CAT, {})), default=None)) is not None and (
        not lender.refused
    ):
        held = lender.held[BOB] if free in lender.held.get(BOB, {}) else lender.held[CAT]
        lender.block(held[free])
        lender.want(CAT, 10, depth=2)
        lender.start_workers()
    (refused,) = lender.refused
    assert refused == (CAT, 1)
    assert isinstance(lender.refused[refused], PlacementError)
    assert len(lender.said) == 1


# Actors beside tasks


def test_tasks_keep_one_cpu_however_much_actors_reserve() -> None:
    lender = Lender(cpus=4, kept_cpus=1)
    lender.do(lender.grants.reserved({"cpus": 4}, lender.now))
    lender.want(ANN, 4)
    lender.start_workers()
    assert lender.counts(ANN) == [1]
    lender.do(lender.grants.reserved({"cpus": 1}, lender.now))
    lender.start_workers()
    assert lender.counts(ANN) == [3]


def test_task_of_many_cpus_runs_alone_where_actors_share_the_cpus() -> None:
    lender = Lender(cpus=4, kept_cpus=1)
    lender.do(lender.grants.reserved({"cpus": 3}, lender.now))
    lender.want(ANN, 2, need(cpus=3))
    lender.start_workers()
    assert lender.counts(ANN) == [1]
    lender.wait(60)
    assert (lender.recalled, lender.said) == (set(), [])


def test_strict_node_waits_for_its_actors_and_says_so_once() -> None:
    lender = Lender(cpus=2, kept_cpus=0)
    lender.do(lender.grants.reserved({"cpus": 2}, lender.now))
    lender.want(ANN, 1)
    lender.wait(REPORT_AFTER_S * 3)
    assert len(lender.said) == 1
    assert "waited for 10 s for a worker with 1 cpus: 2 of 2 cpus reserved by actors" in lender.said[0]
    lender.do(lender.grants.reserved({}, lender.now))
    lender.start_workers()
    assert lender.counts(ANN) == [1]


def test_want_that_actors_keep_from_its_cpus_does_not_hold_up_smaller_ones() -> None:
    lender = Lender(cpus=2, kept_cpus=0)
    lender.do(lender.grants.reserved({"cpus": 1}, lender.now))
    lender.want(ANN, 1, need(cpus=2))
    lender.wait(1)
    lender.want(BOB, 1)
    lender.start_workers()
    assert lender.counts(ANN, BOB) == [0, 1]


def test_actors_that_reserve_cpus_have_leases_recalled() -> None:
    lender = Lender(cpus=3)
    lender.want(ANN, 3)
    lender.start_workers()
    lender.do(lender.grants.reserved({"cpus": 1}, lender.now))
    lender.wait(RECALL_AFTER_S)
    assert lender.give_back_recalled() == [ANN]
    assert lender.counts(ANN) == [2]
