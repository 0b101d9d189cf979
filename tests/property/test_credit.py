"""Credit window and ledger under settlements, links that lose messages, and grants that are late or lost."""

from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import booleans, integers

from actorrt.actors.wire.credit import FIRST_MESSAGES, Grant, Ledgers, Window


class OneSender(RuleBasedStateMachine):
    """One sender and one actor: messages, settlements and grants under way, and the actor's mailbox."""

    @initialize(share=integers(1, 300))
    def begin(self, share: int) -> None:
        self.share = share
        self.window = Window()
        self.ledgers: Ledgers[str] = Ledgers(share, 1 << 30)
        self.settlements_count = 0
        self.forward: deque[int | None] = deque()  # None is a message, a number a settlement
        self.back: deque[Grant] = deque()
        self.mailbox_count = 0

    @rule(count=integers(1, 200))
    def send(self, count: int) -> None:
        for _ in range(count):
            if self.window.sent_messages < self.window.granted_messages:
                self.window.sent_messages += 1
                self.forward.append(None)

    @rule(count=integers(1, 100))
    def arrive(self, count: int) -> None:
        for _ in range(min(count, len(self.forward))):
            item = self.forward.popleft()
            if item is None:
                self.mailbox_count += 1
            else:
                self.back.append(self.ledgers.settle("sender", item, self.mailbox_count, 0))

    @rule(count=integers(1, 200))
    def take(self, count: int) -> None:
        for _ in range(min(count, self.mailbox_count)):
            self.mailbox_count -= 1
            grant = self.ledgers.take("sender", 0)
            if grant is not None:
                self.back.append(grant)

    @rule(count=integers(1, 10), is_out_of_order=booleans())
    def grants_arrive(self, count: int, is_out_of_order: bool) -> None:
        for _ in range(min(count, len(self.back))):
            self.window.grant(*(self.back.pop() if is_out_of_order else self.back.popleft()))

    @rule(lost_count=integers(0, 400), are_grants_lost=booleans())
    def settle_anew(self, lost_count: int, are_grants_lost: bool) -> None:
        """Lose the link and the last messages under way; the route leads to the same actor again."""
        for _ in range(min(lost_count, len(self.forward))):
            self.forward.pop()
        self.arrive(len(self.forward))
        if are_grants_lost:
            self.back.clear()
        self.settlements_count += 1
        self.window = Window(self.settlements_count)
        self.forward.append(self.settlements_count)

    @invariant()
    def the_mailbox_holds_its_bound_and_the_first_credit_of_one_stranger(self) -> None:
        under_way = sum(item is None for item in self.forward)
        assert self.mailbox_count + under_way <= max(self.share, FIRST_MESSAGES) + FIRST_MESSAGES
        assert self.mailbox_count + under_way <= self.share + FIRST_MESSAGES
        self.window.check_invariants()
        self.ledgers.check_invariants("sender", self.mailbox_count, 0)

    def teardown(self) -> None:
        """Check that any number of messages can pass after all messages have arrived and been handled."""
        if not hasattr(self, "window"):
            return
        passed_count = 0
        for _ in range(3 * self.share + 100):
            self.send(10)
            passed_count += sum(item is None for item in self.forward)
            self.arrive(len(self.forward))
            self.take(self.mailbox_count)
            self.grants_arrive(len(self.back), False)
        assert passed_count > self.share


def test_credit_neither_stalls_nor_exceeds_the_bound_over_settlements() -> None:
    run_state_machine_as_test(OneSender, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
