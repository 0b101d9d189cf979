"""Turns exceptions of users' code into plain data, and back into exceptions at the other end.

The conversions are total. Whatever an exception's class does when it is shown, pickled or rebuilt, the data fit into an
envelope, and the result is an exception that can be raised. An exception whose type can't travel becomes a
`RemoteActorError` with its name and text. So does one that would mean something else to its receiver, such as a
method's own CancelledError.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final

from actorrt.config import KIB, MIB
from actorrt.errors import ActorRtError, Executed, RemoteActorError, from_data, is_kind, to_data
from actorrt.interrupts import let_through
from actorrt.protocol.envelopes import RaisedError
from actorrt.reasons import ExitKind, ExitReason
from actorrt.store.values import pickling
from actorrt.store.values.carrier import Carrier
from actorrt.store.values.exceptions import dump_exception
from actorrt.texts import MAX_LINE_CHARACTERS, clipped, in_words, name_of, own_traceback, traceback_of, try_text_of

if TYPE_CHECKING:
    from actorrt.store.client.client import StoreClient

MAX_PICKLED_BYTES: Final = 32 * MIB
"""How large the pickle of an exception may be: with its texts it fits into any frame."""
MAX_PICKLED_REASON_BYTES: Final = 64 * KIB
"""The same if the exception ends its actor: the node keeps the reason, and tells it to all monitors of the actor."""
MAX_NOTES_COUNT: Final = 32
"""How many notes an exception may gather on its way."""
_LEFT_OUT: Final = "(some of the notes are left out here)"
_OF_ITS_OWN: Final = "(raised by the method itself)"
_OWN_FOLDER: Final = os.path.dirname(os.path.dirname(__file__))
_ENDS_ITS_CALL_ONLY: Final = (Exception, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)


def error_to_data(error: BaseException, where: str, most_bytes: int = MAX_PICKLED_BYTES) -> RaisedError:
    """Return a method's exception as data: as text, and pickled if that is possible.

    Args:
        error: the exception.
        where: the method and the actor that raised it, for the note that the caller sees.
        most_bytes: the maximal size of the pickle.
    """
    message, is_shown = try_text_of(error)
    if _means_something_else_elsewhere(error):
        message = f"{message} {_OF_ITS_OWN}" if message else _OF_ITS_OWN
    pickled = _pickled(error, most_bytes) if is_shown else None
    # The pickle has the notes. In the text as well, they would double with each process that the error passes.
    traceback = f"Remote traceback of {where}:\n{users_traceback(error, has_notes=pickled is None)}"
    return RaisedError(name_of(type(error)), message, traceback, pickled)


def _means_something_else_elsewhere(error: BaseException) -> bool:
    """Whether Python itself acts on such an exception: it would end a task, a loop or an iteration of the caller."""
    return not is_kind(error, Exception) or is_kind(error, StopIteration, StopAsyncIteration)


def _pickled(error: BaseException, most_bytes: int) -> list[Any] | None:
    if _means_something_else_elsewhere(error):
        return None
    dumped = dump_exception(error)
    if dumped is None:
        return None
    data, buffers = dumped
    if len(data) + sum(buffer.nbytes for buffer in buffers) > most_bytes:
        return None
    return [data, [bytes(buffer) for buffer in buffers]]


def error_from_data(
    data: RaisedError, store: StoreClient | None, owner: object, executed: Executed = "yes"
) -> BaseException:
    """Rebuild a method's exception as its own type, or as a `RemoteActorError` if that is not possible.

    Args:
        data: the result of `error_to_data`.
        store, owner: what the object refs and the actor refs inside it are bound to.
        executed: whether the call ran.
    """
    failure = ""
    if data.pickled is not None:
        try:
            pickled, buffers = data.pickled
            error = pickling.loads(pickled, buffers, Carrier(store, owner=owner))
            if issubclass(type(error), Exception) and try_text_of(error)[1]:
                return as_executed(noted(error, data.traceback), executed)
        except BaseException as problem:  # whatever the exception's own code does when it is made again
            let_through(problem)
            failure = f" (its type can't be rebuilt here: {in_words(problem, MAX_LINE_CHARACTERS)})"
    text = f": {data.message}" if data.message else ""
    remote = RemoteActorError(f"{data.type}{text}{failure}", executed=executed)
    remote.add_note(data.traceback)
    return remote


def noted(error: BaseException, note: str) -> BaseException:
    """Add a note to an exception, even if its class forbids changes or uses the attribute for something else.

    An error may pass through thousands of tasks that need each other, with a note at each. The first ones are kept,
    which tell where it comes from, and the last ones.
    """
    notes = object.__getattribute__(error, "__dict__").get("__notes__")
    notes = [*notes, note] if type(notes) is list else [note]
    if len(notes) > MAX_NOTES_COUNT:
        notes[MAX_NOTES_COUNT // 2 : 1 - MAX_NOTES_COUNT // 2] = [_LEFT_OUT]
    object.__setattr__(error, "__notes__", notes)
    return error


def copied(error: BaseException) -> BaseException:
    """Return an exception anew, so that what is noted on it does not show on the first one; that one if it can't be."""
    if isinstance(error, ActorRtError):
        return from_data(to_data(error))
    dumped = dump_exception(error)
    if dumped is None:
        return error
    try:
        again: object = pickling.loads(*dumped)
    except BaseException as problem:  # whatever the exception's own code does when it is made again
        let_through(problem)
        return error
    return again if isinstance(again, BaseException) else error


def as_executed(error: BaseException, executed: Executed = "yes") -> BaseException:
    """Set on an exception whether its call ran; return a `RemoteActorError` if its class does not allow that."""
    try:
        object.__setattr__(error, "executed", executed)
    except BaseException as problem:  # a property of its class forbids it
        let_through(problem)
        remote = RemoteActorError(in_words(error), executed=executed)
        for note in to_data(error)["notes"]:
            remote.add_note(note)
        return remote
    return error


def reason_of(error: BaseException, where: str) -> ExitReason:
    """Return the exit reason of an actor that has failed with an exception."""
    data = error_to_data(error, where, MAX_PICKLED_REASON_BYTES)
    detail = clipped(in_words(error), MAX_LINE_CHARACTERS)
    return ExitReason(ExitKind.ERROR, detail, data.traceback, pickled=data.pickled)


def ends_its_call_only(error: BaseException) -> bool:
    """Whether an exception of a method ends no more than its call: any does, but SystemExit and its like."""
    return is_kind(error, *_ENDS_ITS_CALL_ONLY)


def users_traceback(error: BaseException, *, has_notes: bool = True) -> str:
    """Return the traceback as text, from the user's code on; for `has_notes` see `traceback_of`."""
    trace = own_traceback(error)
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
        trace = trace.tb_next
    return traceback_of(error, trace, has_notes=has_notes)
