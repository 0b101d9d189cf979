"""Pure: what a node is started with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NodeSetting:
    """What a node is started with; None means what the machine has.

    Attributes:
        cpus, gpus: what can be reserved.
        store_bytes: the bound on the object store's memory.
        embedded_fd: the daemon's end of the channel to the driver it belongs to.
    """

    cpus: int | None = None
    gpus: int | None = None
    store_bytes: int | None = None
    embedded_fd: int | None = None
