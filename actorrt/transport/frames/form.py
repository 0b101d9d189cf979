"""Pure: checks the form of a message before it is read: that it is complete, and not nested too deep.

A msgpack reader allocates each array when it reads the array's header. Three thousand bytes of nested headers, each of
which claims the greatest number of items, would cost 260 MB and 160 ms before the reader finds that nothing follows.
Skipping allocates nothing, and takes a twelfth of the time. A message that can be skipped to its end has at least one
byte for every item that it claims, so the cost of reading it is proportional to its size.

The parser has a limit to nesting, too, which is far above ours. A prefix makes it enforce ours: the message is skipped
behind nested arrays of one item, whose number is the difference between the two limits. For a short head that prefix
costs more than `codec.check_nesting`, which walks through the envelopes.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from actorrt.config import KIB, MAX_FRAME_BYTES
from actorrt.transport.frames.codec import MAGIC, MAX_NESTING, BadFrameError, is_notice
from actorrt.transport.interfaces import Buffer

_HEAD_NESTING: Final = 2 + MAX_NESTING  # the head, its array of envelopes, and an envelope's own nesting
_KEPT_BYTES: Final = 64 * KIB
"""The buffer size of the parser that is reused. A parser cycles through its whole buffer even with small messages, so
the buffer is small, and a longer message gets a parser of its own."""


def _make_parser(buffer_bytes: int = _KEPT_BYTES) -> Any:
    return msgpack.Unpacker(None, max_buffer_size=buffer_bytes)


def _nesting_of_parser() -> int:
    """Return the greatest nesting that the parser accepts, or 0 if it has no limit. Builds of msgpack differ."""
    low, high = 0, _KEPT_BYTES - 1
    while low < high:
        middle = (low + high + 1) // 2
        parser = _make_parser()
        parser.feed(b"\x91" * middle + b"\x00")
        try:
            parser.skip()
        except msgpack.StackError:
            high = middle - 1
        else:
            low = middle
    return low if low < _KEPT_BYTES - 1 else 0


_PREFIX: Final = b"\x91" * max(0, _nesting_of_parser() - _HEAD_NESTING)
WALKED_BYTES: Final = 512 if _PREFIX else MAX_FRAME_BYTES
"""`codec.check_nesting` checks the nesting of a head up to this size; longer heads are checked here."""


class FormChecker:
    """Checks one message after the other, in one thread."""

    __slots__ = ("_parser", "_seen_bytes")

    def __init__(self) -> None:
        self._parser = _make_parser()
        self._seen_bytes = 0

    def check(self, part: Buffer) -> None:
        """Check that `part` is exactly one complete value and, if it is long, nested no deeper than a head may be.

        Raises:
            BadFrameError: it is not.
        """
        size_bytes = len(part)
        if size_bytes > _KEPT_BYTES - len(_PREFIX):
            self._reset(size_bytes + len(_PREFIX))
        parser = self._parser
        try:
            if size_bytes > WALKED_BYTES:
                parser.feed(_PREFIX)
                self._seen_bytes += len(_PREFIX)
            parser.feed(part)
            parser.skip()
        except msgpack.StackError:
            self._reset()
            raise BadFrameError(f"an envelope is nested deeper than {MAX_NESTING}") from None
        except (msgpack.UnpackException, ValueError) as error:
            self._reset()
            raise BadFrameError(f"not readable as msgpack: {str(error) or type(error).__name__}") from error
        self._seen_bytes += size_bytes
        if parser.tell() != self._seen_bytes:
            self._reset()
            raise BadFrameError("more bytes follow the end of a message")
        if size_bytes > _KEPT_BYTES - len(_PREFIX):
            self._reset()

    def _reset(self, buffer_bytes: int = _KEPT_BYTES) -> None:
        self._parser = _make_parser(buffer_bytes)
        self._seen_bytes = 0

    def checked_notice(self, part: Buffer) -> Buffer:
        """Return `part`. If it is a notice, the form of the bytes behind its magic is checked first."""
        if is_notice(part):
            self.check(memoryview(part)[len(MAGIC) :])
        return part
