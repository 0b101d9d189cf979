"""Which worker is lent to whom: in what order, what is launched and dismissed, and what comes back."""

from __future__ import annotations

import pytest

from actorrt.errors import ActorStartError, PlacementError
from actorrt.node.leases.orders import Dismiss
from actorrt.node.leases.pools import FAILURES_COUNT, FAILURES_WITHIN_S, IDLE_S, RETRY_S
from tests.unit.node.leases.lender import ANN, BOB, CAT, JOB, OTHER_JOB, Lender, need, peer_of

# Grants


def test_leases_are_granted_up_to_the_cpus_and_one_worker_is_launched_for_each() -> None:
    lender = Lender(cpus=2)
    lender.want(ANN, 5)
    assert (lender.launching, lender.counts(ANN)) == ([1, 2], [0])
    lender.start_workers()
    assert lender.counts(ANN) == [2]
    assert lender.ready == {1, 2, 3}, "one is spare"


def test_repeated_want_changes_nothing() -> None:
    lender = Lender(cpus=2)
    for _ in range(3):
        lender.want(ANN, 2)
    assert lender.launching == [1, 2]
    lender.start_workers()
    lender.want(ANN, 2)
    assert (lender.launching, lender.counts(ANN)) == ([], [2])


def test_worker_that_was_returned_is_lent_again_the_one_that_was_used_last_first() -> None:
    lender = Lender(cpus=2)
    lender.want(ANN, 2)
    lender.start_workers()
    lender.want(ANN, 0)
    workers = [lender.give_back(ANN) for _ in range(2)]
    lender.want(BOB, 2)
    assert [*lender.held[BOB].values()] == workers[::-1]
    assert lender.launching == []


def test_want_that_is_withdrawn_gets_nothing_and_its_worker_serves_another() -> None:
    lender = Lender(cpus=1)
    lender.want(ANN, 1)
    lender.want(ANN, 0)
    lender.want(BOB, 1)
    assert lender.launching == [1]
    lender.start_workers()
    assert lender.counts(ANN, BOB) == [0, 1]


def test_lease_of_another_submitter_or_one_that_is_over_is_not_returned() -> None:
    lender = Lender(cpus=1)
    lender.want(ANN, 1)
    lender.start_workers()
    (lease,) = lender.held[ANN]
    assert lender.grants.returned(BOB, lease, lender.now) == ()
    lender.give_back(ANN, lease)
    assert lender.grants.returned(ANN, 1000, lender.now) == ()


def test_needs_of_a_class_never_change() -> None:
    lender = Lender(cpus=2)
    lender.want(ANN, 1)
    with pytest.raises(ValueError, match="class 1 of this submitter needs"):
        lender.want(ANN, 1, need(cpus=2))


@pytest.mark.parametrize(
    ("needs", "text"),
    [
        (need(cpus=3), "the tasks need 3 cpus, and the node has 2"),
        (need(gpus=1), "the tasks need 1 gpus, and the node has none"),
        (need(cpus=1, license=1), "the tasks need 1 license, and the node has none"),
        (need(memory_bytes=1001), "the tasks need 1001 memory_bytes, and the node has 1000"),
    ],
)
def test_what_the_node_never_has_is_refused_by_name(needs, text: str) -> None:
    lender = Lender(cpus=2)
    lender.want(ANN, 1, needs)
    error = lender.refused[ANN, 1]
    assert isinstance(error, PlacementError)
    assert text in str(error)
    assert lender.launching == []


def test_memory_is_reserved_beside_cpus() -> None:
    lender = Lender(cpus=4)
    lender.want(ANN, 4, need(cpus=1, memory_bytes=400))
    lender.start_workers()
    assert lender.counts(ANN) == [2]
    lender.want(BOB, 4)
    lender.start_workers()
    assert lender.counts(ANN, BOB) == [2, 2]


def test_fractions_of_cpus_add_up_exactly() -> None:
    lender = Lender(cpus=1)
    lender.want(ANN, 20, need(cpus=0.1))
    lender.start_workers()
    assert lender.counts(ANN) == [10]


