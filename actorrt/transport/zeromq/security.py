"""Authenticates peers over `tcp`: CURVE keys, their file, and the set of accepted keys.

CURVE encrypts every connection and proves that each side has its key (RFC 26/CurveZMQ). ZeroMQ asks over ZAP (RFC 27)
whether a key is accepted. A thread looks the key up and answers, so a busy loop does not delay handshakes. Only a key
that is not known yet waits for the loop, which asks about it. The address of a secured transport ends in `#` and its
public key in hex, so a process that knows the address also knows the key to expect. `ipc` needs none of this, since
only the owner of its directory can connect.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import zmq
from zmq.utils import z85

from actorrt.errors import AuthenticationError

ZAP_DOMAIN: Final = b"actorrt"
_ZAP_ADDRESS: Final = "inproc://zeromq.zap.01"
_ZAP_VERSION: Final = b"1.0"
_WAKE: Final = b"w"
MAX_QUESTIONS_COUNT: Final = 16
"""The number of unknown keys that are asked about at the same time."""
MAX_WAITING_HANDSHAKES_COUNT: Final = 64
"""The number of handshakes with one unknown key that wait for the verdict on it."""
KEY_BYTES: Final = 32
_KEYS_FILE: Final = "curve.keys"
_KEYS_FILE_BYTES: Final = 2 * (2 * KEY_BYTES + 1)


Verdict = Callable[[bool | None], None]
"""Called with whether a key is accepted; None if nobody can say now, after which the far end connects again."""


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


def save_keys(directory: Path, keys: CurveKeys) -> None:
    """Keep a key pair for `load_keys`, in a directory of mode 0700 that has none."""
    _write(directory / _KEYS_FILE, keys)


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
        accepted: the public keys of accepted peers, in both directions. May change at any time; frames that arrive over
            connections with a removed key are ignored.
        on_unknown_key: called on the transport's loop with the key of a peer that connects, if the key is not among the
            accepted ones, and with a function that takes the verdict. None: the key is refused.
    """

    keys: CurveKeys
    accepted: Container[bytes] = field(default_factory=set)
    on_unknown_key: Callable[[bytes, Verdict], None] | None = None

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
        on_unknown_key: called in the thread with a key that is not among them, and a function that takes the verdict,
            in any thread. The handshake waits for it. None: the key is refused. A key is asked about once at a time,
            and only `MAX_QUESTIONS_COUNT` keys at the same time: others are put off, so strangers can't ask for more.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        accepted: Container[bytes],
        on_unknown_key: Callable[[bytes, Verdict], None] | None = None,
    ) -> None:
        self._accepted = accepted
        self._on_unknown_key = on_unknown_key
        self._waiting: dict[bytes, list[list[bytes]]] = {}  # requests, with their envelopes, by key
        self._verdicts: deque[tuple[bytes, bool | None]] = deque()
        self._requests = context.socket(zmq.ROUTER)
        self._requests.setsockopt(zmq.LINGER, 0)
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._requests.bind(_ZAP_ADDRESS)
        except zmq.ZMQError as error:
            self._requests.close(linger=0)
            self._close_pipe()
            raise OSError(error.errno, f"can't listen at {_ZAP_ADDRESS}: {error}") from error
        self._is_stopping = False
        self._thread = threading.Thread(target=self._serve, name="actorrt-zap", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering. Handshakes under way fail. Idempotent."""
        if not self._is_stopping:
            self._is_stopping = True
            os.write(self._wake_write, _WAKE)
            self._thread.join()
            self._close_pipe()

    def _close_pipe(self) -> None:
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._wake_write = -1

    def _decide(self, key: bytes, is_accepted: bool | None) -> None:
        """Take the verdict on a key, in any thread."""
        self._verdicts.append((key, is_accepted))
        with suppress(OSError):  # the pipe is full, so the thread wakes anyway; or it is closed
            os.write(self._wake_write, _WAKE)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._requests, zmq.POLLIN)
        poller.register(self._wake_read, zmq.POLLIN)
        while not self._is_stopping:
            ready = dict(poller.poll())
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
                self._answer_decided()
            if self._requests in ready:
                self._answer(self._requests.recv_multipart())
        self._requests.close(linger=0)

    def _answer(self, message: list[bytes]) -> None:
        envelope, request = message[:2], message[2:]  # the sender's routing id, and an empty part
        key = key_of_request(request)
        if key is None or key in self._accepted or self._on_unknown_key is None:
            self._requests.send_multipart(envelope + zap_reply(request, self._accepted))
        elif key in self._waiting:
            self._wait_too(self._waiting[key], message)
        elif len(self._waiting) < MAX_QUESTIONS_COUNT:
            self._waiting[key] = [message]
            self._on_unknown_key(key, partial(self._decide, key))
        else:
            self._requests.send_multipart(envelope + zap_reply(request, (), is_known=False))

    def _wait_too(self, waiting: list[list[bytes]], message: list[bytes]) -> None:
        if len(waiting) < MAX_WAITING_HANDSHAKES_COUNT:
            waiting.append(message)
        else:
            self._requests.send_multipart(message[:2] + zap_reply(message[2:], (), is_known=False))

    def _answer_decided(self) -> None:
        while self._verdicts:
            key, is_accepted = self._verdicts.popleft()
            for message in self._waiting.pop(key, ()):
                accepted = (key,) if is_accepted else ()
                reply = zap_reply(message[2:], accepted, is_known=is_accepted is not None)
                self._requests.send_multipart(message[:2] + reply)


def key_of_request(request: list[bytes]) -> bytes | None:
    """Return the key that a ZAP request asks about; None if it is not one of ours."""
    if len(request) != 7 or request[0] != _ZAP_VERSION or request[2] != ZAP_DOMAIN or request[5] != b"CURVE":
        return None
    return request[6]


def zap_reply(request: list[bytes], accepted: Container[bytes], *, is_known: bool = True) -> list[bytes]:
    """Return the reply to a ZAP request. The reply makes the key, in hex, the connection's `User-Id`.

    If it is not known yet whether the key is accepted, the far end is told to connect again.
    """
    if len(request) < 6 or request[0] != _ZAP_VERSION:
        return [_ZAP_VERSION, request[1] if len(request) > 1 else b"", b"500", b"not a request of ZAP 1.0", b"", b""]
    key = key_of_request(request)
    if key is not None and key in accepted:
        return [_ZAP_VERSION, request[1], b"200", b"OK", key.hex().encode(), b""]
    if not is_known:
        return [_ZAP_VERSION, request[1], b"300", b"it is not known yet whether this key is accepted", b"", b""]
    return [_ZAP_VERSION, request[1], b"400", b"this key is not accepted", b"", b""]
