"""Accepted and refused HELLOs, and the order of the checks."""

from __future__ import annotations

import pytest

from actorrt.errors import AuthenticationError, WireVersionError
from actorrt.ids import PeerId
from actorrt.transport.frames.codec import MISDIRECTED, BadFrameError, Hello, pack_hello
from actorrt.transport.links.hellos import Hellos

HERE, PEER, OTHER = (PeerId(name * 16) for name in (b"h", b"p", b"o"))


def check_origin(hello: Hello) -> None:
    if hello.node == b"forged":
        raise AuthenticationError("another key")


def check_address(address: str) -> None:
    if not address.startswith("memory://"):
        raise ValueError(f"{address} is no address")


@pytest.fixture
def hellos() -> Hellos:
    return Hellos(HERE, check_origin, check_address, lambda _: None)


def test_sound_hello_is_returned_and_remembered_only_when_told(hellos: Hellos) -> None:
    hello = Hello(PEER, HERE, "memory://p", 3, b"node")
    assert hellos.check(PEER, pack_hello(hello)) == hello
    assert (hellos.address_of(PEER), hellos.node_of(PEER)) == (None, b"")
    hellos.remember(hello)
    assert (hellos.address_of(PEER), hellos.node_of(PEER)) == ("memory://p", b"node")
    hellos.forget(PEER)
    hellos.forget(PEER)
    assert (hellos.address_of(PEER), hellos.node_of(PEER)) == (None, b"")


def test_hello_in_the_name_of_another_peer_is_a_bad_frame(hellos: Hellos) -> None:
    with pytest.raises(BadFrameError, match="a HELLO in the name of 6f6f6f6f on a link of 70707070"):
        hellos.check(PEER, pack_hello(Hello(OTHER, HERE, "memory://o", 0, b"forged")))


def test_forged_hello_is_an_authentication_error_before_all_other_checks(hellos: Hellos) -> None:
    with pytest.raises(AuthenticationError, match="another key"):
        hellos.check(PEER, pack_hello(Hello(PEER, HERE, "carrier-pigeon://", 0, b"forged", protocol_min=99)))


def test_versions_are_checked_before_the_address(hellos: Hellos) -> None:
    with pytest.raises(WireVersionError, match="speaks protocol 99"):
        hellos.check(PEER, pack_hello(Hello(PEER, HERE, "carrier-pigeon://", protocol_min=99, protocol_max=99)))


def test_address_that_can_not_be_answered_is_a_bad_frame(hellos: Hellos) -> None:
    with pytest.raises(BadFrameError, match="can't be answered: carrier-pigeon:// is no address"):
        hellos.check(PEER, pack_hello(Hello(PEER, HERE, "carrier-pigeon://")))


@pytest.mark.parametrize("part", [b"garbage", MISDIRECTED, pack_hello(Hello(PEER, HERE, "memory://p"))[:-1]])
def test_message_that_is_no_hello_is_a_bad_frame(hellos: Hellos, part: bytes) -> None:
    with pytest.raises(BadFrameError):
        hellos.check(PEER, part)
