"""The mailbox compared with a list: the waiting messages, their order, and the counts."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actorrt.actors.cells.mailbox import Mailbox
from actorrt.actors.policy.options import Overflow
from actorrt.actors.refs.message import Message, Signal, Tick

HERE: Any = "here"
CALLERS: list[Any] = [HERE, "near", "far", None]
MOST_MESSAGES = 4
MOST_BYTES = 400


class Model(RuleBasedStateMachine):
    """Offers, takes and withdraws messages at random, and does the same with a plain list."""

    @initialize(overflow=st.sampled_from(list(Overflow)))
    def begin(self, overflow: Overflow) -> None:
        self.mailbox = Mailbox(MOST_MESSAGES, MOST_BYTES, overflow, HERE)
        self.overflow = overflow
        self.waiting: list[Message] = []
        self.last_id = 0

    def messages(self) -> list[Message]:
        return [m for m in self.waiting if not isinstance(m, Signal)]

    def exceeds(self, message: Message) -> bool:
        messages = self.messages()
        return len(messages) >= MOST_MESSAGES or sum(m.size_bytes for m in messages) + message.size_bytes > MOST_BYTES

    def expected(self, message: Message) -> list[Message]:
        """Return the messages that a new message displaces; add it to the list unless it is dropped itself."""
        gone: list[Message] = []
        is_tight = self.overflow not in (Overflow.BLOCK, Overflow.LATEST) and self.exceeds(message)
        if is_tight and (self.overflow is not Overflow.DROP_OLD or message.size_bytes > MOST_BYTES):
            return [message]
        while self.overflow is Overflow.DROP_OLD and self.exceeds(message):
            gone.append(self.messages()[0])
            self.waiting.remove(gone[-1])
        if self.overflow is Overflow.LATEST:
            gone, self.waiting = self.messages(), [m for m in self.waiting if isinstance(m, Signal)]
        self.waiting.append(message)
        return gone

    @rule(caller=st.sampled_from(CALLERS), is_call=st.booleans(), length=st.integers(0, 500))
    def offer(self, caller: Any, is_call: bool, length: int) -> None:
        self.last_id += 1
        call_id = self.last_id if is_call and caller is not None else 0
        message = Message(caller, call_id, "m", ["x" * length], (), None, None)
        assert list(self.mailbox.offer(message)) == self.expected(message)

    @rule()
    def signal(self) -> None:
        signal = Signal("on_down", ("x" * 1_000,))
        assert list(self.mailbox.offer(signal)) == []
        self.waiting.append(signal)

    @rule()
    def tick(self) -> None:
        tick = Tick("tick", ())
        assert list(self.mailbox.offer(tick)) == self.expected(tick)

    @precondition(lambda self: self.waiting)
    @rule()
    def take(self) -> None:
        assert self.mailbox.take() is self.waiting.pop(0)

    @precondition(lambda self: any(m.call_id for m in self.waiting))
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        message = data.draw(st.sampled_from([m for m in self.waiting if m.call_id]))
        assert message.caller is not None
        assert self.mailbox.withdraw(message.caller, message.call_id) is message
        assert self.mailbox.withdraw(message.caller, message.call_id) is None
        self.waiting.remove(message)

    @rule(caller=st.sampled_from(CALLERS[1:3]))
    def caller_is_gone(self, caller: Any) -> None:
        self.mailbox.withdraw_all(caller)
        self.waiting = [m for m in self.waiting if m.caller is not caller or not m.call_id]

    @rule()
    def take_all(self) -> None:
        assert list(self.mailbox.take_all()) == self.waiting
        self.waiting = []

    @invariant()
    def agrees(self) -> None:
        assert list(self.mailbox.waiting()) == self.waiting
        assert len(self.mailbox) == len(self.waiting)
        assert bool(self.mailbox.queue) == bool(self.waiting)
        assert list(self.mailbox.contradictions()) == []
        assert all(m.is_waiting == (m in self.waiting) for m in self.waiting if isinstance(m, Tick))


TestMailbox = Model.TestCase
TestMailbox.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
