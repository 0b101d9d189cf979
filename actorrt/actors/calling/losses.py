"""What becomes of the calls that an endpoint has when it is lost, or can't be spoken with.

A process that ended: the authority of each actor says what has become of it. One that lives and can't be reached: its
calls end, and the actors are tried again. `executed="no"` is said of a call only where its envelope never left.

The processes that end at about the same time are settled together, by one look at the pending calls: a node that
falls would otherwise have each of its processes looked for among all calls.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any, NamedTuple

from actorrt import errors
from actorrt.ids import PeerAddress, PeerId
from actorrt.protocol.authorities import AskFate
from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import System
    from actorrt.actors.refs.reply import Reply


class Loss(NamedTuple):
    """The end of a process.

    Attributes:
        why: how it ended.
        in_hand: the calls with retries that it was handling then, by their numbers.
    """

    why: ExitReason
    in_hand: Container[int]


class Losses:
    """Ends the calls of one endpoint that others have had."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._ended: dict[PeerId, Loss] = {}

    def process_ended(self, peer: PeerId, why: ExitReason, in_hand: Container[int] = ()) -> None:
        """Settle every call that the endpoint had, by what has become of each actor. See `Loss`."""
        self._system.routes.lost(peer)
        self._system.transits.lost(peer)
        if not self._ended:
            self._system.loop.call_soon(self._settle_all)
        self._ended[peer] = Loss(why, in_hand)

    def _settle_all(self) -> None:
        ended, self._ended = self._ended, {}
        by_place: dict[tuple[PeerId | None, bytes], list[Reply[Any]]] = {}
        for call in self._system.calls.at(ended):
            by_place.setdefault((call.peer, call.ref._actor_id), []).append(call)
        for (peer, _), calls in by_place.items():
            assert peer is not None
            self._ask_fate(calls, peer, ended[peer])

    def _ask_fate(self, calls: list[Reply[Any]], peer: PeerId, loss: Loss) -> None:
        ref = calls[0].ref
        route = self._system.routes.of(ref)
        fate = self._system.control.request(ref._authority, AskFate(actor=ref._actor_id, after=route.newest))

        def known(_: Any) -> None:
            error = verdict(self._system, ref._authority, fate.error())
            delay_s = 0.0 if error is not None else fate.value().starts_in_s
            for call in calls:
                if not call.done() and call.peer == peer:  # else it has ended, or found another way meanwhile
                    self._settle(call, error, loss, delay_s)

        fate.add_callback(known)

    def _settle(self, call: Reply[Any], error: BaseException | None, loss: Loss, delay_s: float) -> None:
        calls = self._system.calls
        if isinstance(error, errors.ActorDiedError):
            calls.fail(call, _died(call, error))
            return
        what = f"{call.label} died during {call.method}() and"
        if error is not None:
            message = f"{what} whether it is being restarted can't be found out ({error}); it died of: {loss.why}"
            calls.fail(call, errors.ActorUnavailableError(message, executed="maybe"))
            return
        when = f"is started again in {delay_s:.2g} s" if delay_s else "is being restarted"
        unavailable = errors.ActorUnavailableError(f"{what} {when}: {loss.why}", executed="maybe")
        if call.call_id in loss.in_hand:
            calls.killed(call, loss.why, unavailable)
        elif call.attempts_left > 0:
            calls.send_again(call)
        else:
            calls.fail(call, unavailable)

    def cut_off(self, peer: PeerId, error: errors.ActorRtError) -> None:
        """Fail every call that an endpoint has which can't be spoken with, though its process may live."""
        link = self._system.routes.lost(peer, is_alive=True)
        for call in self._system.calls.at((peer,)):
            has_left = link is None or call.sequence < link.left_below
            message = f"{call.label} can't be reached for {call.method}(): {error}"
            unavailable = errors.ActorUnavailableError(message, executed="maybe" if has_left else "no")
            self._system.calls.fail(call, unavailable)


def verdict(system: System, authority: PeerAddress, error: BaseException | None) -> BaseException | None:
    """Return what the answer to a question says of its actor: an authority that ended took its actors with it.

    Args:
        system: whose question it was.
        authority: what was asked.
        error: of the answer, if it had one. Any but `ActorDiedError` says that nobody knows.
    """
    if error is None or isinstance(error, errors.ActorDiedError):
        return error
    reason = system.peers.reason_of_loss(authority.peer)
    return error if reason is None else errors.ActorDiedError(f"its process ended: {reason}", reason=reason)


def _died(call: Reply[Any], gone: errors.ActorDiedError) -> errors.ActorDiedError:
    message = f"{call.label} died during {call.method}(): {gone.reason if gone.reason is not None else gone}"
    return errors.ActorDiedError(message, reason=gone.reason, executed="maybe")
