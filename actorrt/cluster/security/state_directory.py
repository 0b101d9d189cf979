"""The state directory of a node: what makes it the same node after a restart, for its user's eyes only.

| file | contents |
|---|---|
| `lock` | locked as long as a daemon uses the directory; the number of its process |
| `identity.json` | the node's id and its secret CURVE key |
| `card.key`, `card.pem` | the key of the node's card, and the card, once it belongs to a cluster |
| `authority.pem`, `authority.key` | the certificate of the cluster's authority; its key, on full nodes |
| `control` | the URL of the database with the control store, if it is in one |
| `ports.json` | the addresses at which the node listened last |

Invariants: the directory has mode 0700 and its files 0600, or it is refused. A file gets its name when it is complete
and on disk. A key is on disk before the certificate that names it. The lock is a `flock`, which processes forked later
share; so the directory is opened after the zygote has started.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from actorrt.cluster.security.authority import (
    Authority,
    Draw,
    Issuer,
    certificate_of_pem,
    private_bytes,
    private_key_of_pem,
    private_pem,
)
from actorrt.cluster.security.card import Card, Role
from actorrt.cluster.security.identity import Identity
from actorrt.cluster.security.tls import Credentials
from actorrt.errors import AuthenticationError, RuntimeStateError
from actorrt.ids import ID_BYTES, NodeId
from actorrt.machine.disk import Disk

T = TypeVar("T")

RUNTIME_VARIABLE: Final = "ACTORRT_RUNTIME_DIR"
LOCK, IDENTITY, PORTS, CONTROL = "lock", "identity.json", "ports.json", "control"
CARD_KEY, CARD, AUTHORITY, AUTHORITY_KEY = "card.key", "card.pem", "authority.pem", "authority.key"
_FILES: Final = (IDENTITY, PORTS, CONTROL, CARD_KEY, CARD, AUTHORITY, AUTHORITY_KEY)
_OTHERS: Final = 0o077
_NEXT: Final = "restore it from a copy, or remove the directory and join again as a new node"


def default_state_directory(environ: Mapping[str, str]) -> str:
    """Return the state directory of a node that is given none.

    It is `$XDG_STATE_HOME/actorrt`, by default `~/.local/state/actorrt`; below `ACTORRT_RUNTIME_DIR` if that is set.
    """
    if runtime := environ.get(RUNTIME_VARIABLE):
        return os.path.join(os.path.abspath(runtime), "state")
    state = environ.get("XDG_STATE_HOME") or os.path.join(environ.get("HOME") or "/", ".local", "state")
    return os.path.join(state, "actorrt")


class StateDirectory:
    """The state directory of a node, locked for this process until `close`.

    Args:
        path: the directory; it is made if there is none.
        disk: keeps the files.
        draw: the source of keys.
        pid: the number of this process.

    Attributes:
        path: the directory.
        identity: the node's identity, made when the directory is new.
        authority: the authority of the cluster to which the node belongs; None before it belongs to one.
        issuer: the authority with its key; None on driver nodes.
        card: the node's card; None before the node belongs to a cluster.
        ports: the addresses at which the node listened last, by their use.
        control: the URL of the database with the control store; None if it is in a file.

    Raises:
        RuntimeStateError: another daemon uses the directory.
        AuthenticationError: other users could read the keys, or a file is damaged; nothing is changed.
        OSError: the disk is full or fails.
    """

    def __init__(self, path: str, *, disk: Disk, draw: Draw, pid: int) -> None:
        self.path = os.path.abspath(path)
        self._disk = disk
        self._draw = draw
        disk.make_directory(self.path)
        _check_private(self.path, os.lstat(self.path), stat.S_ISDIR)
        self._lock = self._take_lock(pid)
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        found = {*self._disk.names(self.path)}
        for name in found.intersection(_FILES):
            _check_private(self.file(name), os.lstat(self.file(name)), stat.S_ISREG)
        self.identity = self._read_identity() if IDENTITY in found else self._make_identity()
        self.authority: Authority | None = None
        self.issuer: Issuer | None = None
        self.card: Card | None = None
        self.ports: dict[str, str] = self._parsed(PORTS, _ports_of) if PORTS in found else {}
        self.control: str | None = self._parsed(CONTROL, bytes.decode) if CONTROL in found else None
        if CARD not in found or AUTHORITY not in found:
            return  # the node belongs to no cluster, or its first start or join was cut short: it begins again
        self.authority = self._parsed(AUTHORITY, lambda pem: Authority.read(certificate_of_pem(pem)))
        if AUTHORITY_KEY in found:
            self.issuer = self._parsed(AUTHORITY_KEY, self._issuer_of)
        self.card = self._parsed(CARD, self._card_of)

    @property
    def cluster(self) -> bytes | None:
        """The id of the cluster to which the node belongs."""
        return None if self.authority is None else self.authority.fingerprint

    def credentials(self) -> Credentials:
        """Return what the node shows to others.

        Raises:
            RuntimeStateError: it belongs to no cluster.
        """
        if self.authority is None or self.card is None:
            raise RuntimeStateError(f"the node of {self.path} belongs to no cluster yet")
        return Credentials(self.authority, self.card, self.file(CARD), self.file(CARD_KEY))

    def file(self, name: str) -> str:
        """Return the path of a file in the directory."""
        return os.path.join(self.path, name)

    def begin_cluster(self, now_s: float) -> None:
        """Make the authority of a new cluster, and the card of its first node.

        Raises:
            RuntimeStateError: the node belongs to a cluster already; nothing is changed.
        """
        if self.authority is not None:
            raise RuntimeStateError(f"the node of {self.path} belongs to a cluster already")
        issuer = Issuer.make(self._draw, now_s)
        self.keep_membership(issuer.authority, issuer, self._issued_by(issuer, Role.FULL, now_s))

    def keep_membership(self, authority: Authority, issuer: Issuer | None, card: Card) -> None:
        """Keep what a node of a cluster has: when this returns, it outlives the loss of power.

        Raises:
            RuntimeStateError: the node belongs to another cluster; nothing is changed.
        """
        if self.authority is not None and self.authority != authority:
            raise RuntimeStateError(
                f"the node of {self.path} belongs to another cluster: give another directory with --state-dir, or "
                "remove this one to leave that cluster for good"
            )
        if issuer is not None:
            self._write(AUTHORITY_KEY, private_pem(issuer.key))
        self._write(AUTHORITY, authority.pem())
        self._write(CARD, card.pem())
        self.authority, self.issuer, self.card = authority, issuer or self.issuer, card

    def renew_card(self, now_s: float) -> bool:
        """Issue a new card to this node if half of the card's time is over; return whether it did.

        A driver node can't, and joins again by its card.
        """
        if self.issuer is None or self.card is None or now_s < self.card.renewal_s:
            return False
        card = self._issued_by(self.issuer, self.card.role, now_s)
        self._write(CARD, card.pem())
        self.card = card
        return True

    def keep_ports(self, ports: Mapping[str, str]) -> None:
        """Keep the addresses at which the node listens, so that it listens there again after a restart."""
        if dict(ports) != self.ports:
            self._write(PORTS, json.dumps(dict(ports)).encode())
            self.ports = dict(ports)

    def keep_control(self, url: str) -> None:
        """Keep where the control store is. There may be a password in it."""
        if url != self.control:
            self._write(CONTROL, url.encode())
            self.control = url

    def close(self) -> None:
        """Unlock the directory. Idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # Reading

    def _read_identity(self) -> Identity:
        signing = self._parsed(CARD_KEY, private_key_of_pem)

        def identity_of(data: bytes) -> Identity:
            kept = json.loads(data)
            node = bytes.fromhex(kept["node"])
            if len(node) != ID_BYTES:
                raise ValueError("the id of the node has another length")
            return Identity.of_secrets(NodeId(node), bytes.fromhex(kept["curve_secret"]), signing)

        return self._parsed(IDENTITY, identity_of)

    def _make_identity(self) -> Identity:
        made = Identity.make(self._draw)
        self._write(CARD_KEY, private_pem(made.signing))
        kept = {"node": made.node.hex(), "curve_secret": made.keys.secret.hex()}
        self._write(IDENTITY, json.dumps(kept).encode())
        return made

    def _issuer_of(self, pem: bytes) -> Issuer:
        assert self.authority is not None, "it was read before"
        return Issuer.of_key(self.authority, private_bytes(private_key_of_pem(pem)))

    def _card_of(self, pem: bytes) -> Card:
        card = Card.read(certificate_of_pem(pem))
        if not self.identity.owns(card):
            raise ValueError("the card is of other keys")
        return card

    def _issued_by(self, issuer: Issuer, role: Role, now_s: float) -> Card:
        identity = self.identity
        return issuer.issue(identity.node, identity.keys.public, identity.public_key, role, self._draw, now_s)

    def _parsed(self, name: str, parse: Callable[[bytes], T]) -> T:
        path = self.file(name)
        try:
            return parse(bytes(self._disk.read(path)))
        except (ValueError, KeyError, TypeError, AuthenticationError) as error:
            raise AuthenticationError(f"{path} is damaged ({error}): {_NEXT}") from error
        except FileNotFoundError as error:
            raise AuthenticationError(f"{path} is missing: {_NEXT}") from error

    # Writing

    def _write(self, name: str, data: bytes) -> None:
        """Write a file that gets its name when it is complete and on disk."""
        draft = self.file(f".{name}.draft")
        file = self._disk.create(draft)
        try:
            file.write(data)
            file.sync()
        finally:
            file.close()
        self._disk.rename(draft, self.file(name))
        self._disk.sync_directory(self.path)

    def _take_lock(self, pid: int) -> int:
        path = self.file(LOCK)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise RuntimeStateError(
                f"another node (process {owner}) uses the state directory {self.path}: stop it, or give another "
                "directory with --state-dir"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % pid, 0)
        return lock


def _ports_of(data: bytes) -> dict[str, str]:
    kept = json.loads(data)
    if not isinstance(kept, dict) or not all(isinstance(address, str) for address in kept.values()):
        raise ValueError("not a map of addresses")
    return kept


def _check_private(path: str, status: os.stat_result, is_kind: Callable[[int], bool]) -> None:
    """Refuse a directory or file that other users could read or replace."""
    if not is_kind(status.st_mode):
        raise AuthenticationError(f"{path} is a link or a file of another kind: remove it, or give another --state-dir")
    if status.st_uid != os.geteuid():
        raise AuthenticationError(
            f"{path} belongs to user {status.st_uid}, not to user {os.geteuid()} of this process: give a directory of "
            "your own with --state-dir"
        )
    if stat.S_IMODE(status.st_mode) & _OTHERS:
        raise AuthenticationError(
            f"{path} is open to other users (mode {stat.S_IMODE(status.st_mode):04o}); run: chmod go-rwx {path}"
        )
