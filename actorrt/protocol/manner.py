"""Pure: how an actor is to stop."""

from __future__ import annotations

from enum import StrEnum


class Manner(StrEnum):
    """How an actor is to stop. `on_stop` runs in any case, within `shutdown_s`."""

    ORDERLY = "orderly"  # messages in its mailbox are handled first
    AT_ONCE = "at_once"  # another actor failed: running messages are cancelled, others are not handled
    FOR_RESTART = "for_restart"  # the same, but its next incarnation handles the messages in the mailbox