def test_lease_ends_with_its_worker_and_another_takes_its_place() -> None:
    lender = Lender(cpus=1)
    lender.want(ANN, 1)
    lender.start_workers()
    lender.end_worker(lender.held[ANN].popitem()[1])
    lender.start_workers()
    assert lender.counts(ANN) == [1]


def test_submitter_that_ends_loses_its_leases_and_their_workers_keep_their_cpus_until_they_have_ended() -> None:
    lender = Lender(cpus=1)
    lender.want(ANN, 1)
    lender.start_workers()
    (worker,) = lender.held[ANN].values()
    lender.want(BOB, 1)
    lender.end_submitter(ANN)
    assert lender.dismissed == [Dismiss(worker, may_work=True)]
    assert lender.counts(BOB) == [0]
    lender.end_worker(worker)
    assert lender.counts(BOB) == [1]


def test_job_that_ends_leaves_no_worker_and_its_launches_end_too() -> None:
    lender = Lender(cpus=2)
    lender.want(ANN, 1)
    lender.start_workers()
    lender.want(BOB, 1)
    lender.want(CAT, 1, job=OTHER_JOB)
    lender.do(lender.grants.job_ended(JOB, (), lender.now))
    assert {order.worker for order in lender.dismissed} == {1, 2, 3}
    lender.start_workers()
    for worker in (1, 2, 3):
        lender.end_worker(worker)
    lender.start_workers()
    assert lender.counts(ANN, BOB, CAT) == [0, 0, 1]
    assert len(lender.dismissed) == 3


def test_job_that_ends_leaves_the_workers_of_submitters_that_stay() -> None:
    lender = Lender(cpus=2)
    lender.want(ANN, 1)
    lender.want(BOB, 1)
    lender.start_workers()
    (stays,) = lender.held[ANN].values()
    lender.do(lender.grants.job_ended(JOB, {ANN}, lender.now))
    assert {order.worker for order in lender.dismissed} == {1, 2, 3} - {stays}
    assert [*lender.grants.lent_to({ANN})] == [stays]


def test_worker_that_has_submitted_tasks_itself_stays_until_these_have_ended() -> None:
    lender = Lender(cpus=4)
    lender.want(ANN, 2)
    lender.start_workers()
    parent, idle = lender.held[ANN].values()
    lender.want(peer_of(parent), 1, depth=1)
    lender.want(ANN, 0)
    for _ in range(2):
        lender.give_back(ANN)
    lender.wait(2 * IDLE_S)
    assert {order.worker for order in lender.dismissed} == {idle}
    lender.want(peer_of(parent), 0, depth=1)
    lender.give_back(peer_of(parent))
    lender.wait(2 * IDLE_S)
    assert parent in {order.worker for order in lender.dismissed}


def test_worker_whose_tasks_want_no_leases_yet_stays_until_they_have_ended() -> None:
    lender = Lender(cpus=4)
    lender.want(ANN, 2)
    lender.start_workers()
    parent, idle = lender.held[ANN].values()
    lender.pend(peer_of(parent))
    lender.want(ANN, 0)
    for _ in range(2):
        lender.give_back(ANN)
    lender.wait(2 * IDLE_S)
    dismissed = {order.worker for order in lender.dismissed}
    assert idle in dismissed
    assert parent not in dismissed
    assert lender.grants.submitters() == {peer_of(parent)}
    lender.pend(peer_of(parent), is_so=False)
    assert lender.grants.submitters() == set()


def test_pending_tasks_are_forgotten_with_their_submitter_and_with_their_job() -> None:
    lender = Lender()
    for submitter, job in ((ANN, JOB), (BOB, JOB), (CAT, OTHER_JOB)):
        lender.pend(submitter, job)
    lender.end_submitter(ANN)
    assert lender.grants.submitters() == {BOB, CAT}
    lender.do(lender.grants.job_ended(JOB, (), lender.now))
    assert lender.grants.submitters() == {CAT}


