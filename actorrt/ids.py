"""Ids: 16 random bytes for everything that is named on the wire; and the addresses of endpoints.

Ids are random and not counted, so that no process repeats an id of a process that is dead. Simulations that must be
repeatable override the source of randomness.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, NewType, Self, overload

import msgpack

ActorId = NewType("ActorId", bytes)
"""One actor, the same over all its incarnations."""
PeerId = NewType("PeerId", bytes)
"""One incarnation of one process's endpoint; a process that restarts is another peer."""
ObjectId = NewType("ObjectId", bytes)
"""One immutable object of the store."""
JobId = NewType("JobId", bytes)
"""What one driver started."""
NodeId = NewType("NodeId", bytes)
"""One node of a cluster, the same over restarts of its daemon: it is in the node's state directory."""

ID_BYTES: Final = 16


class PeerAddress(NamedTuple):
    """The id of an endpoint, which ends with its process, and the address of its transport."""

    peer: PeerId
    address: str

    def packed(self) -> bytes:
        """Return both as bytes. The name of a node is the packed address of its daemon."""
        packed: bytes = msgpack.packb(list(self))
        return packed

    @classmethod
    def from_packed(cls, packed: bytes) -> Self:
        """Return the address in bytes that `packed` returned.

        Raises:
            ValueError: the bytes are no packed address.
        """
        try:
            peer, address = msgpack.unpackb(packed)
            return cls(PeerId(bytes(peer)), str(address))
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise ValueError(f"{packed!r} is no packed address") from error


NODE_SCHEME: Final = "node://"


class NodeAddress(NamedTuple):
    """The logical address of a process of a cluster's node: `node://`, and the ids of its node and of its endpoint."""

    node: NodeId
    peer: PeerId

    def __str__(self) -> str:
        return f"{NODE_SCHEME}{self.node.hex()}/{self.peer.hex()}"

    @classmethod
    def parse(cls, address: str) -> Self:
        """Return the ids in a logical address.

        Raises:
            ValueError: it is none.
        """
        node, _, peer = address.removeprefix(NODE_SCHEME).partition("/")
        try:
            ids = bytes.fromhex(node), bytes.fromhex(peer)
        except ValueError:
            ids = b"", b""
        if not address.startswith(NODE_SCHEME) or set(map(len, ids)) != {ID_BYTES}:
            raise ValueError(f"{address!r} is no address of a process of a cluster: {NODE_SCHEME}NODE/PEER, ids in hex")
        return cls(NodeId(ids[0]), PeerId(ids[1]))


class ActorIds(Sequence[ActorId]):
    """The ids of a group's actors, in one byte string, which is how they travel.

    Raises:
        ValueError: the bytes are not a whole number of ids.
    """

    __slots__ = ("packed",)

    def __init__(self, packed: object) -> None:
        if not isinstance(packed, bytes) or len(packed) % ID_BYTES:
            raise ValueError(f"not the bytes of ids, of {ID_BYTES} bytes each, but a {type(packed).__name__}")
        self.packed = packed

    def __len__(self) -> int:
        return len(self.packed) // ID_BYTES

    @overload
    def __getitem__(self, index: int) -> ActorId: ...

    @overload
    def __getitem__(self, index: slice) -> list[ActorId]: ...

    def __getitem__(self, index: int | slice) -> ActorId | list[ActorId]:
        packed = self.packed
        if isinstance(index, slice):
            return [ActorId(packed[at * ID_BYTES : (at + 1) * ID_BYTES]) for at in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(f"id {index} of {len(self)}")
        return ActorId(packed[index * ID_BYTES : (index + 1) * ID_BYTES])

    def __iter__(self) -> Iterator[ActorId]:
        for first in range(0, len(self.packed), ID_BYTES):
            yield ActorId(self.packed[first : first + ID_BYTES])


class IdSource:
    """Makes ids from the operating system's randomness."""

    def _random(self, count: int = 1) -> bytes:
        """Return the bytes of `count` ids; simulations override this."""
        return os.urandom(ID_BYTES * count)

    def actor(self) -> ActorId:
        return ActorId(self._random())

    def actors(self, count: int) -> ActorIds:
        return ActorIds(self._random(count))

    def peer(self) -> PeerId:
        return PeerId(self._random())

    def object(self) -> ObjectId:
        return ObjectId(self._random())

    def objects(self, count: int) -> list[ObjectId]:
        """Return several ids, which costs little more than one."""
        drawn = self._random(count)
        return [ObjectId(drawn[start : start + ID_BYTES]) for start in range(0, len(drawn), ID_BYTES)]

    def job(self) -> JobId:
        return JobId(self._random())

    def node(self) -> NodeId:
        return NodeId(self._random())


def short(identity: bytes) -> str:
    """Return the first 8 hex digits of an id, for people."""
    return identity[:4].hex()
