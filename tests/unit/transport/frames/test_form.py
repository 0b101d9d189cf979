"""The check of a message's form, before the message is read."""

from __future__ import annotations

import pytest

from actorrt.transport.frames.codec import MAGIC, BadFrameError, join_head, pack_envelope
from actorrt.transport.frames.form import FormChecker

LONG = pack_envelope([0, bytes(100_000)])


def test_one_complete_value_passes_whatever_its_length() -> None:
    form = FormChecker()
    for part in (b"\x00", join_head(0, 0, [pack_envelope([0])]), LONG, b"\x90", LONG):
        form.check(part)


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        (b"", "not readable as msgpack"),
        (b"\x92\x00", "not readable as msgpack"),
        (b"\xc1", "not readable as msgpack"),
        (LONG[:-1], "not readable as msgpack"),
        (b"\x00\x00", "more bytes follow the end"),
        (LONG + b"\x00", "more bytes follow the end"),
        (b"\x91" * 5000 + b"\x00", "nested deeper than 16"),
    ],
)
def test_anything_else_is_refused_and_does_not_affect_the_next_message(part: bytes, complaint: str) -> None:
    form = FormChecker()
    with pytest.raises(BadFrameError, match=complaint):
        form.check(part)
    form.check(join_head(0, 0, [pack_envelope([0])]))


def test_notice_is_checked_behind_its_magic_and_other_messages_are_returned_unchecked() -> None:
    form = FormChecker()
    notice, garbage = MAGIC + pack_envelope({"notice": "x"}), b"garbage"
    assert form.checked_notice(notice) is notice
    assert form.checked_notice(garbage) is garbage
    with pytest.raises(BadFrameError, match="not readable as msgpack"):
        form.checked_notice(notice[:-1])
