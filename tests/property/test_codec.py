"""The codec with generated values and bytes: values round trip, and bad bytes raise only `BadFrameError`."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actorrt.errors import SerializationError
from actorrt.ids import PeerId
from actorrt.transport.frames.codec import (
    MAX_ARRAY_COUNT,
    MAX_MAP_COUNT,
    SAFE_BYTES,
    BadFrameError,
    Hello,
    check_envelope,
    join_head,
    pack_envelope,
    pack_hello,
    read_acknowledgement,
    read_head,
    read_hello,
    read_refusal,
    split_buffers,
)
from actorrt.transport.frames.form import FormChecker

PEER = PeerId(b"p" * 16)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
)
values = st.recursive(
    scalars,
    lambda items: (
        st.lists(items, max_size=5) | st.dictionaries(st.text() | st.binary() | st.integers(0, 99), items, max_size=5)
    ),
    max_leaves=20,
)
envelopes = st.builds(lambda kind, rest: [kind, *rest], st.integers(0, 255), st.lists(values, max_size=4))


@given(st.integers(0, 2**64 - 1), st.lists(envelopes, min_size=1, max_size=20), st.data())
def test_frame_round_trips(sequence: int, sent: list[list[Any]], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 3), min_size=len(sent), max_size=len(sent)))
    attachments = [(index, count) for index, count in enumerate(counts) if count]
    buffers = [bytes((number,)) for number in range(sum(counts))]
    inlined = data.draw(st.sampled_from([None, *(index for index, count in attachments)]))
    following = list(buffers)
    if inlined is not None:
        before = sum(counts[:inlined])
        inline = following[before : before + counts[inlined]]
        del following[before : before + counts[inlined]]
        attachments = [(index, inline if index == inlined else count) for index, count in attachments]
    head = join_head(sequence, 3, [pack_envelope(envelope) for envelope in sent], attachments)
    got_sequence, acknowledged, got, got_attachments = read_head(head)
    assert (got_sequence, acknowledged, got) == (sequence, 3, sent)
    attached = split_buffers(got_attachments, following)
    assert [len(attached.get(index, ())) for index in range(len(sent))] == counts
    assert [buffer for index in sorted(attached) for buffer in attached[index]] == buffers


@given(st.binary(max_size=200))
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\x91" * 5000)
@example(b"\x81\x90\x00")
@example(b"\xd6\xff\x00\x00\x00\x00")
def test_random_bytes_raise_nothing_but_the_typed_error(raw: bytes) -> None:
    for read in (read_head, read_hello, read_refusal, read_acknowledgement):
        try:
            read(raw)
        except BadFrameError:
            pass


@settings(max_examples=300)
@given(st.lists(envelopes, min_size=1, max_size=4), st.data())
def test_mutated_frame_raises_nothing_but_the_typed_error(sent: list[list[Any]], data: st.DataObject) -> None:
    raw = bytearray(join_head(7, 5, [pack_envelope(envelope) for envelope in sent], [(0, 1)]))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    try:
        _, _, got, attachments = read_head(raw)
        split_buffers(attachments, [b"buffer"])
    except BadFrameError:
        return
    assert all(isinstance(envelope, list) and type(envelope[0]) is int for envelope in got)


@given(st.data())
def test_mutated_hello_raises_nothing_but_the_typed_error(data: st.DataObject) -> None:
    raw = bytearray(pack_hello(Hello(PEER, PEER, "ipc:///x", 9, b"node", ("acks",))))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        hello = read_hello(raw)
    except BadFrameError:
        return
    assert (len(hello.peer), len(hello.to), type(hello.protocol_min)) == (16, 16, int)


@given(st.binary(min_size=16, max_size=16), st.text(max_size=100), st.binary(max_size=32), st.lists(st.text()))
def test_hello_round_trips(peer: bytes, address: str, node: bytes, features: list[str]) -> None:
    hello = Hello(PeerId(peer), PEER, address, 2**40, node, tuple(features), address[::-1], 3, 5)
    assert read_hello(pack_hello(hello)) == hello


def test_unknown_keys_of_a_later_releases_hello_are_ignored() -> None:
    raw = pack_hello(Hello(PEER, PEER, "ipc:///x"))
    magic, body = raw[:8], raw[8:]
    assert body[0] == 0x8A
    later = magic + b"\x8b" + body[1:] + pack_envelope("zone") + pack_envelope(["a", 1])
    assert read_hello(later) == Hello(PEER, PEER, "ipc:///x")


@given(st.lists(st.binary(max_size=2000) | envelopes.map(pack_envelope), max_size=8))
def test_form_accepts_exactly_one_complete_value(parts: list[bytes]) -> None:
    form = FormChecker()  # one for all parts: a refused part must not affect the next one
    for part in parts:
        try:
            msgpack.unpackb(part, strict_map_key=False, unicode_errors="replace", ext_hook=lambda *_: None)
        except TypeError:
            continue  # a map whose keys can't be hashed has the form of one value
        except (ValueError, msgpack.UnpackException):
            with pytest.raises(BadFrameError):
                form.check(part)
        else:
            form.check(part)


@pytest.mark.parametrize("value", [[None] * (MAX_ARRAY_COUNT + 1), dict.fromkeys(range(MAX_MAP_COUNT + 1))])
def test_envelope_that_the_far_end_would_refuse_is_refused_here(value: Any) -> None:
    envelope = [0, {"deep": [value]}]
    packed = pack_envelope(envelope)
    assert len(packed) > SAFE_BYTES
    with pytest.raises(BadFrameError):
        read_head(join_head(0, 0, [packed]))
    with pytest.raises(SerializationError, match="are accepted"):
        check_envelope(envelope, len(packed), ())


@pytest.mark.parametrize("value", [[None] * MAX_ARRAY_COUNT, dict.fromkeys(range(MAX_MAP_COUNT))])
def test_envelope_that_is_accepted_here_is_accepted_at_the_far_end(value: Any) -> None:
    envelope = [0, value]
    packed = pack_envelope(envelope)
    check_envelope(envelope, len(packed), ())
    assert read_head(join_head(0, 0, [packed]))[2] == [envelope]
