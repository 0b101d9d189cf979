"""The tasks of one endpoint: its submitter, and its worker if it is lent to submitters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from actorrt import errors
from actorrt.ids import ObjectId, PeerId
from actorrt.protocol.envelopes import FAILURE, FORGET, FUNCTION, GIVE_BACK, REMAKE, RESULT, SKIPPED, TASK, WITHDRAW
from actorrt.reasons import ExitReason
from actorrt.tasks.submitting.submitter import Submitter
from actorrt.tasks.working.cycles import TaskCycles
from actorrt.tasks.working.worker import TaskWorker

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint


class EndpointTasks:
    """The `TaskPart` of an endpoint.

    Args:
        endpoint: the endpoint.

    Attributes:
        submitter: submits the tasks of this process.
        worker: runs tasks; None in a process that is no worker of tasks.
    """

    def __init__(self, endpoint: ActorEndpoint) -> None:
        self._endpoint = endpoint
        self.submitter = Submitter(endpoint)
        self._cycles = self.submitter.cycles = TaskCycles(endpoint, self.submitter)
        self.worker: TaskWorker | None = None

    def serve(self, work_came: Callable[[], None], hand_over: Callable[[Callable[[], Any]], Any]) -> TaskWorker:
        """Begin to run tasks; see `TaskWorker`."""
        self.worker = self._cycles.worker = TaskWorker(self._endpoint, work_came, hand_over, self._cycles.suspect)
        return self.worker

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Any]) -> None:
        """Called when an envelope of a task has arrived."""
        kind, worker = envelope[0], self.worker
        if kind == RESULT:
            _, lease, sequence, body, duration_s = envelope
            self.submitter.succeeded(lease, sequence, body, duration_s, buffers)
        elif kind == FAILURE:
            self.submitter.failed(*envelope[1:])
        elif kind == SKIPPED:
            self.submitter.skipped(*envelope[1:])
        elif worker is None:
            raise errors.RuntimeStateError("a task came to a process that is no worker of tasks")
        elif kind == TASK:
            worker.came(peer, envelope, buffers)
        elif kind == FUNCTION:
            _, key, name, body, max_calls = envelope
            worker.functions.came(peer, key, name, body, buffers, max_calls)
        elif kind == FORGET:
            worker.functions.forget(peer, envelope[1])
        elif kind == WITHDRAW:
            _, _, sequence, is_late = envelope
            worker.withdrawn(peer, sequence, is_late=is_late)
        elif kind == REMAKE:
            _, _, sequence, object_id = envelope
            worker.remakes(peer, sequence, ObjectId(object_id))
        elif kind == GIVE_BACK:
            _, _, sequence = envelope
            worker.gives_back(peer, sequence)

    def endpoint_gone(self, peer: PeerId, reason: ExitReason, in_hand: Collection[int]) -> None:
        """Called when a process has ended; `in_hand` has the number of the newest attempt that it had begun."""
        self.submitter.worker_gone(peer, reason, max(in_hand, default=0))
        if self.worker is not None:
            self.worker.peer_gone(peer)

    def close(self, error: errors.ActorRtError) -> None:
        """End every task that was submitted here with `error`."""
        self.submitter.close(error)

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if the tasks contradict each other."""
        self.submitter.check_invariants()
        self._cycles.check_invariants()
        if self.worker is not None:
            self.worker.check_invariants()


def tasks_of(endpoint: ActorEndpoint) -> EndpointTasks:
    """Return the tasks of an endpoint, which begin with the first call of this."""
    if endpoint.tasks is None:
        endpoint.tasks = EndpointTasks(endpoint)
    assert isinstance(endpoint.tasks, EndpointTasks)
    return endpoint.tasks
