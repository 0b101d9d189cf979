"""Undoes requests whose threads were interrupted or timed out before the answer came."""

from __future__ import annotations

from typing import Any

from actorrt.store.wire.channel import Channel, StoreReply
from actorrt.store.wire.protocol import Op, Status


def undo(channel: Channel, op: Op, arguments: tuple[Any, ...], reply: StoreReply) -> None:
    """Undo a request. The caller holds the lock of the channel.

    A loan is not undone: it stays unused, and ends with the next loan or recall.

    Args:
        channel: the way to the store.
        op, arguments: the request.
        reply: its answer, which came too late.
    """
    if reply.status not in (Status.DONE, Status.WAIT) or reply.result is None:
        return
    match op:
        case Op.CREATE:
            channel.post(Op.ABORT, arguments[0])
        case Op.TAKE_ALLOCATION:
            for object_id in arguments[0]:
                channel.post(Op.ABORT, object_id)
        case Op.RESERVE:
            for object_id, _ in arguments[0]:
                channel.post(Op.ABORT, object_id)
        case Op.GET:
            channel.post(Op.RELEASE, [], [arguments[0], *(other[0] for other in reply.result[3])])
        case Op.LATEST if len(reply.result) > 2:
            channel.post(Op.RELEASE, [reply.result[4]], [reply.result[4]])
