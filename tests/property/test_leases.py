"""Leases under wants, returns, waits, deaths, failed launches, ends of jobs and reservations of actors in any order."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from hypothesis.strategies import booleans, data, floats, integers, sampled_from

from actorrt.ids import JobId, PeerId
from actorrt.node.leases.decision import RECALL_AFTER_S
from actorrt.node.leases.orders import Dismiss, Grant, GrantOrder
from actorrt.node.leases.pools import IDLE_S
from tests.unit.node.leases.lender import ANN, BOB, CAT, JOB, OTHER_JOB, Lender, need

NEEDS = (
    need(cpus=1),
    need(cpus=2),
    need(cpus=0.5),
    need(cpus=1, gpus=1),
    need(cpus=1, memory_bytes=600),
    need(memory_bytes=300),
    need([("A", "1")], cpus=1),
    need(),
)
JOBS = {ANN: JOB, BOB: JOB, CAT: OTHER_JOB}
SUBMITTERS = tuple(JOBS)


class CheckedLender(Lender):
    """A lender whose every grant is checked against what its workers have in hand."""

    def __init__(self, cpus: int, kept_cpus: int) -> None:
        super().__init__(cpus=cpus, kept_cpus=kept_cpus, gpus=1)
        self.cpus = cpus
        self.kept_cpus = kept_cpus
        self.actor_cpus = 0.0
        self.needs: dict[tuple[PeerId, int], int] = {}
        self.in_hand: dict[int, tuple[dict[str, float], bool]] = {}
        self.granted_to: set[tuple[PeerId, int]] = set()
        self.ending: set[int] = set()

    def do(self, orders: Sequence[GrantOrder]) -> None:
        super().do(orders)
        for order in orders:
            if isinstance(order, Grant):
                self._check_grant(order)
            elif isinstance(order, Dismiss):
                self.ending.add(order.worker)

    def _check_grant(self, order: Grant) -> None:
        amounts = dict(NEEDS[order.task_class].amounts)
        assert order.worker not in self.ending, "a worker that is about to end was lent"
        assert order.worker not in self.in_hand or not amounts, "a worker was lent twice"
        if amounts:
            self.in_hand[order.worker] = (amounts, False)
        self.granted_to.add((order.submitter, order.task_class))
        for name, total in (("gpus", 1.0), ("memory_bytes", 1000.0)):
            assert sum(taken.get(name, 0.0) for taken, _ in self.in_hand.values()) <= total
        running = [taken.get("cpus", 0.0) for taken, is_blocked in self.in_hand.values() if not is_blocked]
        allowed = max(self.cpus - self.actor_cpus, self.kept_cpus)
        if amounts.get("cpus") and sum(running) > allowed:
            assert self.kept_cpus, "more CPUs are lent than there are"
            assert sum(running) == amounts["cpus"], "more CPUs are lent than there are, and to several tasks"

    def give_back(self, submitter: PeerId, lease: int | None = None) -> int:
        lease = next(iter(self.held[submitter])) if lease is None else lease
        self.in_hand.pop(self.held[submitter][lease], None)
        return super().give_back(submitter, lease)

    def end_worker(self, worker: int, reason: str = "killed") -> None:
        self.in_hand.pop(worker, None)
        self.ending.discard(worker)
        super().end_worker(worker, reason)


class Leases(RuleBasedStateMachine):
    """One node, three submitters in two jobs, and all that can happen to them."""

    @initialize(cpus=integers(1, 4), kept_cpus=integers(0, 1))
    def begin(self, cpus: int, kept_cpus: int) -> None:
        self.lender = CheckedLender(cpus, kept_cpus)

    @rule(
        submitter=sampled_from(SUBMITTERS),
        task_class=integers(0, len(NEEDS) - 1),
        count=integers(0, 6),
        depth=integers(0, 2),
    )
    def want(self, submitter: PeerId, task_class: int, count: int, depth: int) -> None:
        needs = NEEDS[task_class]
        self.lender.want(submitter, count, needs, job=JOBS[submitter], task_class=task_class, depth=depth)

    def running(self, *, is_blocked: bool) -> list[int]:
        held = {worker for leases in self.lender.held.values() for worker in leases.values()}
        return [worker for worker, (_, waits) in self.lender.in_hand.items() if waits is is_blocked and worker in held]

    @precondition(lambda self: any(self.lender.held.values()))
    @rule(pick=data())
    def give_back(self, pick) -> None:
        submitter = pick.draw(sampled_from([peer for peer, leases in self.lender.held.items() if leases]))
        leases = self.lender.held[submitter]
        waiting = self.running(is_blocked=True)
        free = [lease for lease, worker in leases.items() if worker not in waiting]
        if free:
            self.lender.give_back(submitter, pick.draw(sampled_from(free)))

    @rule()
    def start_workers(self) -> None:
        self.lender.start_workers()

    @precondition(lambda self: self.lender.launching)
    @rule()
    def fail_launch(self) -> None:
        self.lender.fail_launch()

    @precondition(lambda self: self.lender.ready)
    @rule(pick=data())
    def end_worker(self, pick) -> None:
        self.lender.end_worker(pick.draw(sampled_from(sorted(self.lender.ready))))

    @rule(is_blocked=booleans(), pick=data())
    def block(self, is_blocked: bool, pick) -> None:
        workers = self.running(is_blocked=not is_blocked)
        if workers:
            worker = pick.draw(sampled_from(sorted(workers)))
            self.lender.in_hand[worker] = (self.lender.in_hand[worker][0], is_blocked)
            self.lender.block(worker, is_blocked=is_blocked)

    @precondition(lambda self: self.lender.ready)
    @rule(pick=data())
    def wear_out(self, pick) -> None:
        worker = pick.draw(sampled_from(sorted(self.lender.ready)))
        self.lender.do(self.lender.grants.worn_out(worker, self.lender.now))

    @rule(submitter=sampled_from(SUBMITTERS))
    def end_submitter(self, submitter: PeerId) -> None:
        self.lender.recalled -= self.lender.held.get(submitter, {}).keys()
        self.lender.end_submitter(submitter)

    @rule(job=sampled_from((JOB, OTHER_JOB)), stays=sampled_from((ANN, None)))
    def end_job(self, job: JobId, stays: PeerId | None) -> None:
        for submitter in SUBMITTERS:
            if JOBS[submitter] == job and submitter != stays:
                self.lender.held.pop(submitter, None)
        self.lender.do(self.lender.grants.job_ended(job, {stays} - {None}, self.lender.now))

    @rule(cpus=integers(0, 4))
    def reserve(self, cpus: int) -> None:
        self.lender.actor_cpus = float(cpus)
        self.lender.do(self.lender.grants.reserved({"cpus": float(cpus)}, self.lender.now))

    @rule(seconds=floats(0.0, 3.0))
    def wait(self, seconds: float) -> None:
        self.lender.wait(seconds)

    @invariant()
    def one_worker_has_one_submitter(self) -> None:
        if hasattr(self, "lender"):
            self.lender.grants.check_invariants()

    @invariant()
    def a_want_that_fits_is_granted_if_there_is_a_worker(self) -> None:
        """But for CPUs that are kept for a want that has waited, and for launches."""
        if not hasattr(self, "lender") or self.lender.launching:
            return
        ledger, now = self.lender.grants._ledger, self.lender.now
        missing = [want for want in ledger.wants.values() if want.missing_count > 0]
        room = ledger.room()
        if any(pool.failures for pool in ledger.pools.all()):
            return
        if any(room.lacking(want.amounts) and now >= want.since + RECALL_AFTER_S for want in missing):
            return
        for want in missing:
            pool = ledger.pools.find(want.pool)
            if pool is not None and (pool.free or (pool.shared is not None and want.need.is_light)):
                assert room.lacking(want.amounts_beside), f"{want.need} fits and is not granted"

    def end_ending(self) -> None:
        for worker in sorted(self.lender.ending):
            if worker in self.lender.launching:
                self.lender.launching.remove(worker)
            self.lender.end_worker(worker)

    def teardown(self) -> None:
        """Check that each want is served in the end, and that nothing is left when nothing is wanted."""
        if not hasattr(self, "lender"):
            return
        lender = self.lender
        lender.actor_cpus = 0.0
        lender.do(lender.grants.reserved({}, lender.now))
        for worker in self.running(is_blocked=True):
            lender.in_hand[worker] = (lender.in_hand[worker][0], False)
            lender.block(worker, is_blocked=False)
        wanted = {
            (want.holder.submitter, want.holder.task_class)
            for want in lender.grants._ledger.wants.values()
            if want.count
        }
        lender.granted_to -= wanted
        for _ in range(20):
            lender.wait(0.5)
            lender.start_workers()
            self.end_ending()
            for submitter in SUBMITTERS:
                for lease in list(lender.held.get(submitter, {})):
                    lender.give_back(submitter, lease)
        lender.start_workers()
        assert wanted <= lender.granted_to, "a want was never served"
        self._check_that_nothing_is_left()

    def _check_that_nothing_is_left(self) -> None:
        lender = self.lender
        for submitter in SUBMITTERS:
            lender.end_submitter(submitter)
        lender.start_workers()
        lender.wait(2 * IDLE_S)
        self.end_ending()
        assert not lender.grants.leased()
        assert not lender.grants._ledger.wants
        assert len(lender.ready) <= len({*JOBS.values()}), "more than one worker for each job is kept"
        for job in {*JOBS.values()}:
            lender.do(lender.grants.job_ended(job, (), lender.now))
        self.end_ending()
        assert not lender.ready
        assert not lender.grants._ledger.pools.workers


def test_leases_under_every_order_of_events() -> None:
    run_machine(Leases, settings=settings(max_examples=200, stateful_step_count=40, deadline=None))
