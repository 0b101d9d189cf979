"""The silence detector: peers that fall silent, peers that owe nothing, and peers that speak again."""

from __future__ import annotations

import pytest

from actorrt.ids import PeerId
from actorrt.transport.links.silence import PeerProgress, SilenceChange, SilenceDetector

PEER = PeerId(b"p" * 16)
OTHER = PeerId(b"o" * 16)


@pytest.fixture
def detector() -> SilenceDetector:
    return SilenceDetector(interval_s=0.5, silence_s=2.0)


def watch(
    detector: SilenceDetector, start: float, end: float, progress: PeerProgress
) -> list[tuple[float, SilenceChange]]:
    """Observe the same progress every half second, from `start` to before `end`; return the changes and their times."""
    told = []
    for beat in range(int((end - start) / 0.5)):
        now = start + beat * 0.5
        told += [(now, change) for change in detector.observe(now, {PEER: progress})]
    return told


def test_awaited_peer_that_is_not_heard_falls_silent_once(detector: SilenceDetector) -> None:
    assert watch(detector, 0.0, 20.0, PeerProgress(1, True)) == [(2.0, SilenceChange(PEER, 2.0))]


def test_peer_that_owes_no_acknowledgement_never_falls_silent(detector: SilenceDetector) -> None:
    assert watch(detector, 0.0, 20.0, PeerProgress(1, False)) == []


def test_peer_that_is_heard_at_times_never_falls_silent(detector: SilenceDetector) -> None:
    for start in range(0, 20, 2):
        assert watch(detector, start, start + 2, PeerProgress(start, True)) == []


def test_silent_peer_that_is_heard_again_speaks(detector: SilenceDetector) -> None:
    watch(detector, 0.0, 5.0, PeerProgress(1, True))
    assert watch(detector, 5.0, 9.0, PeerProgress(2, True)) == [
        (5.0, SilenceChange(PEER, None)),
        (7.0, SilenceChange(PEER, 2.0)),
    ]


def test_time_before_something_was_awaited_does_not_count(detector: SilenceDetector) -> None:
    watch(detector, 0.0, 10.0, PeerProgress(1, False))
    assert watch(detector, 10.0, 12.5, PeerProgress(1, True)) == [(12.0, SilenceChange(PEER, 2.0))]


def test_time_in_which_the_observer_was_busy_counts_for_no_peer(detector: SilenceDetector) -> None:
    watch(detector, 0.0, 1.5, PeerProgress(1, True))
    assert detector.observe(30.0, {PEER: PeerProgress(1, True)}) == []
    assert watch(detector, 30.5, 35.0, PeerProgress(1, True)) == [(32.0, SilenceChange(PEER, 2.0))]


def test_peer_that_is_gone_is_forgotten(detector: SilenceDetector) -> None:
    watch(detector, 0.0, 3.0, PeerProgress(1, True))
    assert detector.observe(3.0, {OTHER: PeerProgress(9, True)}) == []
    assert watch(detector, 3.5, 6.0, PeerProgress(1, True)) == [(5.5, SilenceChange(PEER, 2.0))]


def test_silence_is_counted_from_when_something_was_awaited_and_ends_when_heard(detector: SilenceDetector) -> None:
    watch(detector, 0.0, 3.5, PeerProgress(1, True))
    assert detector.silent_s(PEER) == 3.0
    detector.observe(3.5, {PEER: PeerProgress(2, True)})
    assert detector.silent_s(PEER) == 0.0
    assert detector.silent_s(OTHER) == 0.0


def test_silence_does_not_grow_while_the_observer_is_busy(detector: SilenceDetector) -> None:
    watch(detector, 0.0, 3.5, PeerProgress(1, True))
    assert detector.observe(60.0, {PEER: PeerProgress(1, True)}) == []
    assert detector.silent_s(PEER) == 3.0
