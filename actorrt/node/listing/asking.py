"""Asks all nodes of a cluster the same, by way of one of them: for commands, and for drivers.

A node that does not answer is a part of the outcome, not an error: its row says why it is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

import msgpack

from actorrt.errors import ActorRtError
from actorrt.ids import NodeId, short
from actorrt.protocol.cluster.members import AskMembers, Member, MemberStatus
from actorrt.protocol.cluster.questions import AskNode
from actorrt.protocol.verb import Request

A = TypeVar("A")

AT_ONCE_COUNT: Final = 32
"""How many nodes are asked at the same time."""
LIVE: Final = (MemberStatus.JOINING, MemberStatus.ALIVE)


class Asks(Protocol):
    """Sends a request to the daemon that the others are asked by."""

    def __call__(self, request: Request[A], /) -> Awaitable[A]:
        """Return the answer, to come."""


@dataclass(frozen=True)
class NodeAnswer(Generic[A]):
    """What one node said.

    Attributes:
        node: the node; None if the node that was asked belongs to no cluster.
        answer: its answer; None if it gave none.
        why: why it gave none, in words.
    """

    node: NodeId | None
    answer: A | None
    why: str = ""

    @property
    def name(self) -> str:
        """The node, for people."""
        return "-" if self.node is None else short(self.node)


async def live_members(ask: Asks) -> list[Member]:
    """Return the members that have not ended, by their ids; none if the node belongs to no cluster."""
    members = await ask(AskMembers())
    return sorted((member for member in members if member.status in LIVE), key=lambda member: member.node)


async def ask_at(ask: Asks, node: NodeId, request: Request[A]) -> A:
    """Ask one node of the cluster.

    Raises:
        PeerUnreachableError: it does not answer.
    """
    question = msgpack.packb(request.pack())
    data = await ask(AskNode(node=node, asked=request.verb, question=question))
    answer: A = type(request).unpack_answer(msgpack.unpackb(data, strict_map_key=False))
    return answer


async def ask_nodes(ask: Asks, nodes: Sequence[NodeId], request: Request[A]) -> list[NodeAnswer[A]]:
    """Ask these nodes at the same time; return what each said, in their order.

    Args:
        ask: sends a request to the daemon that passes it on.
        nodes: the nodes; without any, the daemon itself is asked, which belongs to no cluster.
        request: the question.
    """
    if not nodes:
        alone: A = await ask(request)
        return [NodeAnswer(None, alone)]
    turn = asyncio.Semaphore(AT_ONCE_COUNT)

    async def one(node: NodeId) -> NodeAnswer[A]:
        async with turn:
            try:
                answer: A = await ask_at(ask, node, request)
                return NodeAnswer(node, answer)
            except (ActorRtError, ValueError) as error:  # a ValueError: it is of a version that says something else
                return NodeAnswer(node, None, str(error))

    return list(await asyncio.gather(*map(one, nodes)))
