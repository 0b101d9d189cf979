"""The setup of a link in unit tests of links: what each link needs, with callbacks that a test may replace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from actorrt.ids import PeerId
from actorrt.transport.frames.sequence import Receipts
from actorrt.transport.interfaces import Lane
from actorrt.transport.links.flusher import Flusher
from actorrt.transport.links.queued_link import LinkSetup
from tests.fake_loop import FakeLoop, LoopClock

HELLO: Final = b"hello"


def _ignore(*_: Any) -> None:
    pass


def link_setup(loop: FakeLoop, address: str, is_lasting: bool = False, **callbacks: Callable[..., None]) -> LinkSetup:
    """Return the setup of a link to `address` on the user lane; callbacks that are not given do nothing."""
    names = ("on_awaiting", "on_unreachable", "on_given_up", "on_refused", "on_bad", "on_trouble")
    assert set(callbacks) <= set(names)
    given: dict[str, Any] = {name: callbacks.get(name, _ignore) for name in names}
    return LinkSetup(
        peer=PeerId(b"p" * 16),
        address=address,
        lane=Lane.USER,
        hello=HELLO,
        first=0,
        receipts=Receipts(),
        flusher=Flusher(loop),
        clock=LoopClock(loop),
        queue_bytes=1 << 30,
        connect_timeout_s=60.0,
        is_lasting=is_lasting,
        **given,
    )
