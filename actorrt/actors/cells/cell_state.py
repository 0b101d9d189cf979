"""Pure: where a hosted actor is in its life.

    starting -> running -> stopping -> finishing -> ended
                   |  |        |         |   |
                   |  +-----> cut -------+   |
                   |           |             |
                   +-----> failed <----------+    (kept, mailbox and all, until its authority decides on its fate)

A cell that is stopping handles what is in its mailbox. One that is cut handles nothing more, and what it had in hand is
being broken off, since another's failure is why it stops. One that is finishing runs `on_stop`, and nothing else.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final


class CellState(Enum):
    """See above."""

    STARTING = auto()
    RUNNING = auto()
    STOPPING = auto()
    CUT = auto()
    FINISHING = auto()
    FAILED = auto()
    ENDED = auto()


STOPPING_STATES: Final = (CellState.STOPPING, CellState.CUT, CellState.FINISHING)
