"""The way back to a caller in another process, where the link is at its bound or gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actorrt import errors
from actorrt.actors.hosting.callers import RemoteCaller
from actorrt.ids import PeerId


class Link:
    """Takes so many envelopes, then says that it is full, or closed."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.is_closed = False
        self.sent: list[Any] = []

    def send(self, envelope: tuple[Any, ...], buffers: Sequence[bytes]) -> None:
        if self.is_closed:
            raise errors.PeerUnreachableError("closed")
        if len(self.sent) >= self.room:
            raise errors.MailboxFullError("full")
        self.sent.append(envelope[1])


class Endpoint:
    """Stands for all that a caller needs: a link, and timers that are run by hand."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.due: list[Callable[[], None]] = []

    def link_to(self, _: PeerId) -> Link:
        return self.link

    def after(self, _: float, callback: Callable[[], None]) -> None:
        self.due.append(callback)

    def run(self) -> None:
        due, self.due = self.due, []
        for callback in due:
            callback()


def caller_with(room: int) -> tuple[RemoteCaller, Link, Endpoint]:
    link = Link(room)
    endpoint: Any = Endpoint(link)
    return RemoteCaller(PeerId(b"p" * 16), endpoint, endpoint, endpoint, endpoint, endpoint.after), link, endpoint


def test_outcomes_keep_their_order_while_the_link_is_at_its_bound() -> None:
    caller, link, endpoint = caller_with(2)
    for n in range(5):
        caller.succeed(n, None)
    assert (link.sent, len(endpoint.due)) == ([0, 1], 1)
    link.room = 4
    endpoint.run()
    caller.succeed(5, None)
    assert (link.sent, len(endpoint.due)) == ([0, 1, 2, 3], 1)
    link.room = 100
    endpoint.run()
    caller.succeed(6, None)
    assert (link.sent, endpoint.due) == ([0, 1, 2, 3, 4, 5, 6], [])


def test_outcomes_for_a_caller_that_is_gone_are_dropped() -> None:
    caller, link, endpoint = caller_with(1)
    for n in range(3):
        caller.succeed(n, None)
    link.is_closed = True
    endpoint.run()
    assert (link.sent, endpoint.due) == ([0], [])
