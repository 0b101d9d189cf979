"""Pure: the options that a node is started with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from actorrt.node.clustering.cluster_setting import ClusterSetting

JOIN_TOKEN: Final = "ACTORRT_NODE_JOINS"
"""The environment variable with the token of the cluster that an embedded node joins: all users see arguments."""


@dataclass(frozen=True)
class NodeSetting:
    """The options of a node. None stands for all that the machine has.

    Attributes:
        cpus, gpus: the number of CPUs and GPUs that actors can reserve.
        store_bytes: the bound on the object store's memory.
        embedded_fd: the daemon's end of the channel to its driver; None for a standalone node.
        cluster: the options of its cluster; None: the node is part of none.
        uses_tcp_inside: whether processes of the node reach each other as those of different nodes do, for tests.
    """

    cpus: int | None = None
    gpus: int | None = None
    store_bytes: int | None = None
    embedded_fd: int | None = None
    cluster: ClusterSetting | None = None
    uses_tcp_inside: bool = False

    @property
    def has_lease(self) -> bool:
        """Whether the node's workers run under a lease: those of other nodes than the driver's own, in a cluster."""
        return self.cluster is not None and self.embedded_fd is None
