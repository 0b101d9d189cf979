"""Pure: whether two nodes fit together: their versions, their Pythons and their clocks."""

from __future__ import annotations

from typing import Final

from actorrt import config
from actorrt.cluster.joining.messages import Versions
from actorrt.cluster.security.card import BACKDATED_S
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.texts import duration

CLOCKS_APART_S: Final = 300.0
"""How far the clocks of two nodes may be apart. Less than the time by which cards are dated back."""
assert CLOCKS_APART_S < BACKDATED_S


def own_versions(python: tuple[int, ...]) -> Versions:
    """Return the versions of this process, of which `python` is `sys.version_info`."""
    return Versions(
        version=config.VERSION,
        protocol_min=config.PROTOCOL_VERSION_MIN,
        protocol=config.PROTOCOL_VERSION,
        python=f"{python[0]}.{python[1]}",
    )


def check_versions(theirs: Versions, ours: Versions) -> None:
    """Refuse a node whose versions do not fit.

    Raises:
        RefusedError: there is no common version of the protocol, or Python's minor version is another one.
    """
    if theirs.protocol_min > ours.protocol or theirs.protocol < ours.protocol_min:
        raise RefusedError(
            Reason.VERSION,
            f"the joining machine has actorrt {theirs.version} (protocol {theirs.protocol_min} to {theirs.protocol}), "
            f"and the cluster {ours.version} (protocol {ours.protocol_min} to {ours.protocol}): install the same "
            "version on both",
        )
    if theirs.python != ours.python:
        raise RefusedError(
            Reason.PYTHON,
            f"the joining machine has Python {theirs.python}, and the cluster Python {ours.python}: code travels "
            f"between nodes and needs the same minor version; start the node with Python {ours.python}",
        )


def check_clocks(theirs_s: float, ours_s: float) -> None:
    """Refuse a node whose clock is far from that of this one.

    Raises:
        RefusedError: it is.
    """
    apart_s = theirs_s - ours_s
    if abs(apart_s) > CLOCKS_APART_S:
        side = "ahead of" if apart_s > 0 else "behind"
        raise RefusedError(
            Reason.CLOCK,
            f"the clock of the joining machine is {duration(abs(apart_s))} {side} that of its entry node; "
            f"{duration(CLOCKS_APART_S)} are allowed: set the clocks of both (NTP), and join again",
        )
