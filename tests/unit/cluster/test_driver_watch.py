"""Which nodes of drivers a member hears, and when one of them has ended."""

from __future__ import annotations

import msgpack

from actorrt.cluster.membership.driver_watch import LOOK_S, SILENT_S, DriverWatch
from actorrt.ids import NodeId, PeerId
from actorrt.protocol.cluster.control import Row
from actorrt.protocol.cluster.drivers import DRIVERS, DriverRow
from actorrt.protocol.cluster.members import Member, MemberStatus

A, B, C = (NodeId(bytes([number]) * 16) for number in (1, 2, 3))
DRIVER = NodeId(b"\x09" * 16)


def row(version: int, entry: NodeId | None, incarnation: int = 1) -> Row:
    """The row of the driver's node, or its deletion."""
    if entry is None:
        return Row(DRIVERS, DRIVER, None, version)
    member = Member(
        node=DRIVER,
        incarnation=PeerId(bytes([incarnation]) * 16),
        addresses=["tcp://10.0.0.9:7000#00"],
        resources={},
        labels={},
        status=MemberStatus.ALIVE,
        suspicions=[],
        ended_s=None,
    )
    return Row(DRIVERS, DRIVER, msgpack.packb(DriverRow(member=member, entry=entry).pack()), version)


def test_silence_ends_a_driver_after_a_minute_and_a_refusal_at_once() -> None:
    watch = DriverWatch(A)
    watch.read([row(1, A)])
    watch.heard(PeerId(b"\x01" * 16), 100.0)
    assert watch.due([A, B], 100.0 + LOOK_S - 0.1) == ([], [])
    to_look, ended = watch.due([A, B], 100.0 + LOOK_S)
    assert ([one.member.node for one in to_look], ended) == ([DRIVER], [])  # the shell ends it if it is refused
    assert watch.due([A, B], 100.0 + LOOK_S + 1.0) == ([], [])
    to_look, ended = watch.due([A, B], 100.0 + SILENT_S)
    assert (to_look, [one.member.node for one in ended]) == ([], [DRIVER])
    watch.heard(PeerId(b"\x01" * 16), 150.0)
    assert watch.due([A, B], 150.0 + LOOK_S - 0.1) == ([], [])
    watch.check_invariants()


def test_only_the_entry_node_decides_and_after_its_end_the_lowest_member() -> None:
    watches = {own: DriverWatch(own) for own in (A, B, C)}
    for watch in watches.values():
        watch.read([row(1, B)])
    assert [own for own, watch in watches.items() if [*watch.watched([A, B, C])]] == [B]
    assert [own for own in (A, C) if [*watches[own].watched([A, C])]] == [A]
    # A counts the silence from when it took the driver over
    assert watches[A].due([A, C], 1_000.0) == ([], [])
    assert watches[A].due([A, C], 1_000.0 + SILENT_S)[1] != []
    watches[A].read([row(2, C)])  # the driver has chosen C meanwhile
    assert watches[A].due([A, C], 1_000.0 + SILENT_S) == ([], [])


def test_a_deleted_row_and_another_incarnation_end_the_one_before() -> None:
    watch = DriverWatch(A)
    assert watch.read([row(1, A)]) == []
    assert watch.read([row(2, B)]) == []  # the same incarnation, with another entry node
    (ended,) = watch.read([row(3, A, incarnation=2)])
    assert ended.member.incarnation == PeerId(b"\x01" * 16)
    (ended,) = watch.read([row(4, None)])
    assert ended.member.incarnation == PeerId(b"\x02" * 16)
    assert (watch.rows(), watch.version(DRIVER)) == ([], 0)
    watch.read([row(5, A)])
    (ended,) = watch.read([], is_whole=True)
    assert ended.member.node == DRIVER
    watch.check_invariants()
