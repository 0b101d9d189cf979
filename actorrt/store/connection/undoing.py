"""Gives back what a request got whose thread was interrupted, or lost patience, before the answer came."""

from __future__ import annotations

from typing import Any

from actorrt.store.wire.channel import Channel, StoreReply
from actorrt.store.wire.protocol import Op, Status


def undo(channel: Channel, op: Op, arguments: tuple[Any, ...], reply: StoreReply) -> None:
    """Undo what a request has brought about; whoever has the channel calls this.

    Memory that was borrowed is left: nobody uses it, and it comes back with the next loan or recall.

    Args:
        channel: the way to the store.
        op, arguments: what had been asked.
        reply: the answer that nobody took.
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
            channel.post(Op.RELEASE, [], [arguments[0], *(shown[0] for shown in reply.result[3])])
        case Op.LATEST if len(reply.result) > 2:
            channel.post(Op.RELEASE, [reply.result[4]], [reply.result[4]])
