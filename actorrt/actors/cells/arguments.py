"""The arguments of a message that carries more than scalars: unpickled, read from the store, or waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from actorrt.actors.refs.message import Message
from actorrt.actors.wire.interface import MethodKind
from actorrt.actors.wire.payload import has_objects, objects_at_hand, objects_opened
from actorrt.protocol.envelopes import Body
from actorrt.store.client.ref import ObjectRef

if TYPE_CHECKING:
    from actorrt.actors.cells.cell_host import CellHost
    from actorrt.actors.wire.by_reference import StoredValue

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]


class UnopenedError(Exception):
    """A message could not be opened, so its method did not run; `cause` says why."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(cause)
        self.cause = cause


def open_arguments(
    message: Message, body: Body, function: Callable[..., Any], kind: MethodKind, host: CellHost
) -> Arguments | Coroutine[Any, Any, Any]:
    """Return the arguments, or a coroutine that calls the method as soon as they are there.

    Raises:
        UnopenedError: the arguments can't be unpickled or read.
    """
    buffers = message.buffers
    message.body = message.buffers = ()  # opened once; the context of an idle runner keeps its last message
    payloads = host.payloads
    try:
        stored = payloads.stored(body, buffers)
        if stored is not None:
            return _call_with_stored(message, function, kind, host, stored)
        args, kwargs = payloads.open_call(body, buffers)
        if not has_objects(args, kwargs):
            return args, kwargs
        opened = objects_at_hand(args, kwargs)
    except Exception as error:  # whatever unpickling a user's value raises
        raise UnopenedError(error) from error
    return opened or _call_with_objects(message, function, kind, host, args, kwargs)


async def _call_with_stored(
    message: Message,
    function: Callable[..., Any],
    kind: MethodKind,
    host: CellHost,
    stored: ObjectRef[Any] | StoredValue,
) -> Any:
    """Call the method with arguments from the store, which may arrive there after the message."""
    try:
        args, kwargs = await stored
    except Exception as error:  # any error of unpickling, or of a value that is lost
        raise UnopenedError(error) from error
    return await _call_with_objects(message, function, kind, host, args, kwargs)


async def _call_with_objects(
    message: Message,
    function: Callable[..., Any],
    kind: MethodKind,
    host: CellHost,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Call the method with the values of its top-level object refs, once they are there."""
    try:
        args, kwargs = await objects_opened(args, kwargs)
    except Exception as error:  # the object is lost, or its maker failed with any error
        raise UnopenedError(error) from error
    result = function(*args, **kwargs)
    if kind.is_stream:
        result = host.serving.serve(message, result)
    return await result if asyncio.iscoroutine(result) else result
