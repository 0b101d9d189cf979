"""Errors as data, which the daemon makes and reads without a pickle."""

from __future__ import annotations

import msgpack
import pytest

from actorrt.errors import ObjectLostError, RemoteActorError, to_data
from actorrt.store.wire.plain_errors import MAX_ERROR_BYTES, decode_plain, encode_plain


def test_an_error_of_actorrt_returns_with_its_type_text_and_notes() -> None:
    error = ObjectLostError("object 7878 is lost")
    error.add_note("while reading")
    decoded = decode_plain(encode_plain(error))
    assert (type(decoded), str(decoded)) == (ObjectLostError, "object 7878 is lost")
    assert decoded.__notes__ == ["while reading"]


def test_another_error_returns_as_a_remote_one_with_the_name_of_its_type() -> None:
    decoded = decode_plain(encode_plain(ValueError("bad")))
    assert (type(decoded), str(decoded)) == (RemoteActorError, "ValueError: bad")


def test_a_pickle_beside_the_data_is_never_opened() -> None:
    packed = msgpack.packb({**to_data(ObjectLostError("lost")), "pickle": b"not a pickle"})
    assert str(decode_plain(packed)) == "lost"


@pytest.mark.parametrize("character", ["x", "\N{GRINNING FACE}"])
def test_an_error_with_long_texts_stays_within_the_bound(character: str) -> None:
    error = ValueError(character * 1_000_000)
    for _ in range(10):
        error.add_note(character * 1_000_000)
    packed = encode_plain(error)
    assert len(packed) <= MAX_ERROR_BYTES
    assert str(decode_plain(packed)).startswith("ValueError: " + character * 100)
