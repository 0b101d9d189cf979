"""Who may speak over `tcp`: CURVE keys, where they are kept, and the list of those that are accepted.

CURVE encrypts every connection and proves that each side holds its key (RFC 26/CurveZMQ). Whether a key is welcome,
ZeroMQ asks over ZAP (RFC 27); the answer is a look into a set, given by a thread of its own, since a busy loop must
not keep others waiting. A secured endpoint's address ends in `#` and its public key in hex: whoever knows where it is
knows whom to expect there. `ipc` needs none of this: its directory is its owner's.
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


class Keys(NamedTuple):
    """A CURVE key pair, 32 bytes each. The secret one is for this process only."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Keys(public={self.public.hex()})"


def make_keys() -> Keys:
    """Return a key pair that nobody had before."""
    public, secret = zmq.curve_keypair()
    return Keys(z85.decode(public), z85.decode(secret))


def load_keys(directory: Path) -> Keys:
    """Return the key pair kept in `directory`, made if there is none.

    The directory is made with mode 0700, the file in it with 0600. Processes that do this at the same time get the
    same pair.

    Raises:
        AuthenticationError: others could read or replace the keys, or the file is not one of ours; nothing is changed.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_private(directory, directory.lstat())
    path = directory / _KEYS_FILE
    if not path.is_symlink() and not path.exists():
        _write(path, make_keys())
    return _read(path)


def _write(path: Path, keys: Keys) -> None:
    """Put the file there whole, or leave the one that somebody else has put there meanwhile."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # with mode 0600
    try:
        with open(descriptor, "w") as file:
            file.write(f"{keys.public.hex()}\n{keys.secret.hex()}\n")
        os.link(draft, path)
    except FileExistsError:
        pass  # its keys are the ones to use, and are read next
    finally:
        os.unlink(draft)


def _read(path: Path) -> Keys:
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
        raise AuthenticationError(f"{path} holds no key pair; remove it, and another will be made") from error
    if len(public) != KEY_BYTES or len(secret) != KEY_BYTES:
        raise AuthenticationError(f"{path} holds no key pair; remove it, and another will be made")
    return Keys(public, secret)


def _check_private(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise AuthenticationError(f"{path} belongs to user {status.st_uid}, not to us ({os.geteuid()})")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise AuthenticationError(
            f"{path} is open to others (mode {stat.S_IMODE(status.st_mode):04o}); run: chmod go-rwx {path}"
        )


@dataclass(frozen=True, slots=True)
class Security:
    """What a transport needs to authenticate.

    Attributes:
        keys: its own.
        accepted: public keys of those that may speak with it, and with whom it speaks. May change at any time; who
            is removed keeps the connections it has.
    """

    keys: Keys
    accepted: set[bytes] = field(default_factory=set)

    def secure_listener(self, socket: zmq.Socket[bytes]) -> None:
        """Let only accepted keys connect to a socket that is about to bind. Needs a `Gate` in its context."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, z85.encode(self.keys.secret))
        socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)

    def secure_caller(self, socket: zmq.Socket[bytes], key: bytes) -> None:
        """Let a socket that is about to connect find nobody but the holder of `key`."""
        socket.setsockopt(zmq.CURVE_SERVERKEY, z85.encode(key))
        socket.setsockopt(zmq.CURVE_PUBLICKEY, z85.encode(self.keys.public))
        socket.setsockopt(zmq.CURVE_SECRETKEY, z85.encode(self.keys.secret))


def join_address(place: str, key: bytes) -> str:
    """Return the address of a secured endpoint."""
    return f"{place}#{key.hex()}"


def split_address(address: str) -> tuple[str, bytes | None]:
    """Return where an endpoint is, and its public key if it has one.

    Raises:
        ValueError: what follows the `#` is no key.
    """
    place, mark, text = address.partition("#")
    if not mark:
        return place, None
    key = bytes.fromhex(text)
    if len(key) != KEY_BYTES:
        raise ValueError(f"{address!r}: the key has {len(key)} bytes, not {KEY_BYTES}")
    return place, key


class Gate:
    """The thread that answers ZeroMQ's question whether a key is welcome. One for each context.

    Args:
        context: whose connections are asked about.
        accepted: the public keys that are; looked up at each handshake.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], accepted: set[bytes]) -> None:
        self._accepted = accepted
        self._questions = context.socket(zmq.REP)
        self._questions.setsockopt(zmq.LINGER, 0)
        name = f"inproc://actorrt.gate.{id(self)}"
        self._stopping = context.socket(zmq.PAIR)
        self._stop = context.socket(zmq.PAIR)
        try:
            self._questions.bind(_ZAP_ADDRESS)
            self._stopping.bind(name)
            self._stop.connect(name)
        except zmq.ZMQError as error:
            for socket in (self._questions, self._stopping, self._stop):
                socket.close(linger=0)
            raise OSError(error.errno, f"can't listen at {_ZAP_ADDRESS}: {error}") from error
        self._thread = threading.Thread(target=self._serve, name="actorrt-zap", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more; handshakes under way fail. Idempotent."""
        if not self._stop.closed:
            self._stop.send(_STOP)
            self._thread.join()
            self._stop.close(linger=0)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._questions, zmq.POLLIN)
        poller.register(self._stopping, zmq.POLLIN)
        while self._stopping not in (ready := dict(poller.poll())):
            if self._questions in ready:
                self._questions.send_multipart(answer(self._questions.recv_multipart(), self._accepted))
        self._questions.close(linger=0)
        self._stopping.close(linger=0)


def answer(question: list[bytes], accepted: set[bytes]) -> list[bytes]:
    """Return the reply to a ZAP request; the key, in hex, becomes the connection's `User-Id`."""
    if len(question) < 6 or question[0] != _ZAP_VERSION:
        return [_ZAP_VERSION, question[1] if len(question) > 1 else b"", b"500", b"not a request of ZAP 1.0", b"", b""]
    _, request_id, domain, _, _, mechanism, *credentials = question
    if domain == ZAP_DOMAIN and mechanism == b"CURVE" and len(credentials) == 1 and credentials[0] in accepted:
        return [_ZAP_VERSION, request_id, b"200", b"OK", credentials[0].hex().encode(), b""]
    return [_ZAP_VERSION, request_id, b"400", b"this key is not accepted", b"", b""]
