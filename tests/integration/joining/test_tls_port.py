"""The TLS port of a node over real sockets: strangers, handshakes that never end, and what members do there."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from actorrt.cluster.joining import messages
from actorrt.cluster.joining import port as port_module
from actorrt.cluster.joining.dialling import dial, open_as_member
from actorrt.cluster.joining.join import join
from actorrt.cluster.joining.messages import Question
from actorrt.cluster.joining.port import MOST_HALF_OPEN, Visit
from actorrt.cluster.joining.tls_stream import TlsStream
from actorrt.cluster.security.card import Card, Role
from actorrt.cluster.security.identity import Identity
from actorrt.cluster.security.refusals import RefusedError
from actorrt.cluster.security.state_directory import StateDirectory
from actorrt.cluster.security.tls import client_context
from actorrt.cluster.security.token import split_host_port
from tests.integration.joining.entry_node import WAIT_S, EntryNode, entry_node, joined, refusals_of, stranger


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


async def test_member_lends_its_connection_to_threads_and_bytes_arrive_in_place(
    entry: EntryNode, newcomer: StateDirectory
) -> None:
    credentials = await joined(newcomer, entry)
    payload = os.urandom(4 * 2**20)
    seen: list[Card] = []

    with ThreadPoolExecutor(2) as workers:

        async def send_all(visit: Visit, card: Card) -> None:
            seen.append(card)
            await visit.stream.lend(workers, WAIT_S, lambda connection: connection.sendall(payload))

        entry.admission.port.routes["bulk"] = entry.admission.members_only(send_all)
        place = bytearray(len(payload))

        def fetch(connection: ssl.SSLSocket) -> None:
            view, filled = memoryview(place), 0
            while filled < len(place):
                filled += connection.recv_into(view[filled:])

        opening = messages.pack("bulk", Question())
        node = entry.directory.identity.node
        stream = await open_as_member(entry.address, credentials, opening, time.time, expected=node)
        await stream.lend(workers, WAIT_S, fetch)
        stream.close()
    assert place == payload
    assert [card.node for card in seen] == [newcomer.identity.node]
    assert entry.admission.statistics().half_open == 0


async def test_cancelled_coroutine_ends_the_thread_that_uses_its_connection(
    entry: EntryNode, newcomer: StateDirectory
) -> None:
    credentials = await joined(newcomer, entry)
    begun, ended = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def receive(connection: ssl.SSLSocket) -> None:
        loop.call_soon_threadsafe(begun.set)
        try:
            connection.recv(1)
        finally:
            ended.set()

    async def wait_for_more(visit: Visit, card: Card) -> None:
        await visit.stream.receive(1)

    entry.admission.port.routes["bulk"] = entry.admission.members_only(wait_for_more)
    opening = messages.pack("bulk", Question())
    node = entry.directory.identity.node
    stream = await open_as_member(entry.address, credentials, opening, time.time, expected=node)
    with ThreadPoolExecutor(1) as workers:
        lending = asyncio.create_task(stream.lend(workers, 3600.0, receive))
        await asyncio.wait_for(begun.wait(), WAIT_S)
        lending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lending
        assert ended.is_set()
    stream.close()


async def test_member_is_not_mistaken_for_another_one(entry: EntryNode, newcomer: StateDirectory) -> None:
    credentials = await joined(newcomer, entry)
    opening = messages.pack("bulk", Question())
    with pytest.raises(RefusedError, match=r"is node .*, and not node .* any more"):
        await open_as_member(entry.address, credentials, opening, time.time, expected=newcomer.identity.node)


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
