"""Credit: how much each sender may have sent, and when it is told so."""

from __future__ import annotations

from actorrt.actors.wire.credit import FIRST_BYTES, FIRST_MESSAGES, STEP_SHIFT, Ledger, Ledgers, Window


def test_first_message_widens_the_window_to_the_whole_share() -> None:
    ledger = Ledger()
    ledger.share(10_000, 64 << 20)
    assert ledger.take(100) == (10_001, (64 << 20) + 100, 0)


def test_grants_come_a_step_of_the_share_at_a_time() -> None:
    ledger = Ledger()
    ledger.share(1_600, 64 << 20)
    granted = [grant for _ in range(1_000) if (grant := ledger.take(10)) is not None]
    step = 1_600 >> STEP_SHIFT
    assert [grant.messages for grant in granted] == [1_601 + n * step for n in range(1_000 // step)]


def test_bytes_call_for_a_grant_as_messages_do() -> None:
    ledger = Ledger()
    ledger.share(10_000, 1_600_000)
    ledger.take(0)
    assert [ledger.take(60_000), ledger.take(60_000)] == [None, (10_003, 1_720_000, 0)]


def test_what_was_granted_is_never_taken_back() -> None:
    ledger = Ledger()
    ledger.share(1_000, 1 << 20)
    assert ledger.take(0) == (1_001, 1 << 20, 0)
    ledger.share(10, 1 << 20)
    assert {ledger.take(0) for _ in range(989)} == {None}
    assert [ledger.take(0) for _ in range(2)] == [(1_001, 1 << 20, 0), (1_002, 1 << 20, 0)]


def test_smallest_mailbox_lets_its_sender_go_on_forever() -> None:
    ledger, window = Ledger(), Window()
    ledger.share(0, 0)
    for _ in range(1_000):
        assert window.sent_messages < window.granted_messages
        assert window.sent_bytes < window.granted_bytes
        window.sent_messages += 1
        window.sent_bytes += 100_000
        grant = ledger.take(100_000)
        if grant is not None:
            window.grant(*grant)


def test_senders_share_the_mailbox_and_who_goes_leaves_its_share() -> None:
    ledgers: Ledgers[str] = Ledgers(3_000, 3 << 20)
    assert ledgers.take("a", 0) == (3_001, 3 << 20, 0)
    assert ledgers.take("b", 0) == (1_501, 3 << 19, 0)
    ledgers.forget("a")
    granted = [grant for _ in range(1_501) if (grant := ledgers.take("b", 0)) is not None]
    assert granted[-1][0] - 1_502 > 1_500


def test_grant_that_is_overtaken_does_no_harm() -> None:
    window = Window()
    assert (window.granted_messages, window.granted_bytes) == (FIRST_MESSAGES, FIRST_BYTES)
    window.grant(500, 5 << 20)
    window.grant(200, 2 << 20)
    assert (window.granted_messages, window.granted_bytes) == (500, 5 << 20)
