"""The file of the CURVE keys and its permissions; accepted and refused keys."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from actorrt.errors import AuthenticationError
from actorrt.ids import NodeId
from actorrt.transport.zeromq.node_keys import NodeKeys
from actorrt.transport.zeromq.security import (
    ZAP_DOMAIN,
    join_address,
    key_of_request,
    load_keys,
    make_keys,
    split_address,
    zap_reply,
)

NODE = NodeId(b"n" * 16)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_made_once_and_kept_from_others(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    keys = load_keys(directory)
    assert load_keys(directory) == keys
    assert (len(keys.public), len(keys.secret)) == (32, 32)
    assert [path.name for path in directory.iterdir()] == ["curve.keys"]
    assert (mode(directory), mode(directory / "curve.keys")) == (0o700, 0o600)


def test_repr_of_a_key_pair_hides_the_secret_key() -> None:
    keys = make_keys()
    assert repr(keys) == f"CurveKeys(public={keys.public.hex()})"


@pytest.mark.parametrize("name", ["keys", "keys/curve.keys"])
def test_keys_that_others_can_reach_are_refused(tmp_path: Path, name: str) -> None:
    load_keys(tmp_path / "keys")
    (tmp_path / name).chmod(0o750)
    with pytest.raises(AuthenticationError, match=r"is open to other users \(mode 0750\); run: chmod go-rwx"):
        load_keys(tmp_path / "keys")


def test_link_in_place_of_the_keys_is_refused(tmp_path: Path) -> None:
    load_keys(tmp_path / "other")
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / "curve.keys").symlink_to(tmp_path / "other" / "curve.keys")
    with pytest.raises(AuthenticationError, match="can't open the keys"):
        load_keys(tmp_path / "keys")


@pytest.mark.parametrize("content", [b"", b"00\n11\n", b"zz\nzz\n", b"\xff", b"00\n" * 200])
def test_file_that_holds_no_keys_is_refused(tmp_path: Path, content: bytes) -> None:
    load_keys(tmp_path / "keys")
    (tmp_path / "keys" / "curve.keys").write_bytes(content)
    with pytest.raises(AuthenticationError, match="holds no key pair"):
        load_keys(tmp_path / "keys")


def test_address_carries_the_key() -> None:
    key = bytes(range(32))
    assert split_address(join_address("tcp://10.0.0.1:5", key)) == ("tcp://10.0.0.1:5", key)
    assert split_address("tcp://10.0.0.1:5") == ("tcp://10.0.0.1:5", None)
    for wrong in ("tcp://h:1#", "tcp://h:1#00", "tcp://h:1#no"):
        with pytest.raises(ValueError, match=r"the key has|non-hexadecimal"):
            split_address(wrong)


def test_only_accepted_keys_of_our_domain_are_let_in() -> None:
    key = bytes(range(32))

    def status(domain: bytes, mechanism: bytes, *credentials: bytes) -> bytes:
        return zap_reply([b"1.0", b"7", domain, b"::1", b"", mechanism, *credentials], {key})[2]

    assert status(ZAP_DOMAIN, b"CURVE", key) == b"200"
    assert status(ZAP_DOMAIN, b"CURVE", key[::-1]) == b"400"
    assert status(ZAP_DOMAIN, b"CURVE") == b"400"
    assert status(ZAP_DOMAIN, b"NULL", key) == b"400"
    assert status(b"other", b"CURVE", key) == b"400"
    assert zap_reply([b"2.0", b"7"], {key})[1:3] == [b"7", b"500"]
    assert zap_reply([], {key})[2] == b"500"


def test_key_that_is_not_known_yet_is_put_off_and_not_refused() -> None:
    request = [b"1.0", b"7", ZAP_DOMAIN, b"::1", b"", b"CURVE", bytes(32)]
    assert zap_reply(request, (), is_known=False)[1:3] == [b"7", b"300"]
    assert key_of_request(request) == bytes(32)
    assert [key_of_request(request[:6]), key_of_request([b"2.0", *request[1:]])] == [None, None]


def test_nodes_have_their_keys_until_these_are_revoked() -> None:
    keys = NodeKeys()
    keys.accept(b"k" * 32, NODE)
    assert (b"k" * 32 in keys, keys.owner_of(b"k" * 32)) == (True, NODE)
    for _ in range(2):
        keys.revoke(b"k" * 32)
    assert (b"k" * 32 in keys, keys.owner_of(b"k" * 32)) == (False, None)
