"""The objects that a submitter has promised for results of tasks, because refs to these have left its process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from actorrt.ids import ObjectId, PeerId
from actorrt.protocol.leases import CancelTask
from actorrt.store.client.ref import ObjectRef

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint
    from actorrt.tasks.submitting.submitter import Submitter
    from actorrt.tasks.submitting.task_ref import TaskRef


class Promises:
    """The promises of one submitter. Other holders of a ref may cancel its task.

    Args:
        submitter, endpoint: the submitter, and its endpoint.

    Attributes:
        address: the packed address where they ask for that.
    """

    def __init__(self, submitter: Submitter, endpoint: ActorEndpoint) -> None:
        self._submitter = submitter
        self.address = endpoint.peers.own.packed()
        self._refs: WeakValueDictionary[ObjectId, TaskRef[Any]] = WeakValueDictionary()
        endpoint.control.handle(CancelTask.by(self._cancel))

    def make(self, ref: TaskRef[Any]) -> ObjectRef[Any]:
        """Return a ref to an object that is promised for the result of a task."""
        promised = self._submitter.store().declare()
        promised.maker = self.address
        self._refs[promised.id] = ref
        return promised

    def ref(self, object_id: ObjectId) -> TaskRef[Any] | None:
        """Return the ref of the task that makes a promised object; None if nobody has it any more."""
        return self._refs.get(object_id)

    async def _cancel(self, _: PeerId, asked: CancelTask) -> bool:
        """Called when another holder cancels a task. One that has ended, and whose ref is gone, is not known."""
        ref = self._refs.get(asked.object)
        return False if ref is None else await ref.cancel(asked.force)
