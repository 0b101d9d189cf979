"""Keeps where methods raised their exceptions, in local mode, so that a debugger goes there after an error.

Between processes only text can travel. In local mode the caller and the actor are in one process, so each exception
that a caller gets can have the traceback of the method that raised it.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from types import TracebackType
from typing import Final

from actorrt.ids import PeerId
from actorrt.texts import own_traceback

KEPT_COUNT: Final = 100
"""How many wait to be taken: frames keep what is in them, and a call that was withdrawn takes nothing."""
_OWN_FOLDER: Final = os.path.dirname(os.path.dirname(__file__))


class Origins:
    """The tracebacks that callers have not taken yet, by the caller's endpoint and the number of its call."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[PeerId, int], TracebackType] = OrderedDict()

    def keep(self, caller: PeerId, call_id: int, error: BaseException) -> None:
        """Called when an error is sent to its caller: keep its traceback, from the user's code on."""
        trace = own_traceback(error)
        while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
            trace = trace.tb_next
        if trace is not None:
            self._kept[caller, call_id] = trace
            if len(self._kept) > KEPT_COUNT:
                self._kept.popitem(last=False)

    def take(self, caller: PeerId, call_id: int) -> TracebackType | None:
        """Called when an error has arrived: return its traceback, if a method raised it."""
        return self._kept.pop((caller, call_id), None)
