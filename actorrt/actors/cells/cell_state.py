"""Pure: where a hosted actor is in its life.

    starting -> running -> stopping -> finishing -> ended
                   |  |        |         |   |
                   |  +-----> cut -------+   |
                   |           |             |
                   +-----> failed <----------+    (kept with its mailbox until its authority has decided)

A cell that is stopping handles the messages in its mailbox. A cell that is cut stops because another actor failed: it
handles nothing more, and its coroutines are being cancelled. A cell that is finishing runs `on_stop`, and nothing else.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final


class CellState(Enum):
    """The states of a cell; the transitions are above."""

    STARTING = auto()
    RUNNING = auto()
    STOPPING = auto()
    CUT = auto()
    FINISHING = auto()
    FAILED = auto()
    ENDED = auto()


OVER_STATES: Final = (CellState.FAILED, CellState.ENDED)
"""No incarnation runs, starts or stops."""
STOPPING_STATES: Final = (CellState.STOPPING, CellState.CUT, CellState.FINISHING)
