"""The calls that a process has in hand and that may be sent again, noted in a file that outlives the process.

A file mapped into memory holds a row of slots. The node daemon reads it after the end of the process, and finds exactly
the calls that were being handled. Calls without `retries=` are not noted, since nobody asks whether they caused the
end. The file also says how many starts of actors the process had begun. Orders to start come one after the other, so
later orders were never read, and may go to another process. A worker of tasks notes the newest attempt that it has
begun, for each of its submitters: attempts are numbered in the order in which they are sent.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from actorrt.ids import PeerId
from actorrt.protocol.processes import CallInHand

if TYPE_CHECKING:
    from actorrt.actors.refs.message import Message

logger = logging.getLogger(__name__)

_SLOT: Final = struct.Struct("=16sQ")  # the caller's endpoint, its number for the call; all zeros where free
SLOTS_COUNT: Final = 128
_COUNT: Final = struct.Struct("=Q")
_UNKNOWN: Final = 2**64 - 1
_COUNT_OFFSET: Final = SLOTS_COUNT * _SLOT.size
FILE_BYTES: Final = _COUNT_OFFSET + _COUNT.size


class Notes(NamedTuple):
    """The notes that a process left.

    Attributes:
        in_hand: the calls that it was handling, by caller and number; for a worker of tasks, the newest attempt that it
            had begun, by submitter.
        begun_count: how many orders to start an actor it had begun; None: what it had begun is unknown.
    """

    in_hand: list[CallInHand]
    begun_count: int | None

    def has_begun(self, submitter: PeerId, sequence: int) -> bool:
        """Whether a worker of tasks has begun this attempt of a submitter, or may have."""
        newest = (noted.call for noted in self.in_hand if noted.caller == submitter)
        return self.begun_count is None or sequence <= max(newest, default=0)


class CrashNotes:
    """The notes of one process.

    Args:
        memory: `FILE_BYTES` of zeros, which outlive the process.
    """

    def __init__(self, memory: mmap.mmap | bytearray) -> None:
        self._map = memory
        self._free = list(range(SLOTS_COUNT))
        self._slots: dict[Message, int] = {}
        self._newest: dict[PeerId, int] = {}
        self._task_slots: dict[PeerId, int] = {}
        self._begun_count = 0
        self._is_abandoned = False

    def begin_start(self) -> None:
        """Called when another order to start an actor is being carried out."""
        self._begun_count += 1
        if not self._is_abandoned:
            _COUNT.pack_into(self._map, _COUNT_OFFSET, self._begun_count)

    def note(self, message: Message) -> None:
        """Note a message in hand, if it is a call of another process that may be sent again."""
        peer = getattr(message.caller, "peer", None)
        if peer is None or not message.options or "retry" not in message.options or not self._free:
            return
        slot = self._slots[message] = self._free.pop()
        _SLOT.pack_into(self._map, slot * _SLOT.size, peer, message.call_id)

    def clear(self, message: Message) -> None:
        """Clear the note of a message that is no longer in hand. Without effect if it was not noted."""
        slot = self._slots.pop(message, None)
        if slot is not None:
            _SLOT.pack_into(self._map, slot * _SLOT.size, bytes(16), 0)
            self._free.append(slot)

    def begin_task(self, submitter: PeerId, sequence: int) -> None:
        """Note the newest attempt of a submitter that this process has begun. A worker of tasks has no other notes.

        When there are more submitters than slots, the notes say that it is not known what was begun.
        """
        if self._is_abandoned or sequence <= self._newest.get(submitter, 0):
            return
        self._newest[submitter] = sequence
        slot = self._task_slots.get(submitter)
        if slot is None and self._free:
            slot = self._task_slots[submitter] = self._free.pop()
        if slot is None:
            _COUNT.pack_into(self._map, _COUNT_OFFSET, _UNKNOWN)
        else:
            _SLOT.pack_into(self._map, slot * _SLOT.size, submitter, sequence)

    def forget_submitter(self, submitter: PeerId) -> None:
        """Clear the note of a submitter that is gone."""
        self._newest.pop(submitter, None)
        slot = self._task_slots.pop(submitter, None)
        if slot is not None:
            _SLOT.pack_into(self._map, slot * _SLOT.size, bytes(16), 0)
            self._free.append(slot)

    def abandon(self) -> None:
        """Write no more, in a forked child: the notes are its parent's."""
        self._free, self._slots, self._task_slots, self._is_abandoned = [], {}, {}, True


def open_notes(path: str) -> CrashNotes:
    """Return the notes of this process, in a file that is made anew; its reader removes it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(fd, FILE_BYTES)
        return CrashNotes(mmap.mmap(fd, FILE_BYTES))
    finally:
        os.close(fd)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # it was never made
    except OSError as error:
        logger.warning("%s can't be removed: %s", path, error)


def take(path: str) -> Notes:
    """Return what the process noted, which has ended, and remove the file."""
    notes = look(path)
    _remove(path)
    return notes


def look(path: str) -> Notes:
    """Return what the process has noted."""
    try:
        notes = Path(path).read_bytes()
    except FileNotFoundError:
        return Notes([], 0)  # it ended before it served
    except OSError as error:
        logger.warning("the calls that a process has in hand can't be read: %s", error)
        return Notes([], None)
    if len(notes) < FILE_BYTES:
        return Notes([], 0)  # it ended while it made the file
    return read(notes)


def read(notes: bytes | bytearray) -> Notes:
    """Return what a process noted in its memory for notes."""
    slots = _SLOT.iter_unpack(notes[:_COUNT_OFFSET])
    in_hand = [CallInHand(PeerId(peer), call_id) for peer, call_id in slots if call_id]
    (begun_count,) = _COUNT.unpack_from(notes, _COUNT_OFFSET)
    return Notes(in_hand, None if begun_count == _UNKNOWN else begun_count)
