"""What a monitor says when an actor ends, and when it says so: once, after everything that the actor had said.

Links, by which one actor's end ends another, are in `links`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from actorrt import errors
from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.actors.refs.ends import Down
from actorrt.actors.refs.ref import ActorRef, require_ref
from actorrt.config import DEATH_GRACE_S
from actorrt.ids import PeerAddress, PeerId, short
from actorrt.protocol.authorities import Monitor
from actorrt.protocol.processes import Fence, Flush
from actorrt.transport.interfaces import Lane

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import System
    from actorrt.actors.refs.operation import Operation

logger = logging.getLogger(__name__)

LAST_WORDS_TIMEOUT_S: Final = 1.0
"""How long a Down waits for what the actor had sent; a process that lives and is silent for so long is hung."""


def monitor(ref: ActorRef[Any], *, restarts: bool = False) -> Operation[Down]:
    """Return what ends with a `Down` when the actor is gone for good; at once if it is gone already.

    Args:
        ref: the actor to watch.
        restarts: end also when an incarnation ends and another follows: the newest one that this process has heard of
            and has not been told of in this way.

    The Down comes after every message and reply of the actor that was on its way, when its children have ended and
    its name is free again.

    Raises:
        TypeError: `ref` is no ref.
    """
    return current_endpoint().monitor(require_ref("monitor", ref), restarts)


async def watch(system: System, ref: ActorRef[Any], restarts: bool) -> Down:
    """Return the Down that `monitor` promises."""
    asked = Monitor(actor=ref._actor_id, since=_incarnation_seen(system, ref) if restarts else None)
    try:
        report = await system.control.request(ref._authority, asked)
    except (errors.ActorDiedError, errors.PeerUnreachableError):
        reason = system.peers.reason_of_loss(ref._authority.peer)
        if reason is None:
            raise
        return Down(ref, reason, 0)  # its authority is gone, and the actor with it
    if report.endpoint is not None:
        await _last_words(system, report.endpoint)
    if report.is_final:
        system.ends_told.pop(ref._actor_id, None)
    else:
        system.ends_told[ref._actor_id] = report.incarnation
    return Down(ref, report.reason, report.incarnation, report.is_final)


def _incarnation_seen(system: System, ref: ActorRef[Any]) -> int:
    """Return the incarnation that this endpoint knows of: its end is told even if it came before the question."""
    seen = system.routes.sighting(ref._actor_id) or ref._seen
    newest = 0 if seen is None else seen.incarnation
    return max(newest, system.ends_told.get(ref._actor_id, -1) + 1)


async def _last_words(system: System, endpoint: PeerAddress) -> None:
    """Return when this endpoint has everything that the other had sent to it.

    A process that is gone has been heard out when its loss was settled, or will be within the grace; another is
    asked to send something along the way that its messages take.
    """
    if endpoint.peer == system.endpoint.peer:
        return
    try:
        if not system.peers.is_lost(endpoint.peer):
            async with asyncio.timeout(LAST_WORDS_TIMEOUT_S):
                await system.control.request(endpoint, Flush(address=system.endpoint.address))
            return
    except TimeoutError:
        return
    except errors.ActorRtError as error:
        logger.debug("%s ended before it could be heard out: %s", short(endpoint.peer), error)
    await asyncio.sleep(DEATH_GRACE_S)  # what it sent last may still lie in our socket


def serve_monitors(system: System) -> None:
    """Let others wait for what was sent to them, or waits here for its receiver to catch up."""

    async def flush(peer: PeerId, asked: Flush) -> None:
        await system.routes.drained(peer)
        await system.control.request(PeerAddress(peer, asked.address), Fence(), Lane.USER)

    system.control.handle(Flush.by(flush))
