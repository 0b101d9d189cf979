"""Pure: the errors for peers that can't be reached, each with its reason."""

from __future__ import annotations

from actorrt.errors import PeerUnreachableError
from actorrt.ids import PeerId, short


def not_running(peer: PeerId) -> PeerUnreachableError:
    """Return the error for a link that is requested before the start or after the close of the transport."""
    return PeerUnreachableError(f"peer {short(peer)}: this process's transport is not running")


def dropped(peer: PeerId, address: str) -> PeerUnreachableError:
    """Return the error for a link to a dropped peer."""
    return PeerUnreachableError(
        f"peer {short(peer)} at {address} is dead or has failed; a process that replaces it has another id"
    )


def never_answered(peer: PeerId, address: str, timeout_s: float, last_error: Exception | None) -> PeerUnreachableError:
    """Return the error for a link that was never connected; nothing was sent over it."""
    return PeerUnreachableError(
        f"no process answered at {address} (peer {short(peer)}) within {timeout_s} s; "
        f"check that the process there is alive and that its address is the current one{_because(last_error)}"
    )


def connection_lost(peer: PeerId, address: str, timeout_s: float, last_error: Exception | None) -> PeerUnreachableError:
    """Return the error for a link whose connection broke and could not be replaced."""
    return PeerUnreachableError(
        f"the connection to {address} (peer {short(peer)}) broke, and the peer was not found there again within "
        f"{timeout_s} s; check that the process there is alive{_because(last_error)}",
        executed="maybe",
    )


def process_ended(peer: PeerId, address: str) -> PeerUnreachableError:
    """Return the error for a peer at whose address no process listens any more."""
    return PeerUnreachableError(
        f"no process listens at {address} any more: the process there (peer {short(peer)}) has ended", executed="maybe"
    )


def gave_us_up(peer: PeerId, address: str) -> PeerUnreachableError:
    """Return the error for a peer that could not reach this process."""
    return PeerUnreachableError(
        f"peer {short(peer)} at {address} could not reach this process; messages that were sent to it may be lost",
        executed="maybe",
    )


def _because(last_error: Exception | None) -> str:
    return "" if last_error is None else f" (the last attempt failed with {last_error!r})"
