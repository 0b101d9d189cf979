"""Pure: notices about leases, which are workers that a node lends to submitters of tasks; and requests to submitters.

The node never sees a task. A *class* is what a worker must offer to the tasks of one submitter; the submitter numbers
its classes. A lease is one worker, lent to one submitter for one class. Notices about wants tell levels, not changes:
the number of leases wanted in all, so that a notice that is repeated, or that supersedes another, does no harm. A
lease ends when it is returned, and with the process of its worker or of its submitter, which every process hears by
`EndpointDown`.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeAlias

from actorrt.errors import ActorStartError
from actorrt.ids import ObjectId, PeerAddress, PeerId
from actorrt.protocol.forms import AtLeast, Count
from actorrt.protocol.verb import Record, Request, verb

Amount: TypeAlias = Annotated[float, AtLeast(0)]

# To the node


@verb("want_leases", asked_by="a driver or worker that submits tasks")
class WantLeases(Request[None]):
    """The asker wants `count` leases of its class in all, those that it holds included; 0 withdraws the want.

    A lease that is granted while a smaller want is on its way is returned like any other. A class without any needs,
    `cpus=0` and nothing else, gets one lease of a worker that all submitters of the job share.

    Attributes:
        task_class: the asker's number of the class. The needs of a class never change.
        cpus, gpus, resources, memory_bytes: the amounts that one lease reserves.
        env_vars: environment variables of the worker.
        depth: how deep the deepest task that waits is nested in other tasks. Deeper tasks get leases first.
    """

    task_class: Count
    cpus: Amount
    gpus: Amount
    resources: dict[str, Amount]
    memory_bytes: Count | None
    env_vars: dict[str, str]
    count: Count
    depth: Count


@verb("tasks_pending", asked_by="a driver or worker that submits tasks")
class TasksPending(Request[None]):
    """The asker has tasks that have not ended, though it wants no leases now; or has no tasks any more.

    A worker with such tasks stays. They may wait for arguments, rest before they are tried again, or make a result
    that others wait for.

    Attributes:
        is_so: whether it has such tasks.
    """

    is_so: bool


@verb("return_lease", asked_by="a driver or worker that submits tasks")
class ReturnLease(Request[None]):
    """The asker uses the lease no more: nothing that it sent to the worker is unanswered."""

    lease: Count


@verb("end_worker", asked_by="a driver or worker that submits tasks")
class EndWorker(Request[None]):
    """A task of the lease was cancelled, and its code does not end: kill the worker, if the attempt has begun there.

    Attributes:
        lease: the lease.
        sequence: the asker's number of the attempt.
    """

    lease: Count
    sequence: Count


@verb("task_blocked", asked_by="a worker that runs tasks")
class TaskBlocked(Request[None]):
    """The task of the lease waits. Its CPUs are lent to other tasks; it keeps everything else that it reserves."""

    lease: Count


@verb("task_unblocked", asked_by="a worker that runs tasks")
class TaskUnblocked(Request[None]):
    """The task of the lease goes on. The node grants no CPUs until its reservations fit again."""

    lease: Count


@verb("worn_out", asked_by="a worker that runs tasks")
class WornOut(Request[None]):
    """The worker runs no further tasks, as `max_calls` says. Its leases are recalled, and it ends when it has none."""


# To the process that submits tasks


@verb("lease_granted", asked_by="a node")
class LeaseGranted(Request[None]):
    """The worker is ready, and lent to the receiver for a class."""

    task_class: Count
    lease: Count
    worker: PeerAddress


@verb("leases_refused", asked_by="a node")
class LeasesRefused(Request[None]):
    """The node has forgotten the want of a class: no more leases come for it. Leases that are held stay.

    Attributes:
        error: a `PlacementError` if this node can never grant such a lease, or if too many workers have tasks that
            wait; another `ActorStartError` if workers of the class failed to start, or the job has ended.
    """

    task_class: Count
    error: ActorStartError


@verb("recall_lease", asked_by="a node")
class RecallLease(Request[None]):
    """Assign nothing more to the lease, and return it when all is answered: others wait, or its worker is worn out."""

    lease: Count


# To a process that has submitted tasks


@verb("cancel_task", asked_by="a holder of a ref to the result of a task")
class CancelTask(Request[bool]):
    """Cancel the task that makes an object, which the receiver has submitted. Answer whether that made a difference.

    Attributes:
        object: the object that was promised for the result, when its ref left the receiver.
        force: whether code that does not end by itself is ended with its process.
    """

    object: ObjectId
    force: bool


class TaskClassRow(NamedTuple):
    """The tasks of one class of a submitter that have not ended.

    Attributes:
        task_class: the submitter's number of the class.
        needs: what a worker of the class offers, in words.
        waiting: how many wait for results that they take.
        queued: how many wait for a worker.
        resting: how many rest before another attempt.
        sent: how many were sent to workers, which run them or have them next.
        here: how many run in the submitter's own process, in the place of waits.
        leases: how many workers are lent to the submitter for the class.
        waits_for: what its queued tasks wait for, as the node sees it; an empty text if nothing is known.
    """

    task_class: Count
    needs: str
    waiting: Count
    queued: Count
    resting: Count
    sent: Count
    here: Count
    leases: Count
    waits_for: str


class TaskRow(NamedTuple):
    """A task that has not ended.

    Attributes:
        number: the submitter's number of the task.
        name: of its function.
        state: waiting, queued, resting, sent or here; see `TaskClassRow`.
        attempts: how many attempts were begun or sent.
        waits_for: what it waits for, in words.
        worker: the endpoint that it was sent to.
    """

    number: Count
    name: str
    state: str
    attempts: Count
    waits_for: str
    worker: PeerId | None


class TaskListing(Record):
    """The tasks of a process that have not ended: all by their classes, and the oldest ones."""

    classes: list[TaskClassRow]
    tasks: list[TaskRow]


@verb("list_tasks", asked_by="a node")
class ListTasks(Request[TaskListing]):
    """List the classes of the receiver's tasks, and the `count` oldest tasks."""

    count: Count
