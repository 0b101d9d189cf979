"""What the answer of an actor's authority says of the actor, and what it says if there is no answer."""

from __future__ import annotations

from actorrt import errors
from actorrt.actors.wire.peers import Peers
from actorrt.ids import PeerAddress


def verdict(peers: Peers, authority: PeerAddress, error: BaseException | None) -> BaseException | None:
    """Return what the answer to a question says of its actor: an authority that ended took its actors with it.

    Args:
        peers: knows whether the authority has ended.
        authority: the endpoint that was asked.
        error: the error of the answer, if it has one.

    Returns:
        None: the actor lives. `ActorDiedError`: it is gone for good. Any other error: that is not known.
    """
    if error is None or isinstance(error, errors.ActorDiedError):
        return error
    reason = peers.reason_of_loss(authority.peer)
    return error if reason is None else errors.ActorDiedError(f"its process ended: {reason}", reason=reason)
