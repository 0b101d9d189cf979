"""Code objects that travel by value, and where their source lies.

A traceback, a warning and a debugger find a line of source by the file name and the line number of the code.
cloudpickle (3.1 and later) puts `<dynamic-code>` in the place of the file name; here the name stays. Where the sender
has no such file, as with the cell of a notebook, the lines of the code travel too, and `linecache` gets them where
they arrive.
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
    """Return the lines of source from the first of the code to its last; none where they are not known."""
    last = max((end for _, end, _, _ in code.co_positions() if end is not None), default=code.co_firstlineno)
    return tuple(linecache.getlines(code.co_filename)[max(0, code.co_firstlineno - 1) : last])


def _rebuild_code(parts: tuple[Any, ...], name: str, *lines: str) -> CodeType:
    code = CodeType(*parts).replace(co_filename=name)
    if lines:
        _remember(name, code.co_firstlineno, lines)
    return code


def _remember(name: str, first: int, lines: tuple[str, ...]) -> None:
    """Tell `linecache` the lines of a file from the `first` on, unless this process has them of its own."""
    if name not in _carried and name in linecache.cache:
        return
    known = _carried.setdefault(name, [])
    known.extend(["\n"] * (first - 1 + len(lines) - len(known)))
    known[first - 1 : first - 1 + len(lines)] = lines
    # Without a time of modification `linecache` does not look for the file.
    linecache.cache[name] = (sum(map(len, known)), None, known, name)
