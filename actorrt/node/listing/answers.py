"""Answers what commands and drivers ask a node about itself, and asks other nodes on their behalf.

A command speaks to one daemon, over a Unix socket. That daemon passes a question on to the daemon of another node, and
says so if it has no answer soon. So a node that is stopped or cut off costs less than a second and is shown as such.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgpack

from actorrt.actors.authority.registry import Registry
from actorrt.actors.wire.control import Control
from actorrt.errors import PeerUnreachableError
from actorrt.ids import NodeId, PeerAddress, PeerId, short
from actorrt.node.leases.leases import Leases
from actorrt.node.listing.census import take_census
from actorrt.node.listing.node_status import NodeStatus
from actorrt.node.listing.task_listing import ListsTasks, add_tasks
from actorrt.node.placement.job_table import JobTable
from actorrt.node.placement.nodes import Nodes, daemon_of
from actorrt.node.placement.workers import Workers
from actorrt.protocol.cluster.members import AskMembers
from actorrt.protocol.cluster.questions import AskNode, AskObjects
from actorrt.protocol.nodes import ActorTree, AskStatus, AskTasks, AskTree, NodeTasks
from actorrt.protocol.verb import VERBS

ELSEWHERE_WITHIN_S: Final = 0.8
"""How long another node may take to answer."""
PASSED_ON: Final = frozenset({AskStatus.verb, AskTree.verb, AskTasks.verb, AskObjects.verb})
"""What other nodes are asked on behalf of a command: questions alone, none of which changes anything."""


class Answers:
    """The answers of one node.

    Args:
        control: speaks with the other nodes and the processes of this one.
        status: the totals and pages of this node.
        registry, workers, jobs, leases: the tables of this node.
        nodes: the nodes of the cluster.
    """

    def __init__(
        self,
        control: Control,
        status: NodeStatus,
        registry: Registry,
        workers: Workers,
        jobs: JobTable,
        leases: Leases,
        nodes: Nodes,
    ) -> None:
        self._control = control
        self._status = status
        self._registry = registry
        self._workers = workers
        self._jobs = jobs
        self._leases = leases
        self._nodes = nodes

    def serve(self) -> None:
        """Register the handlers."""
        self._control.handle(AskStatus.by(lambda _, asked: self._status.page(asked.after, asked.count)))
        self._control.handle(AskTree.by(self._tree))
        self._control.handle(AskTasks.by(self._tasks))
        self._control.handle(AskMembers.by(lambda *_: list(self._nodes.members())))
        self._control.handle(AskNode.by(lambda _, asked: self._pass_on(asked)))

    async def _tree(self, _: PeerId, asked: AskTree) -> ActorTree:
        workers, jobs = self._workers.all(), self._jobs.all()
        lent = self._leases.state_of
        tree = await take_census(self._registry, workers, jobs, self._control, asked.siblings_count, lent)
        add_tasks(tree.jobs, await self._lists_tasks().submitters(0))
        return tree

    async def _tasks(self, _: PeerId, asked: AskTasks) -> NodeTasks:
        return NodeTasks(submitters=await self._lists_tasks().submitters(asked.count))

    def _lists_tasks(self) -> ListsTasks:
        leases = self._leases
        return ListsTasks(self._workers.here(), self._jobs.all(), self._control, leases.submitters(), leases.lacks())

    async def _pass_on(self, asked: AskNode) -> bytes:
        """Ask another node, or this one itself."""
        if asked.asked not in PASSED_ON:
            raise ValueError(f"ask_node.asked is {asked.asked!r}: one of {', '.join(sorted(PASSED_ON))} is passed on")
        request = VERBS[asked.asked].unpack(msgpack.unpackb(asked.question, strict_map_key=False))
        try:
            async with asyncio.timeout(ELSEWHERE_WITHIN_S):
                answer: Any = await self._control.request(self._daemon_of(asked.node), request)
        except TimeoutError:
            raise PeerUnreachableError(
                f"node {short(asked.node)} did not answer within {ELSEWHERE_WITHIN_S:g} s: it is stopped, cut off or "
                "overloaded"
            ) from None
        data: bytes = msgpack.packb(type(request).pack_answer(answer))
        return data

    def _daemon_of(self, node: NodeId) -> PeerAddress:
        for member in self._nodes.members():
            if member.node == node:
                return daemon_of(member)
        raise PeerUnreachableError(f"node {short(node)} is no member of the cluster")
