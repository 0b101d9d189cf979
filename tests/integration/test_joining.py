"""Joining over real sockets on loopback: admitted nodes, refused ones, strangers, and handshakes that never end."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from actorrt.cluster.joining import messages
from actorrt.cluster.joining import port as port_module
from actorrt.cluster.joining.dialling import dial, dial_as_member, is_open
from actorrt.cluster.joining.join import ask_why, join, read_token
from actorrt.cluster.joining.messages import Question
from actorrt.cluster.joining.port import MOST_HALF_OPEN, Visit
from actorrt.cluster.joining.tls_stream import TlsStream
from actorrt.cluster.security import minting
from actorrt.cluster.security.card import CARD_S, Card, Role
from actorrt.cluster.security.identity import Identity
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.state_directory import StateDirectory
from actorrt.cluster.security.tls import Credentials, client_context
from actorrt.cluster.security.token import split_host_port
from actorrt.errors import AuthenticationError, ControlUnavailableError, PeerUnreachableError
from tests.integration.entry_node import EntryNode, entry_node, state_directory

WAIT_S = 10.0


@pytest.fixture
async def entry(tmp_path: Path) -> AsyncIterator[EntryNode]:
    async with entry_node(tmp_path / "entry") as node:
        yield node


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[StateDirectory]:
    directory = state_directory(tmp_path / "newcomer")
    yield directory
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


def raw(entry: EntryNode) -> socket.socket:
    return socket.create_connection(split_host_port(entry.address), WAIT_S)


async def answer_to(entry: EntryNode, data: bytes) -> bytes:
    """Send bytes to the port without TLS; return all that comes back until the port closes the connection."""

    def converse() -> bytes:
        with raw(entry) as connection:
            connection.sendall(data)
            answer = b""
            try:
                while part := connection.recv(4096):
                    answer += part
            except ConnectionResetError:
                pass
            return answer

    return await asyncio.to_thread(converse)


# Joining


async def test_node_joins_by_a_token_and_again_by_its_card(entry: EntryNode, newcomer: StateDirectory) -> None:
    token = read_token((await entry.token(uses=1)).text())
    found = await join(token, newcomer.identity, wall=time.time, about=b"about me")
    assert (found.view, found.local_host, found.seen_host) == (b"the view", "127.0.0.1", "127.0.0.1")
    assert found.entry.node == entry.directory.identity.node
    newcomer.keep_membership(found.authority, found.issuer, found.card)
    again = await join(newcomer.credentials(), newcomer.identity, wall=time.time, addresses=[entry.address])
    assert again.card.node == newcomer.identity.node
    assert [(joiner.has_token, joiner.about) for joiner in entry.enrolled] == [(True, b"about me"), (False, b"")]
    assert entry.admission.statistics().authenticated == 2
    assert entry.refused == {}


async def test_node_that_has_joined_admits_others_itself(
    entry: EntryNode, newcomer: StateDirectory, tmp_path: Path
) -> None:
    await joined(newcomer, entry)
    newcomer.close()
    async with entry_node(tmp_path / "newcomer") as second:
        third = Identity.make(os.urandom)
        found = await join(await second.token(), third, wall=time.time)
        assert found.authority == entry.directory.authority


def test_port_and_clients_work_on_uvloop_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with entry_node(tmp_path / "entry") as entry:
            found = await join(await entry.token(), Identity.make(os.urandom), wall=time.time)
            assert found.authority == entry.directory.authority
            answer = await stranger(entry, messages.framed(messages.pack(messages.ASK, Question())))
            assert answer.kind == messages.REFUSAL
            stalled = [await dial(entry.address) for _ in range(2 * MOST_HALF_OPEN)]
            await join(await entry.token(), Identity.make(os.urandom), wall=time.time)
            assert entry.admission.statistics().most_half_open == MOST_HALF_OPEN
            for connection in stalled:
                connection.close()

    uvloop.run(scenario())


async def test_driver_node_joins_and_its_directory_has_no_key_of_the_authority(
    entry: EntryNode, newcomer: StateDirectory
) -> None:
    await joined(newcomer, entry, Role.DRIVER)
    assert newcomer.issuer is None
    assert "authority.key" not in os.listdir(newcomer.path)


async def test_second_address_of_a_token_is_tried_when_the_first_is_dead_or_somebody_else(
    entry: EntryNode, newcomer: StateDirectory, tmp_path: Path
) -> None:
    async with entry_node(tmp_path / "other cluster") as other:
        token = await entry.token(addresses=["127.0.0.1:1", other.address, entry.address])
        assert (await join(token, newcomer.identity, wall=time.time)).authority == entry.directory.authority


async def test_fifty_nodes_join_at_the_same_time(entry: EntryNode) -> None:
    token = await entry.token(uses=50)
    nodes = [Identity.make(os.urandom) for _ in range(51)]
    outcomes = await asyncio.gather(*(join(token, node, wall=time.time) for node in nodes), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [str(error) for error in refused] == [
        f"{entry.address}: the token is used up: make another one with `actorrt token`"
    ]
    assert entry.rows.rows[token.id][0].uses_left == 0


# Refused, with a reason


async def test_refused_tokens_are_authentication_errors_in_one_line_and_logged_once(
    entry: EntryNode, newcomer: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    token = await entry.token()
    await minting.revoke_token(entry.rows, token.id)
    for _ in range(3):
        with pytest.raises(AuthenticationError) as caught:
            await join(token, newcomer.identity, wall=time.time)
        assert type(caught.value) is AuthenticationError
        assert str(caught.value) == f"{entry.address}: the token was revoked: make another one with `actorrt token`"
    assert entry.refused == {"token_revoked": 3}
    assert [record.message for record in caplog.records if "refused" in record.message] == [
        "refused 127.0.0.1: the token was revoked: make another one with `actorrt token` (further ones for this reason "
        "are only counted)"
    ]
    assert entry.enrolled == []


async def test_token_of_another_cluster_is_refused_by_the_joining_side(
    entry: EntryNode, newcomer: StateDirectory, tmp_path: Path
) -> None:
    async with entry_node(tmp_path / "other") as other:
        token = await other.token(addresses=[entry.address])
        with pytest.raises(AuthenticationError, match="belongs to another cluster than the token"):
            await join(token, newcomer.identity, wall=time.time)
    assert entry.enrolled == []


async def test_card_of_another_cluster_is_refused_on_both_sides(
    entry: EntryNode, newcomer: StateDirectory, tmp_path: Path
) -> None:
    async with entry_node(tmp_path / "other") as other:
        await joined(newcomer, other)
    with pytest.raises(AuthenticationError, match="the far end belongs to another cluster, or is no node"):
        await join(newcomer.credentials(), newcomer.identity, wall=time.time, addresses=[entry.address])
    assert await refusals_of(entry, 1) == {"another_cluster": 1}
    # A client that does not look at the server's card learns it from the alert.
    context = client_context(newcomer.credentials())
    context.verify_mode = ssl.CERT_NONE
    stream = TlsStream(await dial(entry.address), context, is_server=False)
    await stream.handshake()
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        await stream.receive(1_000)
    stream.close()
    assert await refusals_of(entry, 2) == {"another_cluster": 2}


async def test_expired_card_is_refused_by_the_entry_node_with_the_reason(
    entry: EntryNode, newcomer: StateDirectory
) -> None:
    assert entry.directory.issuer is not None
    me = newcomer.identity
    old = entry.directory.issuer.issue(
        me.node, me.keys.public, me.public_key, Role.FULL, os.urandom, time.time() - CARD_S - 3 * 86_400
    )
    newcomer.keep_membership(entry.directory.issuer.authority, None, old)
    with pytest.raises(AuthenticationError, match="the card of the joining node expired 3 days ago"):
        await join(newcomer.credentials(), me, wall=time.time, addresses=[entry.address])
    assert entry.refused == {"card_expired": 1}


async def test_clocks_an_hour_apart_are_refused_with_the_difference(entry: EntryNode, newcomer: StateDirectory) -> None:
    with pytest.raises(AuthenticationError, match="clock of the joining machine is 60 minutes ahead of"):
        await join(await entry.token(), newcomer.identity, wall=lambda: time.time() + 3_600)


async def test_revoked_node_learns_why_when_it_asks(entry: EntryNode, newcomer: StateDirectory) -> None:
    credentials = await joined(newcomer, entry)
    await ask_why(credentials, [entry.address], time.time)
    entry.refusal = RefusedError(Reason.NO_MEMBER, "node x was declared dead 5 s ago: it joins again by itself")
    with pytest.raises(AuthenticationError, match="declared dead 5 s ago"):
        await ask_why(credentials, [entry.address], time.time)
    entry.revoked.add(newcomer.identity.keys.public)
    with pytest.raises(AuthenticationError, match="the key of this node was revoked"):
        await ask_why(credentials, [entry.address], time.time)
    assert entry.refused == {"card_revoked": 1, "no_member": 1}


async def test_without_the_control_store_a_join_ends_with_its_own_error(
    entry: EntryNode, newcomer: StateDirectory
) -> None:
    token = await entry.token()
    entry.rows.is_away = True
    with pytest.raises(ControlUnavailableError, match=r"nobody can join now: .*; the token stays valid"):
        await join(token, newcomer.identity, wall=time.time)
    entry.rows.is_away = False
    await join(token, newcomer.identity, wall=time.time)


async def test_defect_in_the_entry_node_ends_one_conversation_only(
    entry: EntryNode, newcomer: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> bytes:
        raise ZeroDivisionError("a defect")

    token = await entry.token()
    kept, entry.admission._membership = entry.admission._membership, type(entry.admission._membership)(broken)
    with pytest.raises(PeerUnreachableError, match="closed the connection without a reason"):
        await join(token, newcomer.identity, wall=time.time)
    assert "a defect in the conversation with 127.0.0.1" in caplog.text
    entry.admission._membership = kept
    await join(token, newcomer.identity, wall=time.time)
    assert entry.refused == {"defect": 1}


# Addresses


async def test_address_that_can_not_be_dialled_is_named_with_the_next_step(
    entry: EntryNode, newcomer: StateDirectory
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        dead = f"127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(PeerUnreachableError) as caught:
        await join(await entry.token(addresses=[dead]), newcomer.identity, wall=time.time)
    assert str(caught.value) == (
        f"{dead} can't be reached: no node listens there (connection refused); such an address is this machine's own: "
        "to join from another machine, start the entry node with --listen HOST, and make a new token there"
    )
    assert not await is_open(dead)
    assert await is_open(entry.address)
    with pytest.raises(PeerUnreachableError, match="no machine has this name"):
        await dial("no-such-host.invalid:7001")
    with (
        _full_listener() as full,
        pytest.raises(PeerUnreachableError, match=r"no answer within 0\.2 s: a firewall may"),
    ):
        await dial(full, 0.2)
    with pytest.raises(PeerUnreachableError, match="is not HOST:PORT"):
        await dial("nonsense")


class _full_listener:
    """A port whose queue of connections is full, so that nothing answers."""

    def __enter__(self) -> str:
        self.sockets = [socket.create_server(("127.0.0.1", 0), backlog=0)]
        place = self.sockets[0].getsockname()
        for _ in range(4):
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex(place)
            self.sockets.append(connection)
        return f"127.0.0.1:{place[1]}"

    def __exit__(self, *_: object) -> None:
        for connection in self.sockets:
            connection.close()


async def test_port_in_use_is_named_with_the_next_step(entry: EntryNode, tmp_path: Path) -> None:
    port = split_host_port(entry.address)[1]
    with pytest.raises(OSError) as caught:
        async with entry_node(tmp_path / "second", port=port):
            pass
    assert str(caught.value) == (
        f"can't listen at {entry.address}: another process uses the port: give another one with --listen HOST:PORT, or "
        "stop that process"
    )


@pytest.mark.parametrize(
    ("host", "words"),
    [("203.0.113.7", "this machine has no such address"), ("no-such-host.invalid", "no machine has this name")],
)
async def test_address_that_is_not_of_this_machine_is_named_with_the_next_step(
    tmp_path: Path, host: str, words: str
) -> None:
    with pytest.raises(OSError, match=f"can't listen at {host}:0: {words}: .*--listen"):
        async with entry_node(tmp_path / "second", host=host):
            pass


# Strangers


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, b"\xff" * 5_000, b"SSH-2.0-x\r\n", b"\x01"],
    ids=["http", "zeros", "ones", "ssh", "a byte"],
)
async def test_plain_text_to_the_port_is_refused_and_costs_no_tls(entry: EntryNode, data: bytes) -> None:
    assert await answer_to(entry, data) == b""
    assert await refusals_of(entry, 1) == {"no_tls": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xff" + b"a" * 70_000,
    ],
    ids=["no hello", "oversized record"],
)
async def test_garbage_that_begins_as_tls_does_is_refused(entry: EntryNode, data: bytes) -> None:
    await answer_to(entry, data)
    assert await refusals_of(entry, 1) == {"handshake_failed": 1}


async def test_client_with_an_older_tls_is_refused(entry: EntryNode) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    stream = TlsStream(await dial(entry.address), context, is_server=False)
    with pytest.raises(ssl.SSLError):
        await stream.handshake()
    stream.close()
    assert await refusals_of(entry, 1) == {"handshake_failed": 1}


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


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (messages.framed(messages.pack(messages.ASK, Question())), "card_missing"),
        (messages.framed(messages.pack("bulk", Question())), "unknown_purpose"),
        (messages.framed(messages.pack("members", Question())), "card_missing"),
        (messages.framed(messages.pack(messages.JOIN, Question())), "malformed"),
        (messages.framed(b"\xc1 garbage"), "malformed"),
        (messages.framed(b"\x92\xa4join\x80"), "malformed"),
        (b"\xff\xff\xff\xff", "malformed"),
        (b"\x00\x00\x00\x00", "malformed"),
    ],
    ids=["ask", "bulk", "members only", "empty join", "garbage", "bare join", "4 GiB", "nothing"],
)
async def test_stranger_that_speaks_tls_is_refused_with_the_reason(
    entry: EntryNode, message: bytes, reason: str
) -> None:
    async def never(visit: Visit, card: Card) -> None:
        raise AssertionError("a stranger came in")

    entry.admission.port.routes["members"] = entry.admission.members_only(never)
    answer = await stranger(entry, message)
    assert answer.kind == messages.REFUSAL
    assert answer.contents["reason"] == reason
    assert await refusals_of(entry, 1) == {reason: 1}


async def test_connection_that_is_closed_before_its_first_byte_is_a_probe_and_no_refusal(entry: EntryNode) -> None:
    for _ in range(3):
        (await dial(entry.address)).close()
    async with asyncio.timeout(WAIT_S):
        while entry.admission.statistics().probes < 3:
            await asyncio.sleep(0.005)
    assert entry.refused == {}


async def test_client_that_goes_away_in_the_middle_leaves_nothing(entry: EntryNode) -> None:
    token = await entry.token()
    for steps in range(3):
        stream = TlsStream(await dial(entry.address), client_context(None), is_server=False)
        if steps > 0:
            await stream.handshake()
        if steps > 1:
            await stream.send(b"\x92\xa4join")
        stream.close()
    async with asyncio.timeout(WAIT_S):
        while entry.admission.statistics().half_open or entry.admission.port._tasks:
            await asyncio.sleep(0.005)
    await join(token, Identity.make(os.urandom), wall=time.time)


# Bounds


async def test_client_that_does_not_finish_in_time_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with entry_node(tmp_path / "entry") as entry:
        entry.admission.port._opening_s = 0.2
        with raw(entry) as silent, raw(entry) as slow:
            slow.sendall(b"\x16\x03\x01\x02\x00\x01")
            assert await refusals_of(entry, 2) == {"too_slow": 2}
            assert [await asyncio.to_thread(connection.recv, 1) for connection in (silent, slow)] == [b"", b""]


async def test_thousand_stalled_handshakes_take_bounded_memory_and_nobody_is_kept_from_joining(
    entry: EntryNode,
) -> None:
    hello = _client_hello()
    token = await entry.token()
    await join(token, Identity.make(os.urandom), wall=time.time)  # imports and caches are in place
    gc.collect()
    before = _resident_bytes()
    stalled: list[socket.socket] = []
    try:
        for number in range(1_000):
            connection = await dial(entry.address)
            connection.send((b"", hello[:100], hello)[number % 3])
            stalled.append(connection)
        taken = _resident_bytes() - before
        started = time.monotonic()
        found = await join(token, Identity.make(os.urandom), wall=time.time)
        took_s = time.monotonic() - started
        assert found.authority == entry.directory.authority
        statistics = entry.admission.statistics()
        assert statistics.most_half_open == MOST_HALF_OPEN
        assert statistics.half_open <= MOST_HALF_OPEN
        assert statistics.refused == {"too_many": 1_001 - MOST_HALF_OPEN}
        assert taken < 24 * 2**20, f"{taken / 2**20:.1f} MiB"
        print(f"1,000 stalled handshakes: {taken / 2**20:.1f} MiB; a join beside them: {took_s * 1000:.0f} ms")
    finally:
        for connection in stalled:
            connection.close()


def _client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context(None).wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_port_without_free_descriptors_accepts_again_later(
    entry: EntryNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = entry.admission.port._listener
    assert listener is not None
    calls = 0

    class Exhausted:
        """A listening socket that has no descriptor to give at first."""

        def __getattr__(self, name: str) -> Any:
            return getattr(listener, name)

        def accept(self) -> Any:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise OSError(24, "Too many open files")
            return listener.accept()

    monkeypatch.setattr(entry.admission.port, "_listener", Exhausted())
    await join(await entry.token(), Identity.make(os.urandom), wall=time.time)
    assert calls >= 2


# Members


async def test_member_hands_its_connection_to_a_thread_and_bytes_arrive_in_place(
    entry: EntryNode, newcomer: StateDirectory
) -> None:
    credentials = await joined(newcomer, entry)
    payload = os.urandom(4 * 2**20)
    seen: list[Card] = []

    async def send_all(visit: Visit, card: Card) -> None:
        seen.append(card)
        connection = visit.detach()

        def send() -> None:
            with connection:
                connection.sendall(payload)

        await asyncio.to_thread(send)

    entry.admission.port.routes["bulk"] = entry.admission.members_only(send_all)
    place = bytearray(len(payload))

    def fetch() -> None:
        expected = entry.directory.identity.node
        with dial_as_member(entry.address, credentials, "bulk", Question(), time.time, expected=expected) as stream:
            view, filled = memoryview(place), 0
            while filled < len(place):
                filled += stream.recv_into(view[filled:])

    await asyncio.to_thread(fetch)
    assert place == payload
    assert [card.node for card in seen] == [newcomer.identity.node]
    assert entry.admission.statistics().half_open == 0


async def test_member_is_not_mistaken_for_another_one(entry: EntryNode, newcomer: StateDirectory) -> None:
    credentials = await joined(newcomer, entry)

    def fetch() -> None:
        dial_as_member(entry.address, credentials, "bulk", Question(), time.time, expected=newcomer.identity.node)

    with pytest.raises(RefusedError, match=r"is node .*, and not node .* any more"):
        await asyncio.to_thread(fetch)


async def test_renewed_card_is_shown_to_clients_that_come_later(entry: EntryNode, newcomer: StateDirectory) -> None:
    directory = entry.directory
    assert directory.issuer is not None
    me, then_s = directory.identity, time.time() - 16 * 86_400
    first = directory.issuer.issue(me.node, me.keys.public, me.public_key, Role.FULL, os.urandom, then_s)
    directory.keep_membership(directory.issuer.authority, None, first)
    assert directory.renew_card(time.time())
    entry.admission.renew(entry.directory.credentials())
    found = await join(await entry.token(), newcomer.identity, wall=time.time)
    assert found.entry.fingerprint == entry.directory.credentials().card.fingerprint != first.fingerprint


async def test_closed_port_ends_conversations_and_frees_its_address(tmp_path: Path) -> None:
    async with entry_node(tmp_path / "entry") as entry:
        with raw(entry) as silent:
            async with asyncio.timeout(WAIT_S):
                while not entry.admission.statistics().half_open:
                    await asyncio.sleep(0.005)
            await entry.admission.close()
            await entry.admission.close()
            assert silent.recv(1) == b""
        assert entry.admission.statistics().half_open == 0
    async with entry_node(tmp_path / "entry", port=split_host_port(entry.address)[1]) as again:
        assert again.address == entry.address


def test_bounds_of_the_port_are_those_of_the_documentation() -> None:
    assert (port_module.MOST_HALF_OPEN, port_module.OPENING_S, messages.FIRST_BYTES) == (128, 10.0, 32 * 1024)
