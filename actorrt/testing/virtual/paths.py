"""File names in tracebacks of a run, which are the same in every checkout and for every installation of Python."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

_FILE: Final = re.compile(r'(?<=^  File ")[^"]*')
_OWN_ROOT: Final = str(Path(__file__).parents[3])


def shorten(replace: Callable[[Any, str, Callable[..., Any]], None]) -> None:
    """Let tracebacks name each file from the folder on that Python imports it from.

    Tracebacks travel in messages. With whole paths, the lengths of messages, and so the run, depend on the checkout.
    """
    in_full = traceback.StackSummary.format_frame_summary
    folders = _folders()

    def format_frame_summary(stack: traceback.StackSummary, summary: traceback.FrameSummary) -> str:
        return _FILE.sub(lambda found: _short(found[0], folders), in_full(stack, summary), count=1)

    replace(traceback.StackSummary, "format_frame_summary", format_frame_summary)


def _folders() -> tuple[str, ...]:
    """Return the folders that Python imports from, with a slash: those of installed packages, our own, and the rest."""
    found = sorted({str(Path(entry).absolute()) for entry in sys.path}, key=len, reverse=True)
    found.sort(key=lambda folder: not folder.endswith("-packages"))
    count = sum(folder.endswith("-packages") for folder in found)
    return tuple(f"{folder.rstrip('/')}/" for folder in (*found[:count], _OWN_ROOT, *found[count:]))


@cache
def _short(name: str, folders: tuple[str, ...]) -> str:
    return next((name[len(folder) :] for folder in folders if name.startswith(folder)), name)