def test_worker_of_a_submitter_that_has_ended_stays_while_its_own_tasks_run() -> None:
    lender = Lender(cpus=2)
    lender.want(ANN, 1)
    lender.start_workers()
    (parent,) = lender.held[ANN].values()
    lender.want(peer_of(parent), 1, depth=1)
    lender.end_submitter(ANN)
    assert lender.dismissed == []
    lender.want(peer_of(parent), 0, depth=1)
    lender.give_back(peer_of(parent))
    assert lender.dismissed == [Dismiss(parent, may_work=True)]


# The pool


def test_one_spare_worker_is_kept_while_others_are_leased_and_one_worker_until_the_job_ends() -> None:
    lender = Lender(cpus=4)
    lender.want(ANN, 3)
    lender.start_workers()
    assert lender.ready == {1, 2, 3, 4}
    lender.wait(10 * IDLE_S)
    assert lender.dismissed == []
    lender.want(ANN, 0)
    for _ in range(3):
        lender.give_back(ANN)
    lender.wait(IDLE_S * 0.9)
    assert lender.dismissed == []
    lender.wait(IDLE_S)
    assert len(lender.dismissed) == 3
    assert [order.worker for order in lender.dismissed if order.may_work] == []
    for order in lender.dismissed:
        lender.end_worker(order.worker)
    lender.wait(10 * IDLE_S)
    assert len(lender.ready) == 1


def test_workers_are_reused_only_with_the_same_environment_in_the_same_job() -> None:
    lender = Lender(cpus=4)
    lender.want(ANN, 1, need([("A", "1")], cpus=1))
    lender.want(ANN, 1, need([("A", "2")], cpus=1), task_class=2)
    lender.want(BOB, 1, job=OTHER_JOB)
    lender.start_workers()
    made = [(order.job, order.env_vars) for order in lender.launches.values()]
    assert made[:3] == [(JOB, (("A", "1"),)), (JOB, (("A", "2"),)), (OTHER_JOB, ())]
    assert sorted(made) == sorted(made[:3] * 2), "each pool has a spare one"


def test_of_all_pools_of_a_job_the_one_used_last_keeps_a_worker() -> None:
    lender = Lender(cpus=4)
    for number in range(3):
        lender.want(ANN, 1, need([("A", str(number))], cpus=1), task_class=number)
    lender.start_workers()
    for number in range(3):
        lender.want(ANN, 0, need([("A", str(number))], cpus=1), task_class=number)
    last = [lender.give_back(ANN) for _ in range(3)][-1]
    lender.wait(2 * IDLE_S)
    gone = {order.worker for order in lender.dismissed}
    assert len(gone) == 5
    assert lender.launches[last].env_vars == lender.launches[min({*range(1, 7)} - gone)].env_vars


def test_workers_with_gpus_serve_their_class_alone_and_leave_when_others_need_the_gpus() -> None:
    lender = Lender(cpus=4, gpus=1)
    lender.want(ANN, 1, need(cpus=1, gpus=1))
    lender.start_workers()
    (worker,) = lender.held[ANN].values()
    lender.want(ANN, 0, need(cpus=1, gpus=1))
    lender.give_back(ANN)
    lender.want(BOB, 1, need(cpus=1, gpus=1))
    assert [*lender.held[BOB].values()] == [worker]
    lender.want(BOB, 0, need(cpus=1, gpus=1))
    lender.give_back(BOB)
    lender.want(CAT, 1, need(cpus=2, gpus=1))
    assert (lender.dismissed, lender.launching) == ([Dismiss(worker)], [])
    lender.end_worker(worker)
    lender.start_workers()
    assert lender.counts(CAT) == [1]


def test_gpus_of_a_worker_that_is_launched_are_not_promised_twice() -> None:
    lender = Lender(cpus=4, gpus=1)
    lender.want(ANN, 1, need(cpus=1, gpus=1))
    lender.want(BOB, 1, need(cpus=2, gpus=1))
    assert lender.launching == [1]
    lender.start_workers()
    assert lender.counts(ANN, BOB) == [1, 0]


