"""Pure: which nodes of drivers this node hears, and when one of them counts as ended.

A driver's machine may be a laptop that sleeps, so silence alone ends its node only after `SILENT_S`. A connection that
is refused means that no process listens there any more, and ends it at once; the shell looks after `LOOK_S`.

Only the entry node of a driver decides. When that has ended too, the member with the lowest id does, until the driver's
node has chosen another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgpack

from actorrt.ids import NodeId, PeerId
from actorrt.protocol.cluster.control import Row
from actorrt.protocol.cluster.drivers import DRIVERS, DriverRow

SILENT_S: Final = 60.0
LOOK_S: Final = 3.0
"""A driver's node that has been silent for so long is looked for, again as often."""


class DriverWatch:
    """The nodes of drivers, as one member sees them.

    Args:
        own: this member.
    """

    def __init__(self, own: NodeId) -> None:
        self._own = own
        self._rows: dict[NodeId, DriverRow] = {}
        self._versions: dict[NodeId, int] = {}
        self._heard: dict[PeerId, float] = {}
        self._looked: dict[PeerId, float] = {}

    def rows(self) -> Sequence[DriverRow]:
        """Return the nodes of drivers."""
        return list(self._rows.values())

    def row(self, node: NodeId) -> DriverRow | None:
        """Return the row of a driver's node; None if it has ended, or never was."""
        return self._rows.get(node)

    def version(self, node: NodeId) -> int:
        """Return the version of a row; 0 if there is none."""
        return self._versions.get(node, 0)

    def read(self, rows: Iterable[Row], *, is_whole: bool = False) -> list[DriverRow]:
        """Take rows of the control store, those of other tables too; return the incarnations that have ended.

        Args:
            rows: in the order of their versions.
            is_whole: whether these are all rows of the table.
        """
        found = [row for row in rows if row.table == DRIVERS]
        ended: list[DriverRow] = []
        if is_whole:
            there = {NodeId(row.key) for row in found}
            ended += [self._forget(node) for node in [*self._rows] if node not in there]
        for row in found:
            node = NodeId(row.key)
            made = None if row.value is None else DriverRow.unpack(msgpack.unpackb(row.value, strict_map_key=False))
            before = self._rows.get(node)
            if before is not None and (made is None or made.member.incarnation != before.member.incarnation):
                ended.append(self._forget(node))
            if made is not None:
                self._rows[node], self._versions[node] = made, row.version
        return ended

    def _forget(self, node: NodeId) -> DriverRow:
        row = self._rows.pop(node)
        del self._versions[node]
        self._heard.pop(row.member.incarnation, None)
        self._looked.pop(row.member.incarnation, None)
        return row

    def heard(self, incarnation: PeerId, now: float) -> None:
        """The node of a driver has given a sign of life."""
        self._heard[incarnation] = now

    def watched(self, members: Iterable[NodeId]) -> Iterator[DriverRow]:
        """Yield the nodes of drivers about which this node decides, while these members live."""
        living = {*members}
        is_lowest = bool(living) and min(living) == self._own
        for row in self._rows.values():
            if row.entry == self._own or (is_lowest and row.entry not in living):
                yield row

    def due(self, members: Iterable[NodeId], now: float) -> tuple[list[DriverRow], list[DriverRow]]:
        """Return the nodes to look for now, and those that count as ended."""
        to_look: list[DriverRow] = []
        ended: list[DriverRow] = []
        for row in self.watched(members):
            incarnation = row.member.incarnation
            silent_s = now - self._heard.setdefault(incarnation, now)  # counts from when this node took it over
            if silent_s >= SILENT_S:
                ended.append(row)
            elif silent_s >= LOOK_S and now - self._looked.get(incarnation, 0.0) >= LOOK_S:
                self._looked[incarnation] = now
                to_look.append(row)
        return to_look, ended

    def check_invariants(self) -> None:
        """Raise AssertionError if the state contradicts itself."""
        assert self._rows.keys() == self._versions.keys(), "a row has no version"
        known = {row.member.incarnation for row in self._rows.values()}
        assert self._looked.keys() <= known, "an incarnation that is unknown was looked for"
