"""Monitors at the side of those who ask: what is asked of whom, and when a Down is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.calling import monitors as monitors_module
from actorrt.actors.calling.monitors import Monitors
from actorrt.actors.refs.ends import Down
from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.actors.wire.credit import FIRST_MESSAGES
from actorrt.ids import PeerAddress
from actorrt.protocol.authorities import DownReport, Monitor
from actorrt.protocol.envelopes import TELL
from actorrt.protocol.processes import Fence, Flush
from actorrt.reasons import ExitKind, ExitReason
from actorrt.scopes import Scope
from actorrt.transport.interfaces import Lane
from tests.unit.actors.calling.fakes import ACTOR, HERE, NODE, THERE, CallingSide
from tests.unit.records import crashed

KILLED = ExitReason(ExitKind.KILLED, "killed by the test")


class Watching(CallingSide):
    """A calling side with monitors, whose operations run on the test's loop."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        threads = LoopThread()
        threads.begin(scope.loop, scope)
        self.monitors = Monitors(threads, self.control, self.routes, self.peers)

    async def asked(self, number: int) -> Any:
        """Return the request of that number, once it was made."""
        while len(self.control.asked) <= number:
            await asyncio.sleep(0)
        return self.control.asked[number]


@pytest.fixture
async def side(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(monitors_module, "DEATH_GRACE_S", 0.0)
    scope = Scope("test", crashed)
    yield Watching(scope)
    await scope.close()


def ended(incarnation: int = 1, peer_address: PeerAddress | None = None, is_final: bool = True) -> DownReport:
    return DownReport(reason=KILLED, incarnation=incarnation, is_final=is_final, peer_address=peer_address)


async def test_down_is_what_the_authority_says(side: Watching) -> None:
    ref = side.ref()
    watch = side.monitors.watch(ref)
    asked = await side.asked(0)
    assert (asked.to, asked.request) == (NODE, Monitor(actor=ACTOR, since=None))
    asked.set_value(ended(3))
    assert await watch == Down(ref, KILLED, 3, is_final=True)


async def test_down_waits_for_what_the_actors_process_had_sent(side: Watching) -> None:
    watch = side.monitors.watch(side.ref())
    (await side.asked(0)).set_value(ended(peer_address=THERE))
    flush = await side.asked(1)
    assert (flush.to, flush.request, watch.done()) == (THERE, Flush(address=HERE.address), False)
    flush.set_value(None)
    assert (await watch).reason == KILLED


async def test_down_does_not_wait_for_a_process_that_is_silent_for_long(
    side: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitors_module, "LAST_WORDS_TIMEOUT_S", 0.0)
    watch = side.monitors.watch(side.ref())
    (await side.asked(0)).set_value(ended(peer_address=THERE))
    assert (await watch).incarnation == 1


@pytest.mark.parametrize("is_known", [True, False], ids=["known to be lost", "lost meanwhile"])
async def test_down_of_an_actor_whose_process_is_gone(side: Watching, is_known: bool) -> None:
    watch = side.monitors.watch(side.ref())
    if is_known:
        side.peers.lost(THERE.peer, KILLED)
    (await side.asked(0)).set_value(ended(peer_address=THERE))
    if not is_known:
        (await side.asked(1)).set_error(errors.PeerUnreachableError("no answer"))
    assert (await watch).incarnation == 1
    assert len(side.control.asked) == 2 - is_known


async def test_down_of_an_actor_of_this_process_waits_for_nothing(side: Watching) -> None:
    watch = side.monitors.watch(side.ref(HERE))
    (await side.asked(0)).set_value(ended(peer_address=HERE))
    assert (await watch).incarnation == 1
    assert len(side.control.asked) == 1


async def test_authority_that_has_ended_took_the_actor_with_it(side: Watching) -> None:
    watch = side.monitors.watch(ref := side.ref())
    asked = await side.asked(0)
    side.peers.lost(NODE.peer, KILLED)
    asked.set_error(errors.PeerUnreachableError("no answer"))
    assert await watch == Down(ref, KILLED, 0)


async def test_authority_that_lives_and_does_not_answer_is_the_monitors_error(side: Watching) -> None:
    watch = side.monitors.watch(side.ref())
    (await side.asked(0)).set_error(errors.PeerUnreachableError("no answer"))
    with pytest.raises(errors.PeerUnreachableError, match="no answer"):
        await watch


async def test_monitors_of_restarts_ask_for_the_newest_incarnation_that_was_not_told(side: Watching) -> None:
    ref = side.ref(incarnation=4)
    first = side.monitors.watch(ref, restarts=True)
    (await side.asked(0)).set_value(ended(4, is_final=False))
    assert (await first).is_final is False
    second = side.monitors.watch(ref, restarts=True)
    (await side.asked(1)).set_value(ended(5, is_final=True))
    await second
    third = side.monitors.watch(ref, restarts=True)
    (await side.asked(2)).set_value(ended(5))
    await third
    assert [asked.request.since for asked in side.control.asked] == [4, 5, 4]


async def test_peer_that_asks_for_a_flush_gets_a_fence_behind_what_waited_for_it(side: Watching) -> None:
    for number in range(FIRST_MESSAGES + 1):
        side.tell(side.ref(), number)
    flushing = asyncio.ensure_future(side.control.handlers[Flush](THERE.peer, Flush(address=THERE.address)))
    await asyncio.sleep(0)
    assert side.control.asked == []
    side.routes.granted(ACTOR, FIRST_MESSAGES + 1, 1 << 20, 0)
    fence = await side.asked(0)
    assert (fence.to, fence.request, fence.lane) == (THERE, Fence(), Lane.USER)
    assert [envelope[0] for envelope in side.sent] == [TELL] * (FIRST_MESSAGES + 1)
    fence.set_value(None)
    await flushing
