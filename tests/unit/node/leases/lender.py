"""`Grants` with a node around it that carries orders out by the book: workers start when the test says so."""

from __future__ import annotations

from collections.abc import Sequence

from actorrt.errors import ActorStartError
from actorrt.ids import JobId, PeerId
from actorrt.node.leases.grants import Grants
from actorrt.node.leases.needs import Need
from actorrt.node.leases.orders import Dismiss, Grant, GrantOrder, Launch, Recall, Refuse, Warn
from actorrt.node.leases.shares import Holder

JOB, OTHER_JOB = JobId(b"\x01" * 16), JobId(b"\x02" * 16)
ANN, BOB, CAT = (PeerId(bytes([number]) * 16) for number in (10, 11, 12))


def need(env_vars: Sequence[tuple[str, str]] = (), **amounts: float) -> Need:
    return Need(tuple(sorted(amounts.items())), tuple(env_vars))


ONE_CPU = need(cpus=1)


def peer_of(worker: int) -> PeerId:
    """Return the endpoint of a worker."""
    return PeerId(worker.to_bytes(16, "big"))


class Lender:
    """A node and its clock.

    Attributes:
        held: the leases of each submitter, with their workers.
        launching, ready, dismissed: the numbers of workers.
        recalled: the leases that were recalled and not returned.
        refused: the errors, by submitter and class.
        said: the warnings.
    """

    def __init__(self, cpus: float = 2, kept_cpus: float = 1, **amounts: float) -> None:
        self.grants = Grants({"cpus": cpus, "gpus": 0, "memory_bytes": 1000, **amounts}, kept_cpus)
        self.now = 100.0
        self.held: dict[PeerId, dict[int, int]] = {}
        self.classes: dict[int, int] = {}
        self.launching: list[int] = []
        self.launches: dict[int, Launch] = {}
        self.ready: set[int] = set()
        self.dismissed: list[Dismiss] = []
        self.recalled: set[int] = set()
        self.refused: dict[tuple[PeerId, int], ActorStartError] = {}
        self.said: list[str] = []

    def do(self, orders: Sequence[GrantOrder]) -> None:
        for order in orders:
            match order:
                case Launch(worker):
                    self.launching.append(worker)
                    self.launches[worker] = order
                case Dismiss():
                    self.dismissed.append(order)
                case Grant(submitter, task_class, lease, worker):
                    assert worker in self.ready, "a lease is granted for a worker that is not ready"
                    self.held.setdefault(submitter, {})[lease] = worker
                    self.classes[lease] = task_class
                case Recall(_, lease):
                    assert lease not in self.recalled, "a lease is recalled twice"
                    self.recalled.add(lease)
                case Refuse(submitter, task_class, error):
                    self.refused[submitter, task_class] = error
                case Warn(text):
                    self.said.append(text)
        self.grants.check_invariants()

    def want(
        self,
        submitter: PeerId,
        count: int,
        needs: Need = ONE_CPU,
        *,
        job: JobId = JOB,
        task_class: int = 1,
        depth: int = 0,
    ) -> None:
        self.do(self.grants.wanted(Holder(job, submitter, task_class), needs, count, depth, self.now))

    def give_back(self, submitter: PeerId, lease: int | None = None) -> int:
        """Return a lease, the oldest one by default; return its worker."""
        if lease is None:
            lease = next(iter(self.held[submitter]))
        worker = self.held[submitter].pop(lease)
        self.recalled.discard(lease)
        self.do(self.grants.returned(submitter, lease, self.now))
        return worker

    def give_back_recalled(self) -> list[PeerId]:
        """Have all recalled leases returned; return by whom."""
        givers = []
        for submitter, held in list(self.held.items()):
            for lease in [lease for lease in held if lease in self.recalled]:
                self.give_back(submitter, lease)
                givers.append(submitter)
        return givers

    def start_workers(self) -> None:
        """Have workers started until no more are launched."""
        while self.launching:
            worker = self.launching.pop(0)
            self.ready.add(worker)
            self.do(self.grants.worker_ready(worker, peer_of(worker), self.now))

    def fail_launch(self, reason: str = "no process") -> None:
        self.do(self.grants.worker_ended(self.launching.pop(0), reason, self.now))

    def end_worker(self, worker: int, reason: str = "killed") -> None:
        self.ready.discard(worker)
        for held in self.held.values():
            for lease in [lease for lease, lent in held.items() if lent == worker]:
                del held[lease]
        self.do(self.grants.worker_ended(worker, reason, self.now))

    def block(self, worker: int, *, is_blocked: bool = True) -> None:
        lease = next(lease for held in self.held.values() for lease, lent in held.items() if lent == worker)
        self.do(self.grants.blocked(worker, lease, self.now, is_blocked=is_blocked))

    def pend(self, submitter: PeerId, job: JobId = JOB, *, is_so: bool = True) -> None:
        self.do(self.grants.pending(submitter, job, self.now, is_so=is_so))

    def end_submitter(self, submitter: PeerId) -> None:
        self.held.pop(submitter, None)
        self.do(self.grants.submitter_ended(submitter, self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass, with all that is due in it."""
        until = self.now + seconds
        while self.grants.wake_at <= until:
            self.now = max(self.now, self.grants.wake_at)
            self.do(self.grants.decided(self.now))
        self.now = until

    def counts(self, *submitters: PeerId) -> list[int]:
        """Return how many leases submitters hold."""
        return [len(self.held.get(submitter, {})) for submitter in submitters]
