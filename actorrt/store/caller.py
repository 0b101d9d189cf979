"""Finds the line of the user's code that made an object."""

from __future__ import annotations

import os
import sys
from typing import Final

_OWN_FOLDER: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep
_MAX_DEPTH: Final = 30


def caller() -> str:
    """Return the file and line of the nearest frame outside this package; empty where there is none."""
    frame = sys._getframe(1)
    for _ in range(_MAX_DEPTH):
        if not frame.f_code.co_filename.startswith(_OWN_FOLDER):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"[-200:]
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""
