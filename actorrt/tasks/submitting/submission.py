"""One task of a submitter: its state, its arguments as they travel, and the ref to its result.

Arguments are fixed when a task is submitted, and sent with each of its attempts. A top-level argument that is a ref
arrives as its value. A result of this submitter's own tasks travels as it came; any other object is read from the store
by the worker.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from actorrt.ids import ObjectId
from actorrt.protocol.envelopes import Body
from actorrt.store.client.ref import ObjectRef
from actorrt.tasks.policy.task import Task, TaskKind
from actorrt.tasks.submitting.task_ref import TaskRef

if TYPE_CHECKING:
    from actorrt.actors.wire.payload import Payloads
    from actorrt.actors.wire.transits import Transit
    from actorrt.store.client.client import StoreClient
    from actorrt.tasks.policy.options import TaskOptions
    from actorrt.tasks.submitting.functions import PickledFunction
    from actorrt.tasks.submitting.submitter import Submitter

PLAIN_BYTES: Final = 100
"""About how much memory arguments take that are plain values."""

PLAIN_BODIES: Final = frozenset({list, tuple})
"""The types of the bodies of plain values."""

Input = tuple["int | str", ObjectRef[Any]]
"""The place or the name of an argument that is a ref, and the ref."""


class SubmissionKind(TaskKind):
    """What the tasks of one function with the same options have in common, at one submitter.

    Args:
        submitter: the submitter.
        function: the function as it travels.
        options: the options.
    """

    __slots__ = ("__weakref__", "function", "options", "submitter")

    def __init__(self, submitter: Submitter, function: PickledFunction, options: TaskOptions) -> None:
        super().__init__(function.cost, options.retries)
        self.submitter = submitter
        self.function = function
        self.options = options


class Submission(Task):
    """One task that has not ended.

    Args:
        number: the submitter's number of the task.
        kind: its function and its options.
        ref: the ref to its result.
        depth: how many tasks it lies below.
        deadline: when it must have ended; None: without limit.
        args: the arguments; `capture` takes those that are not plain values.

    Attributes:
        body, buffers: the arguments that are no refs, with None in the places of refs.
        inputs: the arguments that are refs.
        size_bytes: about how much memory the arguments take here.
        timer: of its deadline.
        withdraw_here: withdraws the attempt that runs in this process; True: its deadline has passed.
        object_id: the object that the result is put as, if the task runs again because it was lost.
        failures_count: how many of its attempts raised an exception that is retried.
    """

    __slots__ = (
        "_kept",
        "_tokens",
        "_transit",
        "body",
        "buffers",
        "deadline",
        "failures_count",
        "inputs",
        "object_id",
        "ref",
        "size_bytes",
        "timer",
        "withdraw_here",
    )

    kind: SubmissionKind

    def __init__(
        self,
        number: int,
        kind: SubmissionKind,
        ref: TaskRef[Any],
        depth: int,
        deadline: float | None,
        args: tuple[Any, ...],
    ) -> None:
        super().__init__(number, kind, depth)
        self.ref = ref
        self.deadline = deadline
        self.body: Body = args
        self.buffers: Sequence[bytes] = ()
        self.inputs: Sequence[Input] = ()
        self.size_bytes = PLAIN_BYTES
        self.timer: asyncio.TimerHandle | None = None
        self.withdraw_here: Callable[[bool], None] | None = None
        self.object_id: ObjectId | None = None
        self.failures_count = 0
        self._kept: Any = None
        self._transit: Transit | None = None
        self._tokens: Sequence[bytes] = ()

    def capture(self, payloads: Payloads, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Fix arguments that are not plain values.

        Raises:
            SerializationError: an argument can't be sent; the message names its path.
            ObjectStoreFullError: the arguments are large and there is no room for them.
        """
        inputs: list[Input] = [(at, value) for at, value in enumerate(args) if isinstance(value, ObjectRef)]
        inputs += [(name, value) for name, value in kwargs.items() if isinstance(value, ObjectRef)]
        if inputs:
            self.inputs = inputs
            args = tuple([None if isinstance(value, ObjectRef) else value for value in args])
            kwargs = {name: value for name, value in kwargs.items() if not isinstance(value, ObjectRef)}
        self.body, self.buffers, self._transit = payloads.capture_call(args, kwargs)
        if self._transit is not None:
            self._kept = args, kwargs  # refs inside them, which a second attempt needs
        self.size_bytes += (len(self.body) if isinstance(self.body, bytes) else 0) + sum(map(len, self.buffers))

    def sent(self, store: StoreClient | None) -> tuple[Body, list[list[Any]], Sequence[Any]]:
        """Return body and inputs for one attempt, and all buffers of its envelope. Every input is there.

        A plain value beside plain arguments takes its place among them, and is no input then.
        """
        if not self.inputs:
            return self.body, [], self.buffers
        buffers: list[Any] = list(self.buffers)
        inputs: list[list[Any]] = []
        plain = list(self.body) if type(self.body) is tuple else None
        for at, ref in self.inputs:
            travelled = ref.travelled if isinstance(ref, TaskRef) else None
            if travelled is not None:
                body, beside = travelled
                if plain is not None and isinstance(at, int) and type(body) in PLAIN_BODIES:
                    plain[at] = body[0]  # type: ignore[index]
                    continue
                inputs.append([at, body, len(beside)])
                buffers += beside
                continue
            assert store is not None, "a ref has a store"
            stored, token = ref.result_in_store() if isinstance(ref, TaskRef) else ref, store.new_token()
            store.begin_transit(stored, token, 1)
            self._tokens = [*self._tokens, token]
            inputs.append([at, {"object": stored.id, "token": token}, 0])
        return self.body if plain is None else plain, inputs, buffers

    def why_not_again(self) -> str:
        """Return why the task can't run again when it has ended; empty if it can."""
        task = f"task {self.ref.name}()"
        if not self.is_repeatable:
            return f"{task} has retries=0, so it runs at most once"
        if type(self.body) is dict:
            return (
                f"{self._largest} of {task} was given by value, and large values are not kept: "
                "put it, keep its ref, and give the ref"
            )
        return ""

    @property
    def inner(self) -> Sequence[tuple[ObjectId, bytes]]:
        """The objects whose refs are inside of arguments, with the tokens that travel beside the refs."""
        return () if self._transit is None else [(ref.id, token) for ref, token in self._transit.inner]

    def hold_inner(self, store: StoreClient, inner: Sequence[tuple[ObjectRef[Any], bytes]]) -> None:
        """Hold the objects whose refs are inside of arguments, which are those of a task that has run before."""
        self._kept = [ref for ref, _ in inner]
        self._tokens = [token for _, token in inner]
        store.begin_transits([(ref.id, token, 1) for ref, token in inner])

    def forget_arguments(self, store: StoreClient | None) -> None:
        """Called when the task has ended: release what the store keeps for it."""
        if self._transit is not None:
            self._transit.call_ended()
        if self._tokens and store is not None:
            store.settle(self._tokens)
        self._transit = self._kept = None
        self.body, self.buffers, self.inputs, self._tokens = (), (), (), ()

    @property
    def _largest(self) -> str:
        """The largest argument that was given by value, in words; to be asked while the arguments are kept."""
        args, kwargs = self._kept
        named = [(f"argument {at}", value) for at, value in enumerate(args)]
        named += [(f"argument {name!r}", value) for name, value in kwargs.items()]
        return max(named, key=lambda one: _size_bytes(one[1]), default=("an argument", None))[0]


def _size_bytes(value: Any) -> int:
    """Return about how many bytes a value has, by what it says itself."""
    size = getattr(value, "nbytes", None)
    return size if isinstance(size, int) else sys.getsizeof(value)
