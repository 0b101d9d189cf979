"""Requests and their answers over one channel, and the segments that come with answers.

Only the thread that holds `lock` may use the channel. Each method says whether its caller holds the lock.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from actorrt import forks
from actorrt.config import MIB
from actorrt.errors import ActorRtError, ObjectLostError, RuntimeStateError
from actorrt.machine.threads import Threads
from actorrt.store.connection.undoing import undo
from actorrt.store.memory.mappings import SegmentMaps
from actorrt.store.memory.warming import Warmer
from actorrt.store.wire.channel import Channel, StoreReply
from actorrt.store.wire.protocol import Op

WARMED_APART_BYTES: Final = 1 * MIB
"""From this length on, memory is warmed by a thread of its own."""
_ALLOCATING: Final = (Op.CREATE, Op.RESERVE, Op.TAKE_ALLOCATION)


class Conversation:
    """A channel, its lock, and the mappings of the process.

    Args:
        channel: the way to the store.
        threads: warm memory.

    Attributes:
        channel: the same; for posts by the thread that holds the lock.
        lock: held while something is sent or made.
        maps: the segments that this process has mapped.
        warmer: warms the segments that this process will write.
        has_ended: whether `check` raises; to be read only.
        is_open: False after the end, and since the first request that found the store gone; to be read only.
    """

    def __init__(self, channel: Channel, threads: Threads) -> None:
        self.channel = channel
        self.lock = threading.Lock()
        self.maps = SegmentMaps()
        self.warmer = Warmer(self.maps, threads)
        self.is_open = True
        self.has_ended = False
        self._end: tuple[type[ActorRtError], str] | None = None

    def check(self) -> None:
        """Raise the error that every request raises after the end; do nothing before."""
        if self._end is not None:
            kind, why = self._end
            raise kind(why)  # a new error each time, because an error refers to the frames that it went through

    def ask(self, op: Op, *arguments: Any) -> StoreReply:
        """Send a request, wait for its answer, and map the segment that comes with it. The lock is held."""
        try:
            reply = self.channel.request(op, *arguments)
        except ObjectLostError:
            self.is_open = False  # nothing more is made on loan, since the store may never hear of it
            raise
        self._map(op, reply)
        for asked, its_arguments, answer in self.channel.take_stale():
            self._map(asked, answer)
            undo(self.channel, asked, its_arguments, answer)
        return reply

    def _map(self, op: Op, reply: StoreReply) -> None:
        self.maps.forget(reply.retired)
        if reply.fd is not None:
            self.maps.add(reply.result[0], reply.fd, writable=op in (*_ALLOCATING, Op.BORROW))
            if op in _ALLOCATING and reply.result[2] >= WARMED_APART_BYTES:
                self.warmer.warm(reply.result[0])  # more of that size may follow

    def end(self, kind: type[ActorRtError], why: str) -> None:
        """Close the channel; from now on `check` raises `kind(why)`. The lock is not held. Idempotent."""
        if self.has_ended:
            return
        self._end, self.is_open, self.has_ended = (kind, why), False, True
        self.channel.stop_listening()
        with self.lock:
            self.channel.close()
        self.maps.clear()

    def abandon_after_fork(self) -> None:
        """Disable the copy in a forked child; the parent's channel is not disturbed.

        Another thread of the parent may have held the lock, so nothing in the child may take it: all check first.
        """
        self._end, self.is_open, self.has_ended = (RuntimeStateError, forks.REFUSAL), False, True
        self.channel.abandon_after_fork()
