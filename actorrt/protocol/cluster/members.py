"""Pure: the members of a cluster: their rows in the control store, and what they ask each other about each other."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from actorrt.ids import NodeId, PeerId
from actorrt.protocol.forms import Count, Seconds
from actorrt.protocol.verb import Record, Request, verb


class MemberStatus(StrEnum):
    """What the cluster has agreed about a member. DEAD and LEFT are final: a node that returns is a new incarnation."""

    JOINING = "joining"
    ALIVE = "alive"
    DEAD = "dead"
    LEFT = "left"


class Suspicion(NamedTuple):
    """One node's vote that another is dead.

    Attributes:
        prober: who could not reach the member.
        since_s, renewed_s: when it voted first, and last, by the wall clock of the control store.
    """

    prober: NodeId
    since_s: float
    renewed_s: float


class Member(Record):
    """One incarnation of one node: its row in the control store.

    Attributes:
        incarnation: the endpoint of its daemon.
        addresses: where the daemon is reached: `tcp://host:port#key`, then `tls://host:port` for joins and bulk bytes.
        resources: what can be reserved there: cpus, gpus, memory_bytes, and custom ones.
        labels: what `placement={"label": "value"}` compares.
        status: what the cluster has agreed about it.
        suspicions: the votes that it is dead.
        ended_s: when it was written DEAD or LEFT, by the wall clock of the control store.
    """

    node: NodeId
    incarnation: PeerId
    addresses: list[str]
    resources: dict[str, float]
    labels: dict[str, str]
    status: MemberStatus
    suspicions: list[Suspicion]
    ended_s: float | None


class Acknowledged(Record):
    """A node's answer to a probe.

    Attributes:
        view: the version of the members that the answerer knows.
        age_s: how long ago the newest read of the control store that it knows of was sent.
        is_prober_alive: whether the prober's incarnation lives in that view.
        is_prober_condemned: whether the answerer has promised to call the prober dead, or its view does.
        is_frozen: whether the answerer has no lease, so that its workers are stopped.
        condemned: the nodes that the answerer has promised to call dead.
        counted: the members that count in halves of that view; empty if the prober knows that view.
    """

    view: Count
    age_s: Seconds
    is_prober_alive: bool
    is_prober_condemned: bool
    is_frozen: bool
    condemned: list[NodeId]
    counted: list[NodeId]


@verb("probe_node", asked_by="a node of the cluster")
class ProbeNode(Request[Acknowledged]):
    """Are you there? The answer also says what a lease of the prober can be counted from.

    Attributes:
        node, incarnation: the prober.
        view: the version of the members that the prober knows.
    """

    node: NodeId
    incarnation: PeerId
    view: Count


@verb("probe_for", asked_by="a node of the cluster that has no answer")
class ProbeFor(Request[bool]):
    """Probe another node; the answer says whether that node answered you."""

    node: NodeId


class Promise(Record):
    """Whether the promise was given, and the version of the members that the promiser has read within a second."""

    is_given: bool
    view: Count


@verb("promise_death", asked_by="a node of the cluster that is about to write others dead")
class PromiseDeath(Request[Promise]):
    """Acknowledge these nodes only as dead from now on, if the members have the version `view` now.

    The promise lapses when its holder reads a later version in which the node lives.
    """

    nodes: list[NodeId]
    view: Count


@verb("mint_token", asked_by="a command")
class MintToken(Request[str]):
    """Make a token by which other nodes can join; return its text.

    Attributes:
        minutes: how long it is valid.
        uses: how many nodes may join by it; None for any number.

    Raises:
        ValueError: a number is out of range.
        ControlUnavailableError: the control store does not answer.
    """

    minutes: float
    uses: Count | None


@verb("ask_members", asked_by="a command, a driver")
class AskMembers(Request[list[Member]]):
    """Return the members of the cluster as the node knows them, ended ones too."""


@verb("bury_node", asked_by="a command")
class BuryNode(Request[None]):
    """Write a member dead because a person says that it is off: needed when more than half of all are gone at once.

    Raises:
        ValueError: it is this node, or no member that has not ended.
        ControlUnavailableError: the control store does not answer.
    """

    node: NodeId


@verb("revoke_node", asked_by="a command")
class RevokeNode(Request[None]):
    """Revoke the key of a member, for good: its connections are refused from then on.

    Raises:
        ValueError: it is this node, or no member that has not ended.
        ControlUnavailableError: the control store does not answer.
    """

    node: NodeId
