"""The hierarchy of errors, all under `ActorRtError`.

Every error survives the wire: it pickles with its attributes, and it can travel as data (`to_data`, `from_data`), since
the node daemon never pickles.

A caller's mistake is a plain `TypeError` or `ValueError`, raised before anything changes; it has no class here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, Self, get_args

from actorrt.interrupts import let_through
from actorrt.reasons import ExitReason
from actorrt.texts import name_of, text_of

Executed = Literal["no", "yes", "maybe"]
"""Whether the method of a failed call ran; `"maybe"` if the runtime can't know."""

MAX_NOTES_COUNT: Final = 100


class ActorRtError(Exception):
    """Root of every error that actorrt raises on purpose."""


class AttemptEnd(NamedTuple):
    """How an attempt of a task ended with its worker.

    Attributes:
        node: the address of the node.
        pid: the number of the worker's process; None if it is not known.
        reason: how the process ended; its `signal`, and its last lines in `traceback`.
        has_begun: whether the attempt had begun.
    """

    node: str
    pid: int | None
    reason: ExitReason
    has_begun: bool

    def to_data(self) -> list[Any]:
        """Return the end as plain data for the wire."""
        return [self.node, self.pid, self.reason.to_data(), self.has_begun]

    @classmethod
    def from_data(cls, data: Sequence[Any]) -> Self:
        """Rebuild the end from the result of `to_data`."""
        node, pid, reason, has_begun = data
        return cls(node, pid, ExitReason.from_data(reason), has_begun)


class CallError(ActorRtError):
    """A call ended without a value.

    Attributes:
        executed: whether the method ran: `"no"`, `"yes"`, or `"maybe"`.
    """

    def __init__(self, message: str, *, executed: Executed = "maybe") -> None:
        super().__init__(message)
        self.executed: Executed = executed


class RemoteActorError(CallError):
    """The method raised an exception that can't be raised here; the message holds its type and text.

    Reasons: the exception can't be unpickled, can't be shown or is too large; or raising it would do something else in
    the caller: a `CancelledError` that the method itself raised, `KeyboardInterrupt`, `GeneratorExit`, `StopIteration`.
    """

    def __init__(self, message: str, *, executed: Executed = "yes") -> None:
        super().__init__(message, executed=executed)


class ActorDiedError(CallError):
    """The actor is gone for good.

    Attributes:
        reason: why it ended, or None if that is not known.
    """

    def __init__(self, message: str, *, reason: ExitReason | None = None, executed: Executed = "maybe") -> None:
        super().__init__(message, executed=executed)
        self.reason = reason


class ActorUnavailableError(CallError):
    """The actor died during the call and is being restarted, or can't be reached now; its ref stays valid."""


class CallTimeoutError(CallError, TimeoutError):
    """The deadline of the call passed."""


class CallCancelledError(CallError):
    """The call was withdrawn by its caller."""


class MailboxFullError(CallError):
    """The receiver's mailbox, or the queue of the link to it, is full."""

    def __init__(self, message: str, *, executed: Executed = "no") -> None:
        super().__init__(message, executed=executed)


class DeadlockError(CallError):
    """The call would wait for itself; the message gives the path of the cycle."""

    def __init__(self, message: str, *, executed: Executed = "no") -> None:
        super().__init__(message, executed=executed)


class SerializationError(CallError):
    """A value can't be sent; the message names its path, such as `args[0].env._lock`."""

    def __init__(self, message: str, *, executed: Executed = "no") -> None:
        super().__init__(message, executed=executed)


