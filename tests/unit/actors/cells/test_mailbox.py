"""The mailbox alone: what it keeps, what it gives up, and whom it lets in."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt.actors.cells.mailbox import Mailbox
from actorrt.actors.policy.options import Overflow
from actorrt.actors.refs.message import Message, Signal, Tick
from actorrt.actors.wire.credit import Grant

HERE: Any = "here"
FAR: Any = "far"
ANOTHER: Any = "another"


def mailbox_of(messages: int, overflow: Overflow = Overflow.BLOCK, size_bytes: int = 1 << 20) -> Mailbox:
    return Mailbox(messages, size_bytes, overflow, HERE)


def message(name: str, caller: Any = FAR, call_id: int = 0) -> Message:
    return Message(caller, call_id, name, (), (), None, None)


def names(messages: Any) -> list[str]:
    return [m.method for m in messages]


def assert_sound(mailbox: Mailbox) -> None:
    assert list(mailbox.contradictions()) == []


@pytest.mark.parametrize("overflow", list(Overflow))
def test_signal_is_neither_refused_nor_displaced_and_keeps_its_place(overflow: Overflow) -> None:
    mailbox = mailbox_of(2, overflow)
    for name in "abc":
        mailbox.offer(message(name))
    assert mailbox.offer(Signal("on_down", ())) == ()
    for name in "de":
        mailbox.offer(message(name))
    assert_sound(mailbox)
    kept = {
        Overflow.BLOCK: ["a", "b", "c", "!on_down", "d", "e"],
        Overflow.FAIL: ["a", "b", "!on_down"],
        Overflow.DROP_NEW: ["a", "b", "!on_down"],
        Overflow.DROP_OLD: ["!on_down", "d", "e"],
        Overflow.LATEST: ["!on_down", "e"],
    }
    assert names(mailbox.take_all()) == kept[overflow]
    assert_sound(mailbox)


def test_signals_take_no_room_from_messages() -> None:
    mailbox = mailbox_of(2, Overflow.FAIL, size_bytes=200)
    for _ in range(10):
        mailbox.offer(Signal("on_exit", ("x" * 1_000,)))
    assert [mailbox.offer(message(name)) for name in "ab"] == [[], []]
    refused = message("c")
    assert mailbox.offer(refused) == (refused,)


def test_withdrawn_calls_leave_and_the_rest_keep_their_order() -> None:
    mailbox = mailbox_of(100)
    for n in range(10):
        mailbox.offer(message(f"m{n}", call_id=n + 1))
    for n in (3, 0, 9, 4):
        withdrawn = mailbox.withdraw(FAR, n + 1)
        assert withdrawn is not None
        assert withdrawn.method == f"m{n}"
        assert_sound(mailbox)
    assert mailbox.withdraw(FAR, 1) is None
    assert mailbox.withdraw(HERE, 2) is None
    assert len(mailbox) == 6
    mailbox.offer(message("m10", call_id=11))
    assert mailbox.withdraw(FAR, 11) is not None
    assert names(mailbox.waiting()) == ["m1", "m2", "m5", "m6", "m7", "m8"]
    assert names([mailbox.take() for _ in range(6)]) == ["m1", "m2", "m5", "m6", "m7", "m8"]
    assert (len(mailbox), mailbox.queued_bytes) == (0, 0)
    assert_sound(mailbox)


class Counted(Message):
    """Counts how often its number is looked at."""

    __slots__ = ()
    looks = 0

    @property
    def call_id(self) -> int:  # type: ignore[override]
        Counted.looks += 1
        return self.size_bytes - 64

    @call_id.setter
    def call_id(self, _: int) -> None: ...


def test_withdrawing_every_call_looks_at_each_a_few_times() -> None:
    count = 2_000
    mailbox = mailbox_of(count)
    for n in range(count):
        mailbox.offer(Counted(FAR, 0, "m", ["x" * (n + 1)], (), None, None))
    Counted.looks = 0
    for n in reversed(range(count)):
        assert mailbox.withdraw(FAR, n + 1) is not None
    assert Counted.looks <= 4 * count
    assert (len(mailbox), list(mailbox.queue)) == (0, [])


def test_what_is_withdrawn_does_not_pile_up_behind_a_message_that_stays() -> None:
    mailbox = mailbox_of(100)
    mailbox.offer(message("stays", call_id=1))
    for n in range(2, 1_000):
        mailbox.offer(message("goes", call_id=n))
        assert mailbox.withdraw(FAR, n) is not None
        assert len(mailbox.queue) <= 2
    assert_sound(mailbox)


def test_calls_of_a_caller_that_is_gone_go_and_what_it_told_stays_as_nobodys() -> None:
    mailbox = mailbox_of(100)
    mailbox.offer(message("ask", FAR, 1))
    mailbox.offer(message("other", HERE, 1))
    mailbox.offer(message("tell", FAR))
    mailbox.withdraw_all(FAR)
    assert [(m.method, m.caller) for m in mailbox.waiting()] == [("other", HERE), ("tell", None)]
    assert_sound(mailbox)


def test_others_can_not_take_the_room_of_the_actors_own_process() -> None:
    mailbox = mailbox_of(10)
    for _ in range(20):
        mailbox.offer(message("m"))
    assert mailbox.has_local_room
    for _ in range(2):
        mailbox.take()
        mailbox.credit(FAR, 64)
    for _ in range(5):
        assert mailbox.has_local_room
        mailbox.offer(message("m", HERE))
    assert not mailbox.has_local_room
    mailbox.withdraw_all(FAR)  # it is gone: its share is this process's
    assert mailbox.has_local_room
    assert_sound(mailbox)


def test_others_get_less_once_the_actors_own_process_has_to_wait() -> None:
    mailbox = mailbox_of(1_000)
    assert mailbox.credit(FAR, 64) == Grant(1_001, (1 << 20) + 64)
    mailbox.share_here()
    assert mailbox.credit(ANOTHER, 64) == Grant(334, 1 << 20)  # a first MiB is any sender's


def test_tick_is_waiting_until_it_is_taken_displaced_or_refused() -> None:
    mailbox = mailbox_of(1, Overflow.LATEST)
    first, second = Tick("tick", ()), Tick("tick", ())
    mailbox.offer(first)
    assert first.is_waiting
    mailbox.offer(second)
    assert (first.is_waiting, second.is_waiting) == (False, True)
    mailbox.take()
    assert not second.is_waiting
    refusing, refused = mailbox_of(1, Overflow.FAIL), Tick("tick", ())
    refusing.offer(message("m"))
    assert refusing.offer(refused) == (refused,)
    assert not refused.is_waiting
