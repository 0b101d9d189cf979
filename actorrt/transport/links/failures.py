"""Pure: the errors that say why a peer can't be spoken with."""

from __future__ import annotations

from actorrt.errors import PeerUnreachableError
from actorrt.ids import PeerId, short


def not_running(peer: PeerId) -> PeerUnreachableError:
    """Return the error of a link that is asked for before the start or after the close of the transport."""
    return PeerUnreachableError(f"peer {short(peer)}: this process's transport is not running")


def dropped(peer: PeerId, address: str) -> PeerUnreachableError:
    """Return the error of a link to a peer that was dropped."""
    return PeerUnreachableError(f"peer {short(peer)} at {address} is dead, or has failed; its successor has another id")


def never_answered(peer: PeerId, address: str, timeout_s: float, last_error: Exception | None) -> PeerUnreachableError:
    """Return the error of a link that found no peer at its address; nothing was sent over it."""
    return PeerUnreachableError(
        f"nobody answers at {address} (peer {short(peer)}) within {timeout_s} s; "
        f"check that the process there is alive and that its address is the current one{_because(last_error)}"
    )


def connection_lost(peer: PeerId, address: str, timeout_s: float, last_error: Exception | None) -> PeerUnreachableError:
    """Return the error of a link whose connection broke and could not be replaced."""
    return PeerUnreachableError(
        f"the connection to {address} (peer {short(peer)}) broke, and the peer was not found there again within "
        f"{timeout_s} s; check that the process there is alive{_because(last_error)}",
        executed="maybe",
    )


def process_ended(peer: PeerId, address: str) -> PeerUnreachableError:
    """Return the error of a peer at whose address nobody listens any more."""
    return PeerUnreachableError(
        f"nobody listens at {address} any more: the process there (peer {short(peer)}) has ended", executed="maybe"
    )


def gave_us_up(peer: PeerId, address: str) -> PeerUnreachableError:
    """Return the error of a peer that could not reach us."""
    return PeerUnreachableError(
        f"peer {short(peer)} at {address} could not reach us, and gave up what was sent to it", executed="maybe"
    )


def _because(last_error: Exception | None) -> str:
    return "" if last_error is None else f" (the last attempt failed with {last_error!r})"
