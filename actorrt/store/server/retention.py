"""The node's own holds: a connection of the store without a process behind it.

The node holds the objects that the specs of its actors refer to, so that an actor can be started again after its
spawner has released the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from actorrt.ids import ID_BYTES, ObjectId, PeerId
from actorrt.store.server.connections import NODE_HOLDS
from actorrt.store.wire.protocol import VERSION, Op, Role


class MessageHandler(Protocol):
    """The part of a store's core that the node's connections use."""

    def open(self, connection: int, label: str) -> None: ...

    def handle(self, connection: int, message: list[Any]) -> None: ...

    def promise(self, object_id: ObjectId) -> tuple[PeerId | None, bytes | None]: ...

    def check_invariants(self) -> None: ...


class Retention:
    """Holds objects for the node.

    Args:
        core: the store.
        settle: carries out the core's instructions.
        lock: held during each call, if several threads use the core.
    """

    def __init__(
        self, core: MessageHandler, settle: Callable[[], None], lock: AbstractContextManager[object] | None = None
    ) -> None:
        self._core = core
        self._settle = settle
        self._lock = lock or nullcontext()
        core.open(NODE_HOLDS, "the node")
        core.handle(NODE_HOLDS, [Op.HELLO, 0, VERSION, Role.REQUESTS, bytes(ID_BYTES)])

    def introduce(self, peer: PeerId, node: bytes) -> None:
        """Note that a process is on another node: the objects that it sends are there."""
        with self._lock:
            self._core.handle(NODE_HOLDS, [Op.INTRODUCE, 0, peer, node])

    def hold(self, object_ids: Sequence[ObjectId], tokens: Sequence[bytes]) -> None:
        """Hold each of these objects once more.

        Args:
            object_ids: the objects; an unknown one is expected while its sender lives.
            tokens: the transit that each id came with.
        """
        with self._lock:
            self._core.handle(NODE_HOLDS, [Op.ACQUIRE, 0, list(zip(object_ids, tokens, strict=True))])
            self._settle()

    def release(self, object_ids: Sequence[ObjectId]) -> None:
        """End one hold of each of these objects."""
        with self._lock:
            self._core.handle(NODE_HOLDS, [Op.RELEASE, 0, list(object_ids), []])
            self._settle()

    def promise(self, object_id: ObjectId) -> tuple[PeerId | None, bytes | None]:
        """Return the process that has promised an object and not kept that, and the other node that made the object."""
        with self._lock:
            return self._core.promise(object_id)

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if the store contradicts itself; for tests."""
        with self._lock:
            self._core.check_invariants()
