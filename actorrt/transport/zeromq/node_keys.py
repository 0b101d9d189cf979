"""Pure: the public keys of the nodes that are accepted, and which node has each of them.

A node has one key pair, which all its processes use. The loop changes the table, and the thread of the `ZapHandler`
reads it: each method is one operation on a dict.
"""

from __future__ import annotations

from actorrt.ids import NodeId


class NodeKeys:
    """The accepted public keys, as the `accepted` of `Security`."""

    def __init__(self) -> None:
        self._owners: dict[bytes, NodeId] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._owners

    def owner_of(self, key: bytes) -> NodeId | None:
        """Return the node that has this key; None if the key is not accepted."""
        return self._owners.get(key)

    def accept(self, key: bytes, node: NodeId) -> None:
        """Accept a key from now on."""
        self._owners[key] = node

    def revoke(self, key: bytes) -> None:
        """Accept the key no more. Frames that still arrive over connections with it are ignored. Idempotent."""
        self._owners.pop(key, None)
