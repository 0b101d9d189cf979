"""Envelopes are what their descriptions say: those that are sent, of every kind, and by their lane."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt.actors.refs.ref import ActorRef
from actorrt.protocol import envelopes
from actorrt.protocol.envelopes import CHUNK_KINDS, STREAM_WINDOW_ITEMS
from actorrt.protocol.kinds import KINDS
from actorrt.tasks.submitting import in_hand
from actorrt.tasks.working.helping import Helping
from actorrt.tasks.working.worker import TaskWorker
from actorrt.transport.interfaces import Lane
from actorrt.transport.links.queued_link import QueuedLink
from tests.losing import lose
from tests.unit.actors.calling.linked import Gated, World, ended, stage, turns, value, world
from tests.unit.protocol.fitting import check_fits

NUMBERS = {name: number for name, number in vars(envelopes).items() if name.isupper() and isinstance(number, int)}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Lane, Sequence[Any]]]:
    """What links send, each checked when it is."""
    seen: list[tuple[Lane, Sequence[Any]]] = []
    send = QueuedLink.send

    def checked(link: QueuedLink, envelope: Sequence[Any], buffers: Sequence[Any] = ()) -> int:
        check_fits(envelope)
        seen.append((link.lane, envelope))
        return send(link, envelope, buffers)

    monkeypatch.setattr(QueuedLink, "send", checked)
    return seen


@pytest.fixture
async def w(sent: list[Any]) -> AsyncIterator[World]:
    async with world() as made:
        yield made


class Source(art.Actor):
    """Yields, fails, and takes its time."""

    async def items(self, count: int) -> Any:
        for number in range(count):
            yield number

    def fail(self) -> None:
        raise ValueError("no")

    def echo(self, given: Any) -> Any:
        return given


async def test_envelopes_of_each_kind_are_sent_as_described_and_on_their_lanes(w: World, sent: list[Any]) -> None:
    await _messages()
    await _withdrawn(w)
    await _moved(w)
    await _tasks()
    assert {envelope[0] for _, envelope in sent} == KINDS.keys() - CHUNK_KINDS
    asked = {envelopes.REQUEST, envelopes.RESPONSE, envelopes.REFUSAL}
    wrong = [
        (lane, envelope)
        for lane, envelope in sent
        if lane.name.lower() != KINDS[envelope[0]].lane and envelope[0] not in asked
    ]
    assert wrong == []


async def _messages() -> None:
    source = await Source.options(isolation="process").spawn()
    taken = [item async for item in source.items(3 * STREAM_WINDOW_ITEMS)]
    assert len(taken) == 3 * STREAM_WINDOW_ITEMS
    for given in (1, "x", [1, {"a": (2, 3)}], np.zeros(10), np.zeros(100_000), art.put(np.zeros(10))):
        await source.echo.options(timeout_s=30, key=str(type(given)))(given)
        source.echo.tell(given)
    with pytest.raises(ValueError, match="no"):
        await source.fail()
    await asyncio.gather(*[source.echo(number) for number in range(300)])
    await source.stop()
    with pytest.raises(art.NameNotFoundError):
        await art.lookup("nobody")


async def _withdrawn(w: World) -> None:
    actor = await w.actor()
    running, waiting = await w.holding(actor), actor.note("never")
    waiting.cancel()
    late = actor.note.options(timeout_s=0.01)("late")
    assert (await ended(late))[0] is art.CallTimeoutError
    stage[-1].went_on.set()
    await value(running)


@art.task(cpus=0)
async def inverse(number: int) -> float:
    task = in_hand.task.get()
    assert task is not None
    assert isinstance(task.worker, Helping)
    assert isinstance(task.worker.worker, TaskWorker)
    workers.append(task.worker.worker)
    await asyncio.sleep(number)
    return 1 / number


workers: list[TaskWorker] = []


async def _tasks() -> None:
    with pytest.raises(ZeroDivisionError):
        await inverse.submit(0)
    worker = workers[0]
    worker.wait_begins(None)  # as plain code does
    given_back = inverse.submit(10)
    await turns()
    worker.wait_ends()
    await given_back.cancel()
    assert await art.task(abs).submit(-1) == 1
    running = inverse.submit(10)
    await turns()
    await running.cancel()
    assert await art.task(lambda number: -number).submit(1) == -1
    gc.collect()  # nobody can submit that function any more
    await turns()
    lost = art.task(np.ones).submit(100_000)
    await art.wait([lost])
    lose(lost)
    assert (await art.task(np.sum).submit(lost)) == 100_000  # it is asked back, since its argument is made again


async def _moved(w: World) -> None:
    """Send to where an actor is no longer, and find it anew where it was left."""
    known = await w.actor()
    other = await w.actor()
    wrong: ActorRef[Gated] = w.stranger(known, other._seen)
    assert await value(wrong.note("found")) == "found"
    await value(wrong.note("found again"))
    w.endpoint.peer_failed(w.peer(wrong), art.PeerUnreachableError("for the test"))
    await turns()
    assert await value(wrong.note("found anew")) == "found anew"


def test_kinds_have_numbers_of_their_own_and_descriptions() -> None:
    kinds = {name: number for name, number in NUMBERS.items() if name != "STREAM_WINDOW_ITEMS"}
    assert sorted(kinds.values()) == sorted(KINDS)
    named = {name.replace("_", "").lower(): number for name, number in kinds.items()}
    described = {kind.fields.__name__.removesuffix("Envelope").lower(): number for number, kind in KINDS.items()}
    assert described == named
