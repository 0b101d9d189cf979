"""Pure: how an actor is to stop."""

from __future__ import annotations

from enum import StrEnum


class Manner(StrEnum):
    """How an actor is to stop. `on_stop` runs in any case, within `shutdown_s`."""

    ORDERLY = "orderly"  # what waits in its mailbox is handled first
    AT_ONCE = "at_once"  # since another failed: what is in hand is broken off, and what waits is not handled
    FOR_RESTART = "for_restart"  # the same, and it is to start again: its next incarnation handles what waits
