"""Code objects that travel by value, with their source.

A traceback, a warning and a debugger find a line of source by the file name and the line number of the code.
cloudpickle (3.1 and later) replaces the file name by `<dynamic-code>`; this module keeps the name. If the sender has no
such file, as for the cell of a notebook, the lines of the code travel too, and are put into the receiver's `linecache`.
"""

from __future__ import annotations

import linecache
import os
from collections.abc import Callable
from types import CodeType
from typing import Any, Final

CodeReducer = Callable[[CodeType], tuple[type[CodeType], tuple[Any, ...]]]

_carried: Final[dict[str, list[str]]] = {}
"""The lines that have arrived, by file name. `linecache` has the same lists."""


def reduce_code(code: CodeType, reduce: CodeReducer) -> tuple[Any, ...]:
    """Reduce a code object as cloudpickle's `reduce` does, and add its file name; its lines if there is no file."""
    _, parts = reduce(code)
    name = code.co_filename
    return _rebuild_code, (parts, name) if os.path.exists(name) else (parts, name, *_lines_of(code))


def _lines_of(code: CodeType) -> tuple[str, ...]:
    """Return the source lines of the code; none if they are not known."""
    last = max((end for _, end, _, _ in code.co_positions() if end is not None), default=code.co_firstlineno)
    return tuple(linecache.getlines(code.co_filename)[max(0, code.co_firstlineno - 1) : last])


def _rebuild_code(parts: tuple[Any, ...], name: str, *lines: str) -> CodeType:
    code = CodeType(*parts).replace(co_filename=name)
    if lines:
        _remember(name, code.co_firstlineno, lines)
    return code


def _remember(name: str, first: int, lines: tuple[str, ...]) -> None:
    """Put lines of a file, from the `first` on, into `linecache`, unless this process has the file itself."""
    if name not in _carried and name in linecache.cache:
        return
    known = _carried.setdefault(name, [])
    known.extend(["\n"] * (first - 1 + len(lines) - len(known)))
    known[first - 1 : first - 1 + len(lines)] = lines
    # Without a time of modification `linecache` does not look for the file.
    linecache.cache[name] = (sum(map(len, known)), None, known, name)
