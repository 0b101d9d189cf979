"""Finds the line of the user's code that made an object."""

from __future__ import annotations

import os
import sys
from typing import Final

_OWN_FOLDER: Final = os.path.dirname(os.path.dirname(os.path.dirname(__file__))) + os.sep
_MAX_DEPTH: Final = 30
_MAX_BYTES: Final = 150
"""Short enough for the lines of all objects of one report to fit into its message."""


def user_line() -> str:
    """Return the file and line of the nearest frame outside this package, or an empty text.

    The text is cut to its last `_MAX_BYTES` bytes of UTF-8.
    """
    frame = sys._getframe(1)
    for _ in range(_MAX_DEPTH):
        if not frame.f_code.co_filename.startswith(_OWN_FOLDER):
            line = f"{frame.f_code.co_filename}:{frame.f_lineno}".encode(errors="surrogateescape")
            return line[-_MAX_BYTES:].decode(errors="ignore")
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""
