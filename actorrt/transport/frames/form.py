"""Pure: looks through what arrived before anything is made of it: is it whole, and how deep is it nested?

Reading msgpack makes room for every array when its header is met. Three thousand bytes of headers that each claim as
many items as are allowed, each array inside the one before it, would cost 260 MB and 160 ms until their end shows that
nothing follows. Skipping makes nothing, and costs a twelfth of reading. What can be skipped to its end has a byte at
least for every item that it claims, so reading it afterwards costs no more than its size warrants.

The parser has a limit of its own to nesting, far above ours. What is skipped behind so many arrays of one item that
only ours is left is refused by the parser itself, for what the arrays cost. That is dear for a short head, where
walking through its few envelopes (`codec.check_nesting`) costs less.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from actorrt.config import KIB, MAX_FRAME_BYTES, MAX_NESTING
from actorrt.transport.frames.codec import BadFrameError
from actorrt.transport.interfaces import Buffer

_HEAD_NESTING: Final = 2 + MAX_NESTING  # the head, the array of envelopes in it, and what an envelope may have
_KEPT_BYTES: Final = 64 * KIB
"""What a parser has room for. It goes through its room from end to end, however small the messages are; longer ones
get a parser of their own."""


def _new_parser(room_bytes: int = _KEPT_BYTES) -> Any:
    return msgpack.Unpacker(None, max_buffer_size=room_bytes)


def _nesting_of_parser() -> int:
    """Return how deep the parser goes, or 0 for one without such a limit. It differs between builds of msgpack."""
    low, high = 0, _KEPT_BYTES - 1
    while low < high:
        middle = (low + high + 1) // 2
        parser = _new_parser()
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
"""Up to this size the nesting of a head is for `codec.check_nesting`."""


class Form:
    """Looks through one message after the other; not for several threads."""

    __slots__ = ("_parser", "_seen_bytes")

    def __init__(self) -> None:
        self._parser = _new_parser()
        self._seen_bytes = 0

    def check(self, part: Buffer) -> None:
        """Return if `part` is one value, whole, and if it is long not nested deeper than a head may be.

        Raises:
            BadFrameError: it is not.
        """
        size_bytes = len(part)
        if size_bytes > _KEPT_BYTES - len(_PREFIX):
            self._begin_anew(size_bytes + len(_PREFIX))
        parser = self._parser
        try:
            if size_bytes > WALKED_BYTES:
                parser.feed(_PREFIX)
                self._seen_bytes += len(_PREFIX)
            parser.feed(part)
            parser.skip()
        except msgpack.StackError:
            self._begin_anew()
            raise BadFrameError(f"an envelope is nested deeper than {MAX_NESTING}") from None
        except (msgpack.UnpackException, ValueError) as error:
            self._begin_anew()
            raise BadFrameError(f"not readable as msgpack: {str(error) or type(error).__name__}") from error
        self._seen_bytes += size_bytes
        if parser.tell() != self._seen_bytes:
            self._begin_anew()
            raise BadFrameError("bytes follow on what should have been all")
        if size_bytes > _KEPT_BYTES - len(_PREFIX):
            self._begin_anew()

    def _begin_anew(self, room_bytes: int = _KEPT_BYTES) -> None:
        self._parser = _new_parser(room_bytes)
        self._seen_bytes = 0
