"""Authenticates peers over `tcp`: CURVE keys, their file, and the set of accepted keys.

CURVE encrypts every connection and proves that each side has its key (RFC 26/CurveZMQ). ZeroMQ asks over ZAP (RFC 27)
whether a key is accepted. A thread looks the key up in a set and answers, so a busy loop does not delay handshakes. The
address of a secured transport ends in `#` and its public key in hex, so a process that knows the address also knows the
key to expect. `ipc` needs none of this, since only the owner of its directory can connect.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import zmq
from zmq.utils import z85

from actorrt.errors import AuthenticationError

ZAP_DOMAIN: Final = b"actorrt"
_ZAP_ADDRESS: Final = "inproc://zeromq.zap.01"
_ZAP_VERSION: Final = b"1.0"
_STOP: Final = b"stop"
KEY_BYTES: Final = 32
_KEYS_FILE: Final = "curve.keys"
_KEYS_FILE_BYTES: Final = 2 * (2 * KEY_BYTES + 1)


class CurveKeys(NamedTuple):
    """A CURVE key pair, 32 bytes each. The secret key never leaves this machine."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"CurveKeys(public={self.public.hex()})"


def make_keys() -> CurveKeys:
    """Return a new key pair."""
    public, secret = zmq.curve_keypair()
    return CurveKeys(z85.decode(public), z85.decode(secret))


def load_keys(directory: Path) -> CurveKeys:
    """Return the key pair in `directory`; make one if there is none.

    The directory is made with mode 0700, and the file with mode 0600. Processes that call this at the same time get
    the same pair.

    Raises:
        AuthenticationError: other users could read or replace the keys, or the file holds no keys; nothing is changed.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_private(directory, directory.lstat())
    path = directory / _KEYS_FILE
    if not path.is_symlink() and not path.exists():
        _write(path, make_keys())
    return _read(path)


def _write(path: Path, keys: CurveKeys) -> None:
    """Write the file atomically. If another process has written it meanwhile, keep that file."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # with mode 0600
    try:
        with open(descriptor, "w") as file:
            file.write(f"{keys.public.hex()}\n{keys.secret.hex()}\n")
        os.link(draft, path)
    except FileExistsError:
        pass  # the caller reads the keys in that file
    finally:
        os.unlink(draft)


def _read(path: Path) -> CurveKeys:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise AuthenticationError(f"can't open the keys in {path}: {error.strerror}") from error
    with open(descriptor, "rb") as file:
        _check_private(path, os.fstat(descriptor))
        content = file.read(_KEYS_FILE_BYTES + 1)
    try:
        public, secret = (bytes.fromhex(line) for line in content.decode().splitlines())
    except ValueError as error:
        raise AuthenticationError(f"{path} holds no key pair; remove the file, and another one will be made") from error
    if len(public) != KEY_BYTES or len(secret) != KEY_BYTES:
        raise AuthenticationError(f"{path} holds no key pair; remove the file, and another one will be made")
    return CurveKeys(public, secret)


def _check_private(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise AuthenticationError(f"{path} belongs to user {status.st_uid}, not to user {os.geteuid()} of this process")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise AuthenticationError(
            f"{path} is open to other users (mode {stat.S_IMODE(status.st_mode):04o}); run: chmod go-rwx {path}"
        )


@dataclass(frozen=True, slots=True)
class Security:
    """The keys that a transport needs for authentication.

    Attributes:
        keys: the key pair of this node.
        accepted: the public keys of accepted peers, in both directions. May change at any time; connections with a
            removed key stay open.
    """

    keys: CurveKeys
    accepted: set[bytes] = field(default_factory=set)

    def secure_listener(self, socket: zmq.Socket[bytes]) -> None:
        """Prepare a socket, before it binds, to accept only accepted keys. Its context needs a `ZapHandler`."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, z85.encode(self.keys.secret))
        socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)

    def secure_caller(self, socket: zmq.Socket[bytes], key: bytes) -> None:
        """Prepare a socket, before it connects, to accept only a peer that has `key`."""
        socket.setsockopt(zmq.CURVE_SERVERKEY, z85.encode(key))
        socket.setsockopt(zmq.CURVE_PUBLICKEY, z85.encode(self.keys.public))
        socket.setsockopt(zmq.CURVE_SECRETKEY, z85.encode(self.keys.secret))


def join_address(place: str, key: bytes) -> str:
    """Return the address of a secured transport: its place, `#` and its public key."""
    return f"{place}#{key.hex()}"


def split_address(address: str) -> tuple[str, bytes | None]:
    """Return an address without its key, and the public key if it has one.

    Raises:
        ValueError: the text behind the `#` is no key.
    """
    place, mark, text = address.partition("#")
    if not mark:
        return place, None
    key = bytes.fromhex(text)
    if len(key) != KEY_BYTES:
        raise ValueError(f"{address!r}: the key has {len(key)} bytes, not {KEY_BYTES}")
    return place, key


class ZapHandler:
    """A thread that answers ZeroMQ's requests whether a key is accepted. A context can have only one.

    Args:
        context: the context whose connections are authenticated.
        accepted: the public keys that are accepted; looked up at each handshake.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], accepted: set[bytes]) -> None:
        self._accepted = accepted
        self._requests = context.socket(zmq.REP)
        self._requests.setsockopt(zmq.LINGER, 0)
        name = f"inproc://actorrt.zap.{id(self)}"
        self._stopping = context.socket(zmq.PAIR)
        self._stop = context.socket(zmq.PAIR)
        try:
            self._requests.bind(_ZAP_ADDRESS)
            self._stopping.bind(name)
            self._stop.connect(name)
        except zmq.ZMQError as error:
            for socket in (self._requests, self._stopping, self._stop):
                socket.close(linger=0)
            raise OSError(error.errno, f"can't listen at {_ZAP_ADDRESS}: {error}") from error
        self._thread = threading.Thread(target=self._serve, name="actorrt-zap", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering. Handshakes under way fail. Idempotent."""
        if not self._stop.closed:
            self._stop.send(_STOP)
            self._thread.join()
            self._stop.close(linger=0)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._requests, zmq.POLLIN)
        poller.register(self._stopping, zmq.POLLIN)
        while self._stopping not in (ready := dict(poller.poll())):
            if self._requests in ready:
                self._requests.send_multipart(zap_reply(self._requests.recv_multipart(), self._accepted))
        self._requests.close(linger=0)
        self._stopping.close(linger=0)


def zap_reply(request: list[bytes], accepted: set[bytes]) -> list[bytes]:
    """Return the reply to a ZAP request. The reply makes the key, in hex, the connection's `User-Id`."""
    if len(request) < 6 or request[0] != _ZAP_VERSION:
        return [_ZAP_VERSION, request[1] if len(request) > 1 else b"", b"500", b"not a request of ZAP 1.0", b"", b""]
    _, request_id, domain, _, _, mechanism, *credentials = request
    if domain == ZAP_DOMAIN and mechanism == b"CURVE" and len(credentials) == 1 and credentials[0] in accepted:
        return [_ZAP_VERSION, request_id, b"200", b"OK", credentials[0].hex().encode(), b""]
    return [_ZAP_VERSION, request_id, b"400", b"this key is not accepted", b"", b""]
