"""The parts of an entry node that admit others, on the test's loop, with real sockets and files; and its visitors."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.admission import Admission, Membership
from actorrt.cluster.joining.dialling import dial
from actorrt.cluster.joining.entrance import Joiner
from actorrt.cluster.joining.join import join
from actorrt.cluster.joining.tls_stream import TlsStream
from actorrt.cluster.security import minting
from actorrt.cluster.security.card import Card, Role
from actorrt.cluster.security.refusals import RefusedError
from actorrt.cluster.security.state_directory import StateDirectory
from actorrt.cluster.security.tls import Credentials, client_context
from actorrt.cluster.security.token import Token
from actorrt.machine.clock import MonotonicClock
from actorrt.machine.disk import OsDisk
from actorrt.scopes import Scope
from tests.unit.cluster.kit import MemoryTokenRows

WAIT_S: Final = 10.0


@dataclass
class EntryNode:
    """An entry node. `refusal` is what it tells nodes that ask why they are refused."""

    directory: StateDirectory
    admission: Admission
    address: str
    rows: MemoryTokenRows
    scope: Scope
    revoked: set[bytes]
    enrolled: list[Joiner] = field(default_factory=list)
    refusal: RefusedError | None = None
    crashes: list[BaseException] = field(default_factory=list)

    async def token(self, *, uses: int | None = None, addresses: list[str] | None = None) -> Token:
        assert self.directory.authority is not None
        return await minting.mint_token(
            self.rows, self.directory.authority.fingerprint, addresses or [self.address], os.urandom, uses=uses
        )

    @property
    def refused(self) -> dict[str, int]:
        return self.admission.statistics().refused


def state_directory(path: Path) -> StateDirectory:
    return StateDirectory(str(path), disk=OsDisk(), draw=os.urandom, pid=os.getpid())


@asynccontextmanager
async def entry_node(path: Path, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[EntryNode]:
    """Run an entry node in a state directory; the first one there begins a cluster."""
    directory = state_directory(path)
    if directory.authority is None:
        directory.begin_cluster(time.time())
    assert directory.issuer is not None
    crashes: list[BaseException] = []
    scope = Scope("entry node", crashes.append)
    rows = MemoryTokenRows(time.time())
    node: EntryNode

    async def enrol(joiner: Joiner) -> bytes:
        node.enrolled.append(joiner)
        return b"the view"

    def refusal(card: Card) -> RefusedError | None:
        return node.refusal

    revoked: set[bytes] = set()
    admission = Admission(
        directory.issuer,
        directory.credentials(),
        tokens=rows,
        revoked=revoked,
        membership=Membership(enrol, refusal),
        scope=scope,
        clock=MonotonicClock(),
        wall=time.time,
        draw=os.urandom,
    )
    try:
        address = await admission.serve(host, port)
        node = EntryNode(directory, admission, address, rows, scope, revoked, crashes=crashes)
        yield node
        admission.port.check_invariants()
        assert crashes == []
    finally:
        await admission.close()
        await scope.close()
        directory.close()


async def joined(directory: StateDirectory, entry: EntryNode, role: Role = Role.FULL) -> Credentials:
    """Join by a token, keep what the node gets, and return what it shows from then on."""
    found = await join(await entry.token(), directory.identity, wall=time.time, role=role)
    directory.keep_membership(found.authority, found.issuer, found.card)
    return directory.credentials()


async def refusals_of(entry: EntryNode, count: int) -> dict[str, int]:
    """Return the refusals of the entry node when there are so many."""
    async with asyncio.timeout(WAIT_S):
        while sum(entry.refused.values()) < count:
            await asyncio.sleep(0.005)
    return entry.refused


async def stranger(entry: EntryNode, message: bytes) -> messages.Message:
    """Speak TLS without a certificate, send bytes, and return the answer."""
    stream = TlsStream(await dial(entry.address), client_context(None), is_server=False)
    try:
        await stream.handshake()
        await stream._repeat(stream._connection.send, message)
        async with asyncio.timeout(WAIT_S):
            return messages.read(await stream.receive(messages.ANSWER_BYTES))
    finally:
        stream.close()
