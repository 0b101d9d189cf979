"""The way back to a caller in another process, where the link is at its bound or gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actorrt import errors
from actorrt.actors.hosting.callers import LocalCaller, RemoteCaller
from actorrt.actors.wire.payload import Payloads
from actorrt.completion import Completion
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
    return RemoteCaller(PeerId(b"p" * 16), endpoint, endpoint, endpoint, endpoint, 7), link, endpoint


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


class OwnCalls:
    """The pending calls of an endpoint, by their numbers."""

    def __init__(self) -> None:
        self.replies: dict[int, Completion[Any]] = {7: Completion()}
        self.errors: list[tuple[int, BaseException]] = []
        self.items: list[tuple[int, Any]] = []

    def take(self, call_id: int) -> Any:
        return self.replies.pop(call_id, None)

    def failed(self, call_id: int, error: BaseException) -> None:
        self.errors.append((call_id, error))

    def arrived(self, call_id: int, item: Any) -> None:
        self.items.append((call_id, item))


def local_caller(calls: Any, origins: list[Any] | None = None) -> LocalCaller:
    keep = None if origins is None else lambda call_id, error: origins.append((call_id, error))
    return LocalCaller(calls, calls, Payloads(None, None), keep)


def test_result_inside_an_endpoint_is_a_copy() -> None:
    calls = OwnCalls()
    reply, value = calls.replies[7], [1, [2]]
    local_caller(calls).succeed(7, value)
    assert reply.value() == value
    assert reply.value() is not value
    local_caller(calls).succeed(7, 8)  # its caller has withdrawn it


def test_item_inside_an_endpoint_is_a_copy() -> None:
    calls, item = OwnCalls(), [1]
    local_caller(calls).item(7, item)
    ((call_id, copied),) = calls.items
    assert (call_id, copied, copied is item) == (7, [1], False)


def test_error_inside_an_endpoint_is_as_one_that_has_travelled_and_its_origin_is_kept() -> None:
    calls, origins, error = OwnCalls(), [], ValueError("no")
    local_caller(calls, origins).fail(7, error, "actor.step()", "yes")
    ((call_id, rebuilt),) = calls.errors
    assert (call_id, type(rebuilt), str(rebuilt), rebuilt is error) == (7, ValueError, "no", False)
    assert "actor.step()" in rebuilt.__notes__[0]
    assert origins == [(7, error)]


def test_refusal_inside_an_endpoint_is_told_as_it_is() -> None:
    calls, error = OwnCalls(), errors.CallCancelledError("withdrawn")
    local_caller(calls).refuse(7, error)
    assert calls.errors == [(7, error)]