def test_light_worker_is_granted_to_every_submitter_at_once_beyond_all_cpus() -> None:
    lender = Lender(cpus=1)
    lender.want(CAT, 1)
    for submitter in (ANN, BOB):
        lender.want(submitter, 100, need(), task_class=7)
    assert lender.launching == [1, 2]
    lender.start_workers()
    assert lender.counts(ANN, BOB, CAT) == [1, 1, 1]
    assert {*lender.held[ANN].values()} == {*lender.held[BOB].values()} == {2}
    lender.end_submitter(ANN)
    lender.want(BOB, 0, need(), task_class=7)
    lender.give_back(BOB)
    assert lender.dismissed == []
    lender.wait(IDLE_S)
    assert lender.dismissed == [Dismiss(2)]


def test_light_worker_that_dies_ends_all_its_leases_and_is_replaced_once() -> None:
    lender = Lender(cpus=1)
    for submitter in (ANN, BOB):
        lender.want(submitter, 1, need())
    lender.start_workers()
    lender.end_worker(1)
    assert lender.launching == [2]
    lender.start_workers()
    assert lender.counts(ANN, BOB) == [1, 1]


def test_worker_that_is_worn_out_ends_when_its_lease_is_returned_and_another_takes_its_place() -> None:
    lender = Lender(cpus=1)
    lender.want(ANN, 1)
    lender.start_workers()
    ((lease, worker),) = lender.held[ANN].items()
    lender.do(lender.grants.worn_out(worker, lender.now))
    assert (lender.recalled, lender.dismissed) == ({lease}, [])
    lender.give_back(ANN)
    assert lender.dismissed == [Dismiss(worker, may_work=True)]
    assert lender.counts(ANN) == [1], "the spare worker is at hand"
    lender.do(lender.grants.worn_out(worker, lender.now))
    assert len(lender.dismissed) == 1


def test_light_worker_that_is_worn_out_gets_no_further_leases_and_ends_after_the_last() -> None:
    lender = Lender(cpus=1)
    for submitter in (ANN, BOB):
        lender.want(submitter, 1, need())
    lender.start_workers()
    lender.do(lender.grants.worn_out(1, lender.now))
    assert len(lender.recalled) == 2
    lender.want(CAT, 1, need())
    lender.start_workers()
    assert [*lender.held[CAT].values()] == [2]
    for submitter in (ANN, BOB):
        assert lender.dismissed == []
        lender.give_back(submitter)
    assert lender.dismissed == [Dismiss(1, may_work=True)]
    assert lender.counts(ANN, BOB) == [1, 1]


# Failures to start


def test_launch_that_fails_is_tried_again_later_and_the_third_failure_refuses_the_class() -> None:
    lender = Lender(cpus=1)
    lender.want(ANN, 1)
    for attempt in range(FAILURES_COUNT):
        assert len(lender.launching) == 1
        assert lender.refused == {}
        lender.fail_launch("no descriptors")
        assert lender.launching == []
        lender.wait(RETRY_S * 2**attempt)
    assert lender.launching == []
    error = lender.refused[ANN, 1]
    assert type(error) is ActorStartError
    assert "3 workers for tasks did not start within 30 s; the last one: no descriptors" in str(error)
    lender.want(ANN, 1)
    lender.start_workers()
    assert lender.counts(ANN) == [1]


def test_launches_that_fail_together_count_once() -> None:
    lender = Lender(cpus=4)
    lender.want(ANN, 4)
    for _ in range(4):
        lender.fail_launch()
    assert lender.refused == {}
    lender.wait(RETRY_S)
    lender.start_workers()
    assert lender.counts(ANN) == [4]


def test_failures_that_are_far_apart_or_followed_by_a_start_refuse_nothing() -> None:
    lender = Lender(cpus=2)
    for _ in range(FAILURES_COUNT):
        lender.want(ANN, 1)
        lender.fail_launch()
        lender.wait(FAILURES_WITHIN_S)
        lender.start_workers()
        lender.end_worker(1 + max(lender.ready) - 1)
        lender.want(ANN, 0)
    assert lender.refused == {}
