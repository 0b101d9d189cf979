"""Which nodes hear of the ends of which processes of this one."""

from __future__ import annotations

from actorrt.cluster.peers.reported_ends import REMEMBERED_COUNT, ProcessEnd, ReportedEnds
from actorrt.ids import PeerAddress, PeerId
from actorrt.protocol.processes import CallInHand
from actorrt.reasons import ExitKind, ExitReason

A, B = (PeerAddress(PeerId(name * 16), f"node://{name!r}") for name in (b"a", b"b"))
ONE, TWO = PeerId(b"1" * 16), PeerId(b"2" * 16)
KILLED = ExitReason(ExitKind.KILLED)


def test_each_node_that_watches_a_process_hears_of_its_end_once() -> None:
    ends = ReportedEnds(lambda _: True)
    assert [ends.watch(A, [ONE, TWO]), ends.watch(B, [ONE])] == [[], []]
    assert ends.ended(ProcessEnd(ONE, KILLED)) == [A, B]
    assert ends.ended(ProcessEnd(ONE, KILLED)) == []
    assert ends.ended(ProcessEnd(TWO, KILLED)) == [A]


def test_later_set_replaces_the_earlier_one() -> None:
    ends = ReportedEnds(lambda _: True)
    ends.watch(A, [ONE])
    ends.watch(A, [TWO])
    assert ends.ended(ProcessEnd(ONE, KILLED)) == []
    assert ends.watchers() == [A]
    ends.watch(A, [])
    assert ends.watchers() == []


def test_process_that_ended_before_it_was_watched_is_reported_with_its_reason() -> None:
    alive = {ONE}
    ends = ReportedEnds(lambda peer: peer in alive)
    alive.clear()
    end = ProcessEnd(ONE, KILLED, [CallInHand(TWO, 7)])
    assert ends.ended(end) == []
    assert ends.watch(A, [ONE]) == [end]
    assert ends.watchers() == []


def test_process_that_nobody_remembers_counts_as_ended() -> None:
    ends = ReportedEnds(lambda _: False)
    ends.ended(ProcessEnd(ONE, KILLED))
    for number in range(REMEMBERED_COUNT):
        ends.ended(ProcessEnd(PeerId(number.to_bytes(16, "big")), KILLED))
    (end,) = ends.watch(A, [ONE])
    assert (end.peer, end.reason.kind) == (ONE, ExitKind.CRASHED)
    assert "not known any more" in end.reason.detail


def test_node_that_has_ended_hears_nothing() -> None:
    ends = ReportedEnds(lambda _: True)
    ends.watch(A, [ONE])
    ends.watch(B, [ONE])
    ends.daemon_ended(A.peer)
    assert ends.ended(ProcessEnd(ONE, KILLED)) == [B]
