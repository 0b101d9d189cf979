"""The one hierarchy of errors, all under `ActorRtError`.

Every error survives the wire: it pickles with its attributes, and those that the node daemon raises (which
never pickles) also travel as data, through `to_data` and `from_data`.

A caller's mistake is a plain `TypeError` or `ValueError`, raised before anything changes; it has no class here.
"""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

from actorrt.interrupts import let_through
from actorrt.reasons import ExitReason
from actorrt.texts import name_of, text_of

Executed = Literal["no", "yes", "maybe"]
"""Whether the method of a failed call ran: it did not, it did, or nobody can know."""

MAX_NOTES_COUNT: Final = 100


class ActorRtError(Exception):
    """Root of every error that actorrt raises on purpose."""


class CallError(ActorRtError):
    """A call ended without a value.

    Attributes:
        executed: whether the method ran (`"no"`, `"yes"`) or may have (`"maybe"`).
    """

    def __init__(self, message: str, *, executed: Executed = "maybe") -> None:
        super().__init__(message)
        self.executed: Executed = executed


class RemoteActorError(CallError):
    """The method ended by an exception that can't be raised here; the message holds its type and text.

    Its type can't be rebuilt, or it can't be shown, or it is too large; or it is one that means something else here:
    a `CancelledError` that the method let through of its own, `KeyboardInterrupt`, `GeneratorExit`, `StopIteration`.
    """

    def __init__(self, message: str, *, executed: Executed = "yes") -> None:
        super().__init__(message, executed=executed)


class ActorDiedError(CallError):
    """The actor is gone for good.

    Attributes:
        reason: why it ended, or None where that is not known.
    """

    def __init__(self, message: str, *, reason: ExitReason | None = None, executed: Executed = "maybe") -> None:
        super().__init__(message, executed=executed)
        self.reason = reason


class ActorUnavailableError(CallError):
    """The actor died during the call and is being restarted, or is out of reach now; its ref stays valid."""


class CallTimeoutError(CallError, TimeoutError):
    """The deadline of the call passed."""


class CallCancelledError(CallError):
    """The call was withdrawn by its caller."""


class MailboxFullError(CallError):
    """The receiver's mailbox, or the queue towards it, is at its bound."""

    def __init__(self, message: str, *, executed: Executed = "no") -> None:
        super().__init__(message, executed=executed)


class DeadlockError(CallError):
    """The call would wait for itself; the message gives the cycle's path."""

    def __init__(self, message: str, *, executed: Executed = "no") -> None:
        super().__init__(message, executed=executed)


class SerializationError(CallError):
    """A value can't be sent; the message names its path, such as `args[0].env._lock`."""

    def __init__(self, message: str, *, executed: Executed = "no") -> None:
        super().__init__(message, executed=executed)


class ActorStartError(ActorRtError):
    """The actor could not be started: its class, its constructor or its `on_start` failed, or its process died.

    Attributes:
        reason: how its process ended, if it did.
    """

    def __init__(self, message: str, *, reason: ExitReason | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class PlacementError(ActorStartError):
    """The actor can never be placed: it needs what no node has."""


class NameTakenError(ActorRtError):
    """Another live actor has the name."""


class NameNotFoundError(ActorRtError):
    """No live actor has the name."""


class RuntimeStateError(ActorRtError):
    """The runtime is not in the state the call needs: not started, started otherwise, shut down, or lost its node.

    Attributes:
        executed: always `"no"`: it is raised before anything is sent.
    """

    executed: Executed = "no"


class ObjectLostError(ActorRtError):
    """The bytes of the object are gone: its node died, or whoever was to make it did."""


class ObjectStoreFullError(ActorRtError):
    """There is no room for the object; the message names the largest holders."""


class ObjectNotFoundError(ActorRtError):
    """The store knows no object of that id: it was freed."""


class PeerUnreachableError(CallError):
    """Nobody answers at the address."""

    def __init__(self, message: str, *, executed: Executed = "no") -> None:
        super().__init__(message, executed=executed)


class AuthenticationError(ActorRtError):
    """The peer's key is not one that this node accepts, or ours is not one that it does."""


class WireVersionError(ActorRtError):
    """The peer speaks no version of the protocol that we speak."""


_BY_NAME: Final[dict[str, type[Exception]]] = {
    cls.__name__: cls for cls in list(globals().values()) if isinstance(cls, type) and issubclass(cls, ActorRtError)
} | {"TypeError": TypeError, "ValueError": ValueError}


def to_data(error: BaseException) -> dict[str, Any]:
    """Return the error as plain data for the wire: type name, message, notes, and what the type adds.

    It is total: whatever the error of a user's class says of itself, there is data, and a bounded amount of it.
    """
    notes, executed, reason = (_attribute(error, name) for name in ("__notes__", "executed", "reason"))
    return {
        "type": name_of(type(error)),
        "message": text_of(error),
        "notes": [text_of(note) for note in notes[:MAX_NOTES_COUNT]] if type(notes) is list else [],
        "executed": executed if type(executed) is str and executed in get_args(Executed) else None,
        "reason": reason.to_data() if type(reason) is ExitReason else None,
    }


def _attribute(error: BaseException, name: str) -> Any:
    try:
        return object.__getattribute__(error, name)
    except BaseException as problem:  # a property of a user's class may raise anything
        let_through(problem)
        return None


def is_kind(error: BaseException, *classes: type) -> bool:
    """Whether `except classes` would catch the error; unlike `isinstance`, it runs no code of the user's classes."""
    return any([type.__subclasscheck__(cls, type(error)) for cls in classes])


def from_data(data: dict[str, Any]) -> Exception:
    """Rebuild what `to_data` made; an error of a type unknown here becomes a `RemoteActorError`."""
    cls = _BY_NAME.get(data["type"])
    error = cls(data["message"]) if cls else RemoteActorError(f"{data['type']}: {data['message']}")
    if isinstance(error, CallError) and data["executed"] is not None:
        error.executed = data["executed"]
    if isinstance(error, ActorDiedError | ActorStartError) and data["reason"] is not None:
        error.reason = ExitReason.from_data(data["reason"])
    for note in data["notes"]:
        error.add_note(note)
    return error
