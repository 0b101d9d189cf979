"""An error as data, without a pickle: the form in which the daemon makes and reads it."""

from __future__ import annotations

from typing import Any, Final

import msgpack

from actorrt.errors import ActorRtError, RemoteActorError, from_data, to_data
from actorrt.texts import clipped

MAX_ERROR_BYTES: Final = 32 * 1024
_MAX_CHARACTERS: Final = (4096, 1024, 256)
"""The bounds on a text of an error; the smaller ones apply if several texts are long."""
_MAX_NOTES_COUNT: Final = 4


def encode_plain(error: BaseException) -> bytes:
    """Return an error of actorrt's own as data, without pickle, in at most `MAX_ERROR_BYTES`."""
    data = to_data(error)
    packed: bytes = b""
    for max_characters in _MAX_CHARACTERS:
        packed = msgpack.packb(clipped_data(data, max_characters))
        if len(packed) <= MAX_ERROR_BYTES:
            break
    return packed


def clipped_data(data: dict[str, Any], max_characters: int = _MAX_CHARACTERS[0]) -> dict[str, Any]:
    """Return the data of an error with each text cut to about `max_characters` characters."""
    reason = data["reason"]
    if reason is not None:
        traceback, detail = clipped(reason["traceback"], max_characters), clipped(reason["detail"], max_characters)
        reason = {**reason, "traceback": traceback, "detail": detail, "pickled": None}
    notes = [clipped(note, max_characters) for note in data["notes"][:_MAX_NOTES_COUNT]]
    return {**data, "message": clipped(data["message"], max_characters), "notes": notes, "reason": reason}


def decode_plain(packed: bytes) -> ActorRtError:
    """Rebuild an error without unpickling; an error that is not of actorrt's own becomes a RemoteActorError."""
    data: dict[str, Any] = msgpack.unpackb(packed)
    data.pop("pickle", None)
    error = from_data(data)
    return error if isinstance(error, ActorRtError) else RemoteActorError(f"{data['type']}: {data['message']}")
