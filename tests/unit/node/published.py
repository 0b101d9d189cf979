"""Nodes of which there is nothing but what others find them by."""

from __future__ import annotations

import os

from actorrt.node.daemon.node_directory import DESCRIPTOR, NodeDescriptor, NodeDirectory


def descriptor_of(place: NodeDirectory, pid: int = 1, *, is_embedded: bool = False) -> NodeDescriptor:
    url = f"unix://{place.path}"
    return NodeDescriptor("00" * 16, f"{url}/node", f"{place.path}/store", url, pid, is_embedded, os.getpid())


def up(nodes: list[NodeDirectory], name: str, *, is_embedded: bool = False) -> NodeDescriptor:
    """Publish a node, newer than those in `nodes`, and append its directory to them."""
    nodes.append(place := NodeDirectory(name))
    place.publish(descriptor := descriptor_of(place, is_embedded=is_embedded))
    os.utime(place.path / DESCRIPTOR, (len(nodes), len(nodes)))  # its clock may be coarser than this test is quick
    return descriptor
