"""An error as data with its pickle, which only clients open: they rebuild the exception itself.

The daemon reads the data beside the pickle, with `wire.plain_errors`.
"""

from __future__ import annotations

from typing import Any

import msgpack

from actorrt.errors import RemoteActorError, from_data, to_data
from actorrt.store.wire.plain_errors import MAX_ERROR_BYTES, clipped_data, encode_plain
from actorrt.texts import in_words, try_text_of


def encode(error: BaseException) -> bytes:
    """Return any error with its pickle; one that can't be pickled, or is too large for it, as data only."""
    from actorrt.store.values.exceptions import dump_exception

    if not issubclass(type(error), Exception) or not try_text_of(error)[1]:  # it would end its waiters, or has no text
        return encode_plain(error)
    dumped = dump_exception(error)
    if dumped is None or dumped[1] or len(dumped[0]) > MAX_ERROR_BYTES:
        return encode_plain(error)
    packed: bytes = msgpack.packb({**clipped_data(to_data(error)), "pickle": dumped[0]})
    return packed if len(packed) <= MAX_ERROR_BYTES else encode_plain(error)


def decode(packed: bytes) -> BaseException:
    """Rebuild an error; if its own type can't be rebuilt here, as a `RemoteActorError` that names it."""
    data: dict[str, Any] = msgpack.unpackb(packed)
    pickled = data.pop("pickle", None)
    if pickled is None:
        return from_data(data)
    from actorrt.store.values.pickling import loads

    try:
        error = loads(pickled)
    # Importing and rebuilding a user's exception may raise anything.
    except Exception as problem:
        return RemoteActorError(f"{data['type']}: {data['message']} (not rebuilt here: {in_words(problem)})")
    is_one = issubclass(type(error), Exception)
    return error if is_one else RemoteActorError(f"{data['type']}: {data['message']}")
