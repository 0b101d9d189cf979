"""The functions whose tasks an endpoint submits, pickled once."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakKeyDictionary, ref

from actorrt.protocol.envelopes import FUNCTION, FunctionEnvelope
from actorrt.store.values import pickling
from actorrt.store.values.carrier import Carrier
from actorrt.tasks.policy.task import FunctionCost
from actorrt.tasks.submitting.submission import SubmissionKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorrt.store.client.client import StoreClient
    from actorrt.tasks.policy.options import TaskOptions
    from actorrt.tasks.submitting.submitter import Submitter

HASH_BYTES = 16
COPIES_COUNT: Final = 1 << 40
"""More copies than workers can ever load: what a function refers to is kept for them until nobody submits it."""


class TaskFunction(Protocol):
    """A function that can be submitted, with its options.

    Attributes:
        function: the function itself.
        name: for people.
        task_options: the options.
        origin: what is pickled: one for a function, whatever the options of its tasks.
        kind: returns the kind of its newest task; None if there is none any more.
    """

    function: Callable[..., Any]
    name: str
    task_options: TaskOptions
    kind: Callable[[], SubmissionKind | None]

    @property
    def origin(self) -> TaskFunction: ...


class PickledFunction:
    """One function, as it travels.

    Attributes:
        key: the hash of the pickle, and of `max_calls`.
        name: for people.
        data, buffers: the pickle.
        max_calls: how many tasks of it a process runs before it is replaced; None: any number.
        cost: how long its tasks take.
        refs: what it refers to in the store; kept as long as the function.
        loaded: the function as a worker in this process runs it, opaque here; None until it does.
    """

    __slots__ = (
        "_on_end",
        "_store",
        "_tokens",
        "buffers",
        "cost",
        "data",
        "key",
        "loaded",
        "max_calls",
        "name",
        "refs",
    )

    def __init__(
        self,
        function: TaskFunction,
        store: StoreClient | None,
        owner: object,
        max_calls: int | None,
        on_end: Callable[[bytes], None],
    ) -> None:
        carrier = Carrier(store, copies_count=COPIES_COUNT, owner=owner)
        self.data, buffers = pickling.dumps(function, carrier, root=f"task {function.name}")
        self.buffers = [bytes(buffer) for buffer in buffers]
        digest = blake2b(self.data, digest_size=HASH_BYTES)
        for buffer in self.buffers:
            digest.update(buffer)
        if max_calls is not None:
            digest.update(b"%d" % max_calls)
        self.key = digest.digest()
        self.max_calls = max_calls
        self.name = function.name
        self.cost = FunctionCost()
        self.refs = carrier.refs
        self._store = store
        self._tokens = carrier.tokens
        self.loaded: Any = None
        self._on_end = on_end

    def __del__(self) -> None:
        if not hasattr(self, "_on_end"):
            return  # it could not be pickled
        if self._tokens and self._store is not None:
            self._store.settle(self._tokens)
        self._on_end(self.key)

    def envelope(self) -> FunctionEnvelope:
        """Return the envelope that takes the function to a worker; `buffers` travel beside it."""
        return FunctionEnvelope(FUNCTION, self.key, self.name, self.data, self.max_calls)


class Functions:
    """The functions of one submitter.

    Args:
        submitter: the submitter.
        store, owner: what refs inside functions are bound to.
        on_end: called with the key of a function of which no task can be sent any more, at any moment in any thread.
    """

    def __init__(
        self, submitter: Submitter, store: StoreClient | None, owner: object, on_end: Callable[[bytes], None]
    ) -> None:
        self._on_end = on_end
        self._submitter = submitter
        self._store = store
        self._owner = owner
        self._pickled: WeakKeyDictionary[Any, dict[int | None, PickledFunction]] = WeakKeyDictionary()
        self._kinds: WeakKeyDictionary[Any, SubmissionKind] = WeakKeyDictionary()

    def kind(self, function: TaskFunction) -> SubmissionKind:
        """Return the kind of a function's tasks. The function is fixed when its first task is submitted.

        Raises:
            SerializationError: it can't be sent; the message names the path of the part that can't.
        """
        kind = self._kinds.get(function)
        if kind is None:
            options = function.task_options
            kind = SubmissionKind(self._submitter, self._as_pickled(function.origin, options.max_calls), options)
            self._kinds[function] = kind
        function.kind = ref(kind)
        return kind

    def _as_pickled(self, function: TaskFunction, max_calls: int | None) -> PickledFunction:
        by_calls = self._pickled.setdefault(function, {})
        pickled = by_calls.get(max_calls)
        if pickled is None:
            pickled = by_calls[max_calls] = PickledFunction(function, self._store, self._owner, max_calls, self._on_end)
        return pickled
