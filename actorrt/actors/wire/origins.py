"""Keeps where exceptions of methods were raised, in local mode: a debugger goes there after an error.

Between processes only text can travel. In local mode caller and actor are in one process, and so are the frames: each
exception that a caller gets has the traceback of the method that raised it.
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
    """The tracebacks on their way from actors to callers, by the caller's endpoint and the number of its call."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[PeerId, int], TracebackType] = OrderedDict()

    def keep(self, caller: PeerId, call_id: int, error: BaseException) -> None:
        """An error leaves for its caller: keep its traceback, from the user's code on."""
        trace = own_traceback(error)
        while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
            trace = trace.tb_next
        if trace is not None:
            self._kept[caller, call_id] = trace
            if len(self._kept) > KEPT_COUNT:
                self._kept.popitem(last=False)

    def take(self, caller: PeerId, call_id: int) -> TracebackType | None:
        """An error has arrived: return where it was raised, if that was in a method."""
        return self._kept.pop((caller, call_id), None)
