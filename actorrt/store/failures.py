"""The form of an error in the store: data that the daemon reads, and a pickle that only clients open.

The daemon makes and shows errors without unpickling; the process that asked rebuilds the exception itself.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from actorrt.errors import ActorRtError, RemoteActorError, from_data, to_data
from actorrt.texts import clipped, in_words, said

MAX_ERROR_BYTES: Final = 32 * 1024
_MAX_CHARACTERS: Final = (4096, 1024, 256)
"""How long a text of an error may be; shorter where several are long."""
_MAX_NOTES_COUNT: Final = 4


def encode_plain(error: BaseException) -> bytes:
    """Return an error of actorrt's own as data, without pickle, in at most `MAX_ERROR_BYTES`."""
    data = to_data(error)
    packed: bytes = b""
    for most in _MAX_CHARACTERS:
        packed = msgpack.packb(_cut(data, most))
        if len(packed) <= MAX_ERROR_BYTES:
            break
    return packed


def _cut(data: dict[str, Any], most: int) -> dict[str, Any]:
    """Return the data of an error with texts of at most about so many characters each."""
    reason = data["reason"]
    if reason is not None:
        traceback, detail = clipped(reason["traceback"], most), clipped(reason["detail"], most)
        reason = {**reason, "traceback": traceback, "detail": detail, "pickled": None}
    notes = [clipped(note, most) for note in data["notes"][:_MAX_NOTES_COUNT]]
    return {**data, "message": clipped(data["message"], most), "notes": notes, "reason": reason}


def encode(error: BaseException) -> bytes:
    """Return any error with its pickle; one that can't be pickled, or is too large for it, as data only."""
    from actorrt.store.exceptions import dump_exception

    if not issubclass(type(error), Exception) or not said(error)[1]:  # it would end whoever waits, or can't be shown
        return encode_plain(error)
    dumped = dump_exception(error)
    if dumped is None or dumped[1] or len(dumped[0]) > MAX_ERROR_BYTES:
        return encode_plain(error)
    packed: bytes = msgpack.packb({**_cut(to_data(error), _MAX_CHARACTERS[0]), "pickle": dumped[0]})
    return packed if len(packed) <= MAX_ERROR_BYTES else encode_plain(error)


def decode_plain(packed: bytes) -> ActorRtError:
    """Rebuild an error without unpickling, for the daemon: one that is not of actorrt's own only by name."""
    data: dict[str, Any] = msgpack.unpackb(packed)
    data.pop("pickle", None)
    error = from_data(data)
    return error if isinstance(error, ActorRtError) else RemoteActorError(f"{data['type']}: {data['message']}")


def decode(packed: bytes) -> BaseException:
    """Rebuild an error; where its own type can't be rebuilt here, as a `RemoteActorError` that names it."""
    data: dict[str, Any] = msgpack.unpackb(packed)
    pickled = data.pop("pickle", None)
    if pickled is None:
        return from_data(data)
    from actorrt.store.pickling import loads

    try:
        error = loads(pickled)
    # Importing and rebuilding a user's exception may raise anything.
    except Exception as problem:
        return RemoteActorError(f"{data['type']}: {data['message']} (not rebuilt here: {in_words(problem)})")
    is_one = issubclass(type(error), Exception)
    return error if is_one else RemoteActorError(f"{data['type']}: {data['message']}")
