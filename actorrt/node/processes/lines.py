"""Pure: the form of a line of output that carries the label of the actor that printed it.

A worker hosts many actors but has one standard output. Each line that Python code prints begins with a marker,
`RS label US`. A line of C code has no marker, and counts as the worker's own. `printing` writes such lines; `output`
reads them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from actorrt.config import MAX_LINE_BYTES

_START: Final = "\x1e"
_END: Final = "\x1f"
_START_BYTES: Final = _START.encode()
_END_BYTES: Final = _END.encode()
_MAX_LABEL_CHARS: Final = 200


@lru_cache(maxsize=1024)
def marker(label: str) -> str:
    """Return the marker of a label. It has at most 200 characters of the label, and only printable ones."""
    return _START + "".join(filter(str.isprintable, label))[:_MAX_LABEL_CHARS] + _END


class LineSplitter:
    """Cuts a stream of bytes into labelled lines.

    A line that is rewritten with carriage returns, such as a progress bar, counts in its last version. A line longer
    than the cap is cut, with a note. So the cap bounds the memory used for any input.

    Args:
        max_line_bytes: the cap on a line with its marker.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._rest = b""
        self._is_cutting = False

    def feed(self, data: bytes) -> list[tuple[str, str]]:
        """Return the lines that `data` completes, as (label, text). Without a marker the label is empty."""
        *complete, rest = (self._rest + data).split(b"\n")
        lines = []
        for line in complete:
            if not self._is_cutting:
                lines.append(self._parse(line))
            self._is_cutting = False
        self._rest = b"" if self._is_cutting else rest
        if len(self._rest) > self._max_line_bytes:
            self._rest = _last_version(self._rest)
        if len(self._rest) > self._max_line_bytes:
            lines.append(self._parse(self._rest))
            self._rest, self._is_cutting = b"", True
        return lines

    def finish(self) -> list[tuple[str, str]]:
        """Return the text after the last newline as a line, if there is any."""
        rest, self._rest = self._rest, b""
        return [self._parse(rest)] if rest else []

    def _parse(self, line: bytes) -> tuple[str, str]:
        line = _last_version(line)
        is_cut = len(line) > self._max_line_bytes
        label, text = _split_marker(line[: self._max_line_bytes])
        decoded = text.decode("utf-8", "backslashreplace")
        return label, f"{decoded} [cut at {self._max_line_bytes} bytes]" if is_cut else decoded


def _split_marker(line: bytes) -> tuple[str, bytes]:
    if line.startswith(_START_BYTES):
        label, found, text = line[1:].partition(_END_BYTES)
        if found:
            return label.decode("utf-8", "backslashreplace"), text
    return "", line


def _last_version(line: bytes) -> bytes:
    """Return the line as a terminal shows it after its carriage returns; keep the marker."""
    line = line.rstrip(b"\r")
    if b"\r" not in line:
        return line
    marker_end = line.find(_END_BYTES) + 1 if line.startswith(_START_BYTES) else 0
    return line[:marker_end] + line[marker_end:].rpartition(b"\r")[2]
