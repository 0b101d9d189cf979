"""The ref to the result of a task. A small result stays in this process; a large one lies in the object store.

When such a ref is sent to another process, its object is promised to the store, or put there. From then on it is a ref
like any other: another process sees no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from actorrt.actors.refs.operation import Operation
from actorrt.actors.wire.by_reference import StoredValue
from actorrt.completion import OPEN, Completion
from actorrt.ids import ObjectId
from actorrt.protocol.envelopes import Body
from actorrt.store.client.ref import ObjectRef
from actorrt.store.connection.connection import NotReadyError

if TYPE_CHECKING:
    from actorrt.tasks.submitting.submission import Submission
    from actorrt.tasks.submitting.submitter import Submitter

T = TypeVar("T")


class TaskRef(ObjectRef[T]):
    """The result of a task, to come: an `ObjectRef` in every way, and `cancel` withdraws the task.

    Args:
        submitter: has the task until it ends.
        name: the name of its function.

    Attributes:
        task: its state at the submitter, until it has ended.
        dependants: the tasks of the same submitter that wait for it; None: there are none.
        kept: keeps how the result was made, as long as this ref lives.
    """

    __slots__ = ("_body", "_buffers", "_escaped", "_stored", "dependants", "kept", "name", "submitter", "task")

    def __init__(self, submitter: Submitter, name: str) -> None:
        # The fields of ObjectRef's own store are not set: the object may never be in a store.
        self._is_done = False
        self._value = None
        self._error = None
        self._callbacks = [OPEN]
        self.submitter = submitter
        self.name = name
        self.task: Submission | None = None  # while it has not ended
        self.dependants: list[Submission] | None = None
        self.kept: object = None
        self._body: Body | None = None
        self._buffers: Sequence[Any] = ()
        self._stored: ObjectRef[Any] | StoredValue | None = None
        self._escaped: ObjectRef[Any] | None = None

    @property
    def id(self) -> Any:  # type: ignore[override]
        """The id of the object in the store, which is put there if it is not there yet."""
        return self.in_store().id

    @property
    def _subject(self) -> str:  # type: ignore[override]
        return f"task {self.name}()"

    # How the task ends

    def set_result(self, body: Body, buffers: Sequence[Any]) -> None:
        """Complete with a result that travelled in a message, without refs inside."""
        self._body, self._buffers = body, buffers
        self.set_value(None)  # type: ignore[arg-type]
        if self._escaped is not None:
            self._settle()

    def set_stored(self, stored: ObjectRef[Any] | StoredValue) -> None:
        """Complete with a result that lies in the store, and has arrived there."""
        self._stored = stored
        self.set_value(None)  # type: ignore[arg-type]
        self._settle()

    def set_error(self, error: BaseException) -> None:
        super().set_error(error)
        self._settle()

    @property
    def travelled(self) -> tuple[Body, Sequence[Any]] | None:
        """The result as it came in a message; None if it lies in the store."""
        return None if self._body is None else (self._body, self._buffers)

    @property
    def stored_id(self) -> ObjectId | None:
        """The object that the task has made; None if its result is in no store, or shares others' objects there."""
        return self._stored.id if isinstance(self._stored, ObjectRef) else None

    def result_in_store(self) -> ObjectRef[T]:
        """Return a ref to the object that the task has made, or to a copy of its result."""
        return self._stored if isinstance(self._stored, ObjectRef) else self.in_store()

    def once_more(self) -> ObjectRef[T]:
        assert self._stored is not None, "only an object of the store can be lost"
        return self._stored.once_more()

    def value(self) -> T:
        """Return the value or raise the error of a ref that is done. Each call rebuilds the value."""
        body = self._body
        if body is not None:
            value: T = self.submitter.payloads.open_value(body, self._buffers)
            return value
        if self._error is not None:
            return Completion.value(self)
        assert self._stored is not None, "it is done"
        stored: T = self._stored.value()
        return stored

    # As a ref to an object of the store

    def in_store(self) -> ObjectRef[T]:
        """Return a ref to the same value as an object of the store, which is promised until the task has ended."""
        stored = self._stored
        if isinstance(stored, ObjectRef) and self._escaped is None:
            stored.maker = stored.maker or self.submitter.promises.address
            return stored
        with _escaping:
            escaped = self._escaped
            if escaped is None:
                escaped = self._escaped = self.submitter.promises.make(self)
        self._settle()
        return escaped

    def _settle(self) -> None:
        """Keep the promise of an object, if it was made and the task has ended."""
        escaped = self._escaped
        if escaped is None or not self._is_done or escaped.is_complete:
            return
        store = self.submitter.store()
        try:
            if self._error is not None:
                store.fail(escaped.id, self._error)
            else:
                store.put(self.value(), object_id=escaped.id)
                self.submitter.lineage.copied(self, escaped.id)
        except NotReadyError:  # it was lost meanwhile, and is made again
            self.once_more().add_callback(lambda _: self._settle())
        except Exception as error:  # of the value's own code, or of a store without room: whoever waits is told
            store.fail(escaped.id, error)

    def get(self, timeout_s: float | None = None) -> T:
        return self.result(timeout_s)

    def result(self, timeout_s: float | None = None) -> T:
        if not self._is_done:
            self.submitter.is_waited_for(self)
        try:
            return Completion.result(self, timeout_s)
        except NotReadyError:  # it has been lost since, and is made again
            self.once_more().result(timeout_s)
            return self.result(timeout_s)

    def done(self) -> bool:
        return self._is_done

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        Completion.add_callback(self, callback)

    def arrive(self) -> Generator[Any, None, None]:
        if not self._is_done:
            self.submitter.is_awaited(iter((self,)))
            yield from Completion.__await__(self)

    def _is_awaited_among(self, completions: Iterable[Any]) -> bool:
        self.submitter.is_awaited(ref for ref in completions if isinstance(ref, TaskRef))
        return True

    def block(self, timeout_s: float | None) -> None:
        Completion.block(self, timeout_s)

    def is_there(self) -> bool:
        return self._is_done

    def view(self) -> memoryview:
        return self.in_store().view()

    def mapped(self) -> memoryview | bytes | None:
        return self.in_store().mapped()

    def keep(self, memory: memoryview | None) -> None:
        self.in_store().keep(memory)

    def __reduce__(self) -> Any:
        return self.in_store().__reduce__()

    def cancel(self, force: bool = False) -> Operation[bool]:
        """Withdraw the task. Those who wait for it get `CallCancelledError`, and so do the tasks that need it.

        A task that has not begun never runs. A coroutine is cancelled. Plain code runs on, and its result is dropped.

        Args:
            force: also end code that runs on for half a second, with the process that it runs in. The other tasks that
                were there run again elsewhere, as after a crash, and have lost none of their `retries`. It may follow
                a cancel without `force`. Code that runs in the process of the submitter itself goes on: in local mode,
                and where a task runs in the place of a wait for it.

        Returns:
            An operation that ends with True if this made a difference, and with False if the task had ended.
        """
        return self.submitter.cancel(self, force=force)

    def __repr__(self) -> str:
        state = "pending" if not self._is_done else "failed" if self._error is not None else "ready"
        return f"<ObjectRef of task {self.name}() {state}>"


_escaping = Lock()
"""Held for a moment when the object of a task is promised to a store: by one thread, once."""
