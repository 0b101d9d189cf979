"""The form of an error in the store: data that the daemon reads, and a pickle that only clients open.

The daemon makes and shows errors without unpickling; the process that asked rebuilds the exception itself.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from actorrt.errors import ActorRtError, RemoteActorError, SerializationError, from_data, to_data

MAX_ERROR_BYTES: Final = 32 * 1024
_MAX_MESSAGE_CHARACTERS: Final = 4096


def encode_plain(error: BaseException) -> bytes:
    """Return an error of actorrt's own as data, without pickle."""
    packed: bytes = msgpack.packb(_data(error))
    return packed


def _data(error: BaseException) -> dict[str, Any]:
    data = to_data(error)
    return {**data, "message": data["message"][:_MAX_MESSAGE_CHARACTERS]}


def encode(error: BaseException) -> bytes:
    """Return any error with its pickle; one that can't be pickled, or is too large for it, as data only."""
    from actorrt.store.pickling import dumps

    if not isinstance(error, Exception):  # what would end the process of whoever waits
        return encode_plain(error)
    try:
        pickled, buffers = dumps(error)
    except SerializationError:
        return encode_plain(error)
    packed: bytes = msgpack.packb({**_data(error), "pickle": pickled})
    return packed if not buffers and len(packed) <= MAX_ERROR_BYTES else encode_plain(error)


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
        return RemoteActorError(f"{data['type']}: {data['message']} (not rebuilt here: {problem!r})")
    return error if isinstance(error, BaseException) else RemoteActorError(f"{data['type']}: {data['message']}")
