"""Pure: what a `Membership` has its shell do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from actorrt.ids import NodeId
from actorrt.protocol.cluster.members import Member


@dataclass(frozen=True, slots=True)
class SendProbe:
    """Send `ProbeNode`; hand its answer to `Membership.acknowledged`."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class AskIndirectly:
    """Send `ProbeFor` to each of these; hand the outcome to `Membership.probed_indirectly`."""

    node: NodeId
    through: Sequence[NodeId]


@dataclass(frozen=True, slots=True)
class AskPromise:
    """Send `PromiseDeath`; hand the answer to `Membership.promised`."""

    of: NodeId
    nodes: Sequence[NodeId]
    view: int


@dataclass(frozen=True, slots=True)
class ReadMembers:
    """Read what is new about the members; hand it to `Membership.read`."""


@dataclass(frozen=True, slots=True)
class WriteMembers:
    """Write rows, if the view still has this version; then read the members again."""

    rows: Sequence[Member]
    view: int


@dataclass(frozen=True, slots=True)
class Freeze:
    """Stop the workers of this node, and decide nothing."""


@dataclass(frozen=True, slots=True)
class Thaw:
    """Let the workers of this node go on."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the workers of this node: others may start its actors, or have started them."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A member has been written dead, or has left; its replacement may start after `REPLACEMENT_S`."""

    member: Member


Action: TypeAlias = SendProbe | AskIndirectly | AskPromise | ReadMembers | WriteMembers | Freeze | Thaw | GiveUp | Ended
