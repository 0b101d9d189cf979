"""Pure: the nodes that run drivers only: their rows in the control store, and the signs of life that they give.

Such a node is in no view, and has no vote, lease or fence. Its entry node alone hears it, and says when it has ended.
"""

from __future__ import annotations

from typing import Final

from actorrt.ids import NodeId
from actorrt.protocol.cluster.members import Member
from actorrt.protocol.verb import Record, Request, verb

DRIVERS: Final = "drivers"
"""The table of the nodes of drivers, by their ids."""


class DriverRow(Record):
    """One node of a driver.

    Attributes:
        member: what others need to reach it.
        entry: the node that hears it.
    """

    member: Member
    entry: NodeId


@verb("driver_alive", asked_by="the node of a driver")
class DriverAlive(Request[bool]):
    """The asker lives. The answer says whether the cluster knows it; if not, it was taken for ended.

    The first one at another node than its entry node makes that its entry node.
    """

    member: Member