class ActorStartError(ActorRtError):
    """The actor could not be started: its class, its constructor or its `on_start` failed, or its process died.

    Attributes:
        reason: why the actor's process ended or could not be made, or for a supervisor that of the child that did not
            start; None if the process lives.
    """

    def __init__(self, message: str, *, reason: ExitReason | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class PlacementError(ActorStartError):
    """The actor can never be placed: it needs resources that no node has."""


class TaskDiedError(CallError):
    """The workers or nodes that ran a task ended, and the task may not be tried again.

    Attributes:
        attempts: the attempts that had begun, oldest first.
    """

    def __init__(self, message: str, *, attempts: Sequence[AttemptEnd] = (), executed: Executed = "maybe") -> None:
        super().__init__(message, executed=executed)
        self.attempts = tuple(attempts)


class NameTakenError(ActorRtError):
    """Another live actor has the name."""


class NameNotFoundError(ActorRtError):
    """No live actor has the name."""


class RuntimeStateError(ActorRtError):
    """The runtime is not in the state that the call needs.

    It is not started, was started with other options, is shut down, or has lost its node.

    Attributes:
        executed: always `"no"`, since this is raised before anything is sent.
    """

    executed: Executed = "no"


class ObjectLostError(ActorRtError):
    """The object can't be read any more: its node has died, or the process that should have made it."""


class ObjectStoreFullError(ActorRtError):
    """There is no memory for the object; the message names the processes that hold most."""


class ObjectNotFoundError(ActorRtError):
    """The store has no object with this id: it was freed."""


class PeerUnreachableError(CallError):
    """No process answers at the address."""

    def __init__(self, message: str, *, executed: Executed = "no") -> None:
        super().__init__(message, executed=executed)


class ControlUnavailableError(ActorRtError):
    """The control store of the cluster does not answer, or could not save what was asked for."""


class AuthenticationError(ActorRtError):
    """This node does not accept the peer's key, or the peer does not accept this node's key."""


class WireVersionError(ActorRtError):
    """This process and the peer have no protocol version in common."""


_BY_NAME: Final[dict[str, type[Exception]]] = {
    cls.__name__: cls for cls in list(globals().values()) if isinstance(cls, type) and issubclass(cls, ActorRtError)
} | {"TypeError": TypeError, "ValueError": ValueError}


def to_data(error: BaseException) -> dict[str, Any]:
    """Return the error as plain data for the wire: type name, message, notes, and the attributes of its type.

    It is total: code of a user's class may raise anything, and the result is still data of a bounded size.
    """
    notes, executed, reason = (_attribute(error, name) for name in ("__notes__", "executed", "reason"))
    data: dict[str, Any] = {
        "type": name_of(type(error)),
        "message": text_of(error),
        "notes": [text_of(note) for note in notes[:MAX_NOTES_COUNT]] if type(notes) is list else [],
        "executed": executed if type(executed) is str and executed in get_args(Executed) else None,
        "reason": reason.to_data() if type(reason) is ExitReason else None,
    }
    if type(error) is TaskDiedError:
        data["attempts"] = [attempt.to_data() for attempt in error.attempts]
    return data


def _attribute(error: BaseException, name: str) -> Any:
    try:
        return object.__getattribute__(error, name)
    except BaseException as problem:  # a property of a user's class may raise any exception
        let_through(problem)
        return None


def is_kind(error: BaseException, *classes: type) -> bool:
    """Whether `except classes` would catch the error; unlike `isinstance`, it runs no code of the user's classes."""
    return any([type.__subclasscheck__(cls, type(error)) for cls in classes])


def from_data(data: dict[str, Any]) -> Exception:
    """Rebuild an error from `to_data`; an error of another type becomes a `RemoteActorError`."""
    cls = _BY_NAME.get(data["type"])
    error = cls(data["message"]) if cls else RemoteActorError(f"{data['type']}: {data['message']}")
    if isinstance(error, CallError) and data["executed"] is not None:
        error.executed = data["executed"]
    if isinstance(error, ActorDiedError | ActorStartError) and data["reason"] is not None:
        error.reason = ExitReason.from_data(data["reason"])
    if isinstance(error, TaskDiedError):
        error.attempts = tuple([AttemptEnd.from_data(attempt) for attempt in data.get("attempts", ())])
    for note in data["notes"]:
        error.add_note(note)
    return error
