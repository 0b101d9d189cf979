"""Tells the other nodes what is free here, and takes what they tell; starts that wait for room then try again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from actorrt.actors.wire.control import Control
from actorrt.ids import PeerAddress, PeerId
from actorrt.node.placement.nodes import Nodes, daemon_of
from actorrt.node.placement.resources import Resources
from actorrt.node.placement.waiting_starts import WaitingStarts
from actorrt.protocol.cluster.workers import NodeRoom
from actorrt.scopes import Scope

NEWS_EVERY_S: Final = 0.1
"""The least time between two notices to the other nodes."""


class RoomNews:
    """What is free, here and elsewhere.

    Args:
        resources, nodes, waiting: the node's.
        control: speaks with the other nodes.
        scope: owns the timers.
    """

    def __init__(
        self, resources: Resources, nodes: Nodes, waiting: WaitingStarts, control: Control, scope: Scope
    ) -> None:
        self._resources = resources
        self._nodes = nodes
        self._waiting = waiting
        self._control = control
        self._scope = scope
        self._others: dict[PeerAddress, None] = {}
        self._is_to_try = self._is_to_tell = False
        resources.watchers.append(self._changed)

    def serve(self) -> None:
        """Take what other nodes tell."""
        self._control.handle(NodeRoom.by(lambda daemon, told: self.told(daemon, told.free)))

    def told(self, daemon: PeerId, free: Mapping[str, float]) -> None:
        """Take what another node has told."""
        self._nodes.told(daemon, free)
        self._try_soon()

    def members_changed(self) -> None:
        """Called when nodes have joined or ended: new ones are told at once."""
        known, self._others = self._others, {}
        for member in (*self._nodes.members(), *self._nodes.drivers()):
            if member.node != self._nodes.own:
                self._others[daemon_of(member)] = None
        self._tell([other for other in self._others if other not in known])
        self._try_soon()

    def node_ended(self, daemon: PeerId) -> None:
        """Called when another node has ended."""
        self._nodes.ended(daemon)

    def _changed(self) -> None:
        """Called when reservations here have changed. Many changes at a time are one."""
        self._try_soon()
        if self._others and not self._is_to_tell:
            self._is_to_tell = True
            self._scope.after(NEWS_EVERY_S, self._tell_all)

    def _try_soon(self) -> None:
        if len(self._waiting) and not self._is_to_try and not self._scope.is_closed:
            self._is_to_try = True
            self._scope.loop.call_soon(self._try)

    def _try(self) -> None:
        self._is_to_try = False
        self._waiting.changed()

    def _tell_all(self) -> None:
        self._is_to_tell = False
        self._tell(self._others)

    def _tell(self, others: Iterable[PeerAddress]) -> None:
        self._control.notify_all(others, NodeRoom(free=self._resources.free()))
