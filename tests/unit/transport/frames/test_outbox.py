"""The outbox: numbering, cutting, bounds."""

from __future__ import annotations

import pytest

from actorrt.errors import MailboxFullError
from actorrt.transport.frames.codec import MAX_FRAME_BUFFERS_COUNT, pack_envelope, read_head
from actorrt.transport.frames.outbox import FRAME_CUT_BYTES, INLINE_BUFFERS_BYTES, Outbox

NO_LIMIT = 1 << 40


def handed(outbox: Outbox) -> list[tuple[int, list[list[object]]]]:
    """Seal, then hand everything over; return sequence and envelopes of each frame."""
    outbox.seal()
    frames = []
    while (frame := outbox.window.next_to_hand) is not None:
        sequence, _, envelopes, _ = read_head(frame[0][0])
        frames.append((sequence, envelopes))
        outbox.window.handed(frame)
    return frames


def test_envelopes_between_two_seals_are_one_numbered_frame() -> None:
    outbox = Outbox(NO_LIMIT)
    for number in range(3):
        outbox.add(pack_envelope([number]))
    assert handed(outbox) == [(0, [[0], [1], [2]])]
    outbox.add(pack_envelope([3]))
    assert handed(outbox) == [(1, [[3]])]


def test_seal_of_nothing_makes_no_frame() -> None:
    outbox = Outbox(NO_LIMIT)
    outbox.seal()
    assert outbox.window.waiting == []


def test_frame_is_cut_before_it_grows_too_large() -> None:
    outbox = Outbox(NO_LIMIT)
    half = pack_envelope([0, bytes(FRAME_CUT_BYTES // 2)])
    for _ in range(3):
        outbox.add(half)
    assert [len(envelopes) for _, envelopes in handed(outbox)] == [1, 1, 1]


def test_smallest_envelopes_do_not_exceed_what_a_head_can_count() -> None:
    outbox = Outbox(NO_LIMIT)
    for _ in range(100_000):
        outbox.add(b"\x91\x00")
    counts = [len(envelopes) for _, envelopes in handed(outbox)]
    assert sum(counts) == 100_000
    assert max(counts) == FRAME_CUT_BYTES // 18


def test_envelope_larger_than_a_frames_cut_has_one_of_its_own() -> None:
    outbox = Outbox(NO_LIMIT)
    outbox.add(pack_envelope([1]))
    outbox.add(pack_envelope([2, bytes(2 * FRAME_CUT_BYTES)]))
    outbox.add(pack_envelope([3]))
    assert [[envelope[0] for envelope in envelopes] for _, envelopes in handed(outbox)] == [[1], [2], [3]]


def test_buffers_of_a_frame_are_bounded() -> None:
    outbox = Outbox(NO_LIMIT)
    for _ in range(3):
        outbox.add(b"\x91\x00", [b"x"] * (MAX_FRAME_BUFFERS_COUNT // 2))
    outbox.seal()
    counts = [len(parts) - 1 for parts, _, _ in outbox.window.waiting]
    assert counts == [MAX_FRAME_BUFFERS_COUNT, MAX_FRAME_BUFFERS_COUNT // 2]


def test_refused_envelope_leaves_the_queue_as_it_was() -> None:
    outbox = Outbox(10_000)
    outbox.add(b"\x91\x00", [bytes(9000)])
    before = outbox.queued_bytes
    with pytest.raises(MailboxFullError):
        outbox.add(b"\x91\x01", [bytes(9000)])
    assert outbox.queued_bytes == before
    assert outbox.envelope_count == 1
    assert handed(outbox) == [(0, [[0]])]


def test_empty_queue_takes_an_envelope_beyond_its_bound() -> None:
    outbox = Outbox(1000)
    outbox.add(b"\x91\x00", [bytes(5000)])
    assert outbox.queued_bytes > 5000


def test_queued_bytes_are_zero_once_all_is_taken_or_cleared() -> None:
    outbox = Outbox(NO_LIMIT)
    outbox.add(b"\x91\x00", [bytes(9000)])
    handed(outbox)
    assert outbox.queued_bytes == 0
    for _ in range(3):
        outbox.add(b"\x91\x00", [bytes(9000)])
    outbox.seal()
    outbox.add(b"\x91\x00")
    assert outbox.clear() == 4
    assert (outbox.queued_bytes, outbox.envelope_count) == (0, 0)


def test_small_buffers_ride_in_the_head_and_large_ones_follow() -> None:
    outbox = Outbox(NO_LIMIT)
    outbox.add(pack_envelope([0]), [b"a", memoryview(b"bc")])
    outbox.add(pack_envelope([1]), [bytes(INLINE_BUFFERS_BYTES), b"d"])
    outbox.seal()
    ((head, *following),) = [parts for parts, _, _ in outbox.window.waiting]
    assert read_head(head)[3] == [[0, [b"a", b"bc"]], [1, 2]]
    assert following == [bytes(INLINE_BUFFERS_BYTES), b"d"]


def test_unacknowledged_bytes_count_towards_the_bound() -> None:
    outbox = Outbox(10_000)
    outbox.add(b"\x91\x00", [bytes(9000)])
    handed(outbox)
    assert (outbox.queued_bytes, outbox.held_bytes > 9000) == (0, True)
    with pytest.raises(MailboxFullError):
        outbox.add(b"\x91\x01", [bytes(9000)])
    assert outbox.window.acknowledge(1)
    outbox.add(b"\x91\x01", [bytes(9000)])
