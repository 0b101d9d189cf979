"""Control conversations end whatever a handler raises or answers, and whatever keeps an envelope from leaving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.wire.control import Control
from actorrt.ids import PeerAddress, PeerId
from actorrt.protocol.envelopes import REFUSAL, RESPONSE
from actorrt.scopes import Scope
from actorrt.transport.interfaces import Lane
from tests.unit.protocol.asking import Ask, Note

HERE, THERE = PeerId(b"h" * 16), PeerId(b"t" * 16)
FAR = PeerAddress(THERE, "memory://there")


class Wire:
    """Two ends, which hand each other envelopes as a transport does: those that can be packed, in a later step.

    Attributes:
        refusal: what sending raises, while it is set.
        sent: the envelopes that left, in their order.
    """

    def __init__(self, peer: PeerId, wires: dict[PeerId, Wire]) -> None:
        self.peer = peer
        self.address = f"memory://{peer[:1].decode()}"
        self.refusal: Exception | None = None
        self.sent: list[Any] = []
        self._wires = wires
        self._to: PeerId = peer
        self.control: Control

    def address_of(self, peer: PeerId) -> str:
        return self._wires[peer].address

    def link(self, peer: PeerId, _: str, lane: Lane) -> Wire:
        assert lane is Lane.CONTROL
        self._to = peer
        return self

    def send(self, envelope: list[Any]) -> None:
        from actorrt.transport.frames.codec import check_envelope, pack_envelope

        if self.refusal is not None:
            raise self.refusal
        check_envelope(envelope, len(pack_envelope(envelope)), ())
        self.sent.append(envelope)
        asyncio.get_running_loop().call_soon(self._wires[self._to].control.received, self.peer, envelope)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Wire, Wire]]:
    """Two endpoints that can speak, neither of which may fail."""
    ends: dict[PeerId, Wire] = {}
    crashes: list[BaseException] = []
    scope = Scope("control", crashes.append)
    for peer in (HERE, THERE):
        wire: Any = Wire(peer, ends)
        ends[peer] = wire
        wire.control = Control(wire, scope)
    yield ends[HERE], ends[THERE]
    await scope.close()
    assert crashes == []


@pytest.fixture
async def wires() -> AsyncIterator[tuple[Wire, Wire]]:
    async with connected() as ends:
        yield ends


def deep(depth: int) -> Any:
    return [deep(depth - 1)] if depth else []


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not to be shown")


ANSWERS: dict[str, Callable[[], Any]] = {
    "too many": lambda: list(range(40_000)),
    "too large": lambda: b"x" * (65 << 20),
    "surrogate": lambda: ["\ud800"],
    "no plain data": object,
    "too deep": lambda: ["x" * 40_000, deep(20)],
    "too great a number": lambda: 1 << 80,
}
RAISED: dict[str, Callable[[], BaseException]] = {
    "of actorrt": lambda: errors.NameTakenError("taken \ud800"),
    "any": lambda: KeyError("\ud800"),
    "mute": Mute,
    "interrupt": lambda: GeneratorExit(),
    "exit": lambda: SystemExit(3),
    "cancelled": asyncio.CancelledError,
}


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "waiting"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_answer_that_does_not_fit_is_a_refusal_in_words(wires: tuple[Wire, Wire], name: str, waits: bool) -> None:
    here, there = wires

    async def later() -> Any:
        await asyncio.sleep(0)
        return ANSWERS[name]()

    there.control.handle(Ask.by(lambda *_: later() if waits else ANSWERS[name]()))
    with pytest.raises(errors.SerializationError, match="the answer can't be sent"):
        await here.control.request(FAR, Ask())
    there.control.handle(Ask.by(lambda *_: "well"))
    assert await here.control.request(FAR, Ask()) == "well"


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "waiting"])
@pytest.mark.parametrize("name", RAISED)
async def test_whatever_a_handler_raises_is_a_refusal(wires: tuple[Wire, Wire], name: str, waits: bool) -> None:
    here, there = wires

    async def later() -> Any:
        await asyncio.sleep(0)
        raise RAISED[name]()

    def at_once() -> Any:
        raise RAISED[name]()

    there.control.handle(Ask.by(lambda *_: later() if waits else at_once()))
    with pytest.raises(errors.ActorRtError):
        await asyncio.wait_for(awaited(here), 10)


async def awaited(here: Wire) -> Any:
    return await here.control.request(FAR, Ask())


@pytest.mark.parametrize("error", [errors.SerializationError("x"), OSError(24, "none left"), ValueError("x")])
async def test_request_that_can_not_be_sent_ends_with_the_reason_and_is_forgotten(
    wires: tuple[Wire, Wire], error: Exception
) -> None:
    here, _ = wires
    here.refusal = error
    with pytest.raises(type(error)):
        await here.control.request(FAR, Ask())
    here.refusal = None
    with pytest.raises(UnicodeEncodeError):
        await here.control.request(FAR, Ask(name="\ud800"))
    assert len(here.control) == 0


async def test_notices_keep_their_order_while_the_link_is_at_its_bound(wires: tuple[Wire, Wire]) -> None:
    here, _ = wires
    here.refusal = errors.MailboxFullError("full")
    assert [here.control.notify(FAR, Note(name=str(n))) for n in range(3)] == [True] * 3
    assert not here.control.notify(FAR, Note(name="now or never"), may_wait=False)
    here.refusal = None
    assert here.control.notify(FAR, Note(name="3"))
    while len(here.sent) < 4:
        await asyncio.sleep(0.01)
    assert [data["name"] for _, _, data in here.sent] == ["0", "1", "2", "3"]


def unwritable() -> Any:
    """Return a notice of which nothing can be sent: a field was never set."""
    return object.__new__(Note)


async def test_notice_lets_nothing_out(wires: tuple[Wire, Wire]) -> None:
    here, _ = wires
    for refusal in (errors.PeerUnreachableError("gone"), errors.SerializationError("x"), OSError(24, "none left")):
        here.refusal = refusal
        assert not here.control.notify(FAR, Note(name="x"))
    here.refusal = None
    assert not here.control.notify(FAR, Note(name="\ud800"))
    assert not here.control.notify(FAR, unwritable())
    assert here.sent == []


async def test_wrong_form_and_unknown_verb_are_refused_in_words_before_any_handler(wires: tuple[Wire, Wire]) -> None:
    here, there = wires
    with pytest.raises(errors.RuntimeStateError, match="does not answer 'note_of_tests'"):
        await here.control.request(FAR, Note(name="x"))
    heard: list[str] = []
    there.control.handle(Note.by(lambda _, note: heard.append(note.name)))
    wrong: Any = 7
    with pytest.raises(ValueError, match=r"note_of_tests\.name is 7: it has to be a string"):
        await here.control.request(FAR, Note(name=wrong))
    assert heard == []


@pytest.mark.parametrize("outcome", [7, [], {}, {"type": 3}], ids=repr)
@pytest.mark.parametrize("kind", [RESPONSE, REFUSAL])
async def test_answer_of_a_wrong_form_is_an_error_in_words(wires: tuple[Wire, Wire], kind: int, outcome: Any) -> None:
    here, there = wires
    there.control.handle(Note.by(lambda *_: None))
    answer = here.control.request(FAR, Note(name="x"))
    here.control.received(THERE, [kind, 1, outcome])
    with pytest.raises(errors.SerializationError, match="gave no answer: "):
        await answer


async def test_request_ends_with_the_loss_of_the_process_that_was_asked(wires: tuple[Wire, Wire]) -> None:
    here, there = wires
    there.control.handle(Ask.by(lambda *_: asyncio.Event().wait()))
    for error in (errors.ActorDiedError("its process ended"), errors.PeerUnreachableError("nobody answers")):
        answer = here.control.request(FAR, Ask())
        here.control.peer_lost(HERE, errors.ActorDiedError("another one"))
        assert not answer.done()
        here.control.peer_lost(THERE, error)
        with pytest.raises(type(error)):
            await answer
        assert len(here.control) == 0
