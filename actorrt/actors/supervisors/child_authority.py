"""The orders and spawns that a supervisor's shell sends to the authority of its children.

Invariant: orders arrive in the order in which they were given. A task sends the order to spawn, so all others wait for
the next step of the loop, too. A restart that overtook a stop would have the next incarnation stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from actorrt.actors.wire.control import Control
from actorrt.completion import Completion
from actorrt.ids import ActorId, PeerAddress
from actorrt.protocol.authorities import ActorCard, AwaitEnd, DelayChild, ForgetChild, Share, StopChild
from actorrt.protocol.manner import Manner
from actorrt.protocol.nodes import RestartChildren, StopChildren
from actorrt.protocol.verb import Request
from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.policy.options import ActorOptions
    from actorrt.actors.refs.operation import Operation
    from actorrt.actors.refs.ref import ActorRef
    from actorrt.actors.supervisors.child import Child

_STOPPED: Final = "stopped by its supervisor"

Soon: TypeAlias = Callable[..., object]
"""As `call_soon` of a loop."""


class ChildSpawner(Protocol):
    """Spawns the children of a supervisor."""

    def spawn(
        self,
        cls: type,
        options: ActorOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        actor_id: ActorId,
        supervisor: ActorId,
        child_id: str,
        share: Share | None,
    ) -> Operation[ActorRef[Any]]:
        """Start a child of the actor in whose context this is called."""


class Refs(Protocol):
    """Makes refs."""

    def from_card(self, card: ActorCard, authority: PeerAddress) -> ActorRef[Any]:
        """Make the ref that an authority's answer describes."""


class ChildAuthority:
    """The authority of one supervisor's children.

    Args:
        address: its address: the node daemon's, since a supervisor's children do not live on the supervisor's loop.
        control: reaches it.
        soon: calls a function in the next step of the loop, in the order of the calls.
        spawns, refs: spawn the children there, and make refs to them.
        supervisor: the supervisor.
    """

    def __init__(
        self, address: PeerAddress, control: Control, soon: Soon, spawns: ChildSpawner, refs: Refs, supervisor: ActorId
    ) -> None:
        self._address = address
        self._control = control
        self._soon = soon
        self._spawns = spawns
        self._refs = refs
        self._supervisor = supervisor

    def spawn(self, actor_id: ActorId, child: Child, child_id: str, share: Share | None) -> Completion[ActorRef[Any]]:
        """Start a child as a new actor.

        Raises:
            TypeError: its constructor does not take the arguments.
            SerializationError: its class or an argument can't be sent.
        """
        return self._spawns.spawn(
            child.actor_class,
            child.options,
            child.args,
            child.kwargs,
            actor_id=actor_id,
            supervisor=self._supervisor,
            child_id=child_id,
            share=share,
        )

    def ref(self, card: ActorCard) -> ActorRef[Any]:
        """Return the ref of a child."""
        return self._refs.from_card(card, self._address)

    def restart(self, actors: Sequence[ActorId]) -> None:
        """Start the next incarnations of children, each when the one before runs."""
        self._order(RestartChildren(supervisor=self._supervisor, actors=list(actors)))

    def stop(self, actor_id: ActorId, *, kill: bool, manner: Manner) -> None:
        """End the incarnation of a child."""
        self._order(StopChild(actor=actor_id, reason=_STOPPED, kill=kill, manner=manner))

    def stop_in_turn(self, actors: Sequence[ActorId], manner: Manner) -> None:
        """End the incarnations of children, each when the one before has ended."""
        self._order(StopChildren(actors=list(actors), reason=_STOPPED, manner=manner))

    def delay(self, actor_id: ActorId, delay_s: float) -> None:
        """Say that a child will be started again in `delay_s` seconds, or after others have stopped."""
        self._order(DelayChild(actor=actor_id, delay_s=delay_s))

    def forget(self, actor_id: ActorId, reason: ExitReason | None) -> None:
        """Say that a child is gone for good, for `reason` or for that of its last end."""
        self._order(ForgetChild(actor=actor_id, reason=reason))

    def _order(self, order: Request[None]) -> None:
        self._soon(self._control.notify, self._address, order)

    async def end_of(self, actor_id: ActorId) -> None:
        """Return when a child is gone."""
        await asyncio.sleep(0)  # the orders to spawn and to stop it go first
        await self._control.request(self._address, AwaitEnd(actor=actor_id))
