"""Send windows and receipts: frames that are kept and sent again, acknowledgements that are due."""

from __future__ import annotations

from actorrt.transport.frames.sequence import ACK_FRAMES_COUNT, Frame, Receipts, SendWindow


def frame(name: bytes, size_bytes: int = 10) -> Frame:
    return ((name,), 1, size_bytes)


def hand_all(window: SendWindow) -> list[bytes]:
    names = []
    while (following := window.next_to_hand) is not None:
        names.append(bytes(following[0][0]))
        window.handed(following)
    return names


def filled(count: int) -> SendWindow:
    window = SendWindow(7)
    for number in range(count):
        window.push(frame(b"%d" % number))
    return window


def test_frames_are_handed_in_order_and_kept_until_acknowledged() -> None:
    window = filled(3)
    assert hand_all(window) == [b"0", b"1", b"2"]
    assert (len(window), window.acknowledged, window.next) == (3, 7, 10)
    assert (window.unacknowledged_bytes, window.waiting_bytes) == (30, 0)
    assert window.acknowledge(9)
    assert (len(window), window.acknowledged, window.unacknowledged_bytes) == (1, 9, 10)


def test_acknowledgement_that_was_overtaken_changes_nothing() -> None:
    window = filled(3)
    hand_all(window)
    assert window.acknowledge(9)
    assert window.acknowledge(8)
    assert window.acknowledge(0)
    assert window.acknowledged == 9


def test_acknowledgement_of_a_frame_that_was_not_handed_over_is_refused() -> None:
    window = filled(2)
    first = window.next_to_hand
    assert first is not None
    window.handed(first)
    assert not window.acknowledge(9)
    assert window.acknowledged == 7
    assert window.acknowledge(8)


def test_rewound_window_hands_unacknowledged_frames_over_again() -> None:
    window = filled(3)
    hand_all(window)
    window.acknowledge(8)
    window.rewind()
    assert (window.waiting_bytes, [bytes(parts[0]) for parts, _, _ in window.waiting]) == (20, [b"1", b"2"])
    assert hand_all(window) == [b"1", b"2"]


def test_frames_acknowledged_after_the_break_are_not_sent_again() -> None:
    window = filled(3)
    hand_all(window)
    window.rewind()
    assert window.acknowledge(9)
    assert hand_all(window) == [b"2"]
    assert (window.waiting_bytes, window.unacknowledged_bytes) == (0, 10)


def test_receipts_continue_the_same_link_and_reset_for_a_later_one() -> None:
    receipts = Receipts()
    assert receipts.begin(5)
    receipts.received = 8
    receipts.acknowledge()
    assert receipts.begin(5)
    assert (receipts.received, receipts.acknowledged, receipts.is_owed) == (8, 5, True)
    assert receipts.begin(20)
    assert (receipts.received, receipts.is_owed) == (20, False)
    assert not receipts.begin(5)
    assert receipts.received == 20


def test_receipts_are_due_after_a_number_of_frames() -> None:
    receipts = Receipts()
    receipts.begin(0)
    receipts.received = ACK_FRAMES_COUNT - 1
    assert not receipts.is_due
    receipts.received += 1
    assert receipts.is_due
    assert receipts.acknowledge() == ACK_FRAMES_COUNT
    assert not receipts.is_due


def test_receipts_are_overdue_at_the_end_of_an_interval_that_began_when_they_were_owed() -> None:
    receipts = Receipts()
    receipts.begin(0)
    receipts.received = 1
    receipts.wait_from_now()
    receipts.received = 2
    assert receipts.is_overdue()
    receipts.wait_from_now()
    receipts.acknowledge()
    assert not receipts.is_overdue()


def test_receipts_are_overdue_when_owed_for_a_whole_interval() -> None:
    receipts = Receipts()
    receipts.begin(0)
    receipts.received = 1
    assert not receipts.is_overdue()
    assert receipts.is_overdue()
    receipts.acknowledge()
    assert not receipts.is_overdue()
    receipts.received = 2
    assert not receipts.is_overdue()
    receipts.acknowledge()  # rode in a frame
    receipts.received = 3
    assert not receipts.is_overdue()
