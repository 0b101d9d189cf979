"""A link over connections that break at random: each frame is received once and in order."""

from __future__ import annotations

from collections import deque

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actorrt.transport.frames.sequence import Receipts, SendWindow

FIRST = 3


class Link(RuleBasedStateMachine):
    """The sender's window, the far end's receipts, and a connection: frames one way, acknowledgements the other."""

    def __init__(self) -> None:
        super().__init__()
        self.window = SendWindow(FIRST)
        self.receipts = Receipts()
        self.receipts.begin(FIRST)
        self.forward: deque[tuple[int, bytes]] = deque()
        self.back: deque[int] = deque()
        self.beside: list[int] = []  # acknowledgements in frames of the other direction, over another connection
        self.sent: list[bytes] = []
        self.taken: list[bytes] = []
        self.handed = FIRST

    @rule(size_bytes=st.integers(1, 100))
    def send(self, size_bytes: int) -> None:
        name = b"%d" % len(self.sent)
        self.sent.append(name)
        self.window.push(((name,), 1, size_bytes))

    @rule(count=st.integers(1, 5))
    def transmit(self, count: int) -> None:
        for _ in range(count):
            frame = self.window.next_to_hand
            if frame is None:
                return
            number = self.window.next - len(self.window.waiting)
            self.window.handed(frame)
            self.forward.append((number, bytes(frame[0][0])))

    @rule(count=st.integers(1, 5))
    def arrive(self, count: int) -> None:
        for _ in range(min(count, len(self.forward))):
            number, name = self.forward.popleft()
            assert number <= self.receipts.received
            if number == self.receipts.received:
                self.receipts.received += 1
                self.taken.append(name)

    @rule(is_beside=st.booleans())
    def tell(self, is_beside: bool) -> None:
        (self.beside if is_beside else self.back).append(self.receipts.acknowledge())

    @rule()
    def hear(self) -> None:
        if self.back:
            assert self.window.acknowledge(self.back.popleft())

    @rule(data=st.data())
    def hear_beside(self, data: st.DataObject) -> None:
        if self.beside:
            assert self.window.acknowledge(self.beside.pop(data.draw(st.integers(0, len(self.beside) - 1))))

    @rule()
    def never_sent_is_never_acknowledged(self) -> None:
        assert not self.window.acknowledge(self.window.next + 1)

    @rule()
    def break_connection(self) -> None:
        self.forward.clear()
        self.back.clear()
        self.window.rewind()
        assert self.receipts.begin(FIRST)

    @invariant()
    def what_was_taken_is_what_was_sent(self) -> None:
        assert self.taken == self.sent[: len(self.taken)]
        assert self.window.acknowledged <= self.receipts.received <= self.window.next
        assert len(self.window) == self.window.next - self.window.acknowledged

    def teardown(self) -> None:
        self.transmit(len(self.sent))
        self.arrive(len(self.forward))
        assert self.taken == self.sent
        assert self.window.acknowledge(self.receipts.acknowledge())
        assert (len(self.window), self.window.unacknowledged_bytes, self.window.waiting_bytes) == (0, 0, 0)


TestLink = Link.TestCase
