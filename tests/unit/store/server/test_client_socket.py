"""The sending side of a connection, with clients that read slowly or not at all."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator

import pytest

from actorrt.store.server.client_socket import ClientSocket


class Ends:
    """Both ends of a connection, the store's with the smallest send buffer, and the clients that were given up."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        self.theirs.setblocking(False)
        self.stuck: list[ClientSocket] = []
        self.client = ClientSocket(1, ours, 42, asyncio.get_running_loop(), self.stuck.append)

    def received(self) -> list[bytes]:
        packets = []
        while True:
            try:
                packets.append(self.theirs.recv(100_000))
            except BlockingIOError:
                return packets

    def close(self) -> None:
        self.client.close()
        self.theirs.close()


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    ends = Ends()
    yield ends
    ends.close()


def packets(count: int) -> list[bytes]:
    return [number.to_bytes(4, "big") * 500 for number in range(count)]


async def test_a_packet_is_sent_at_once(ends: Ends) -> None:
    ends.client.send(b"packet", None)
    assert ends.received() == [b"packet"]


async def test_a_slow_reader_gets_every_packet_in_order(ends: Ends) -> None:
    sent = packets(50)
    for packet in sent:
        ends.client.send(packet, None)
    received = ends.received()
    assert 0 < len(received) < 50
    while len(received) < 50:
        await asyncio.sleep(0)
        received += ends.received()
    assert received == sent


async def test_a_queued_descriptor_outlives_the_callers(ends: Ends) -> None:
    for packet in packets(50):
        ends.client.send(packet, None)
    read, write = os.pipe()
    ends.client.send(b"with a descriptor", read)
    os.close(read)
    os.write(write, b"x")
    os.close(write)
    got: list[int] = []
    while not got:
        await asyncio.sleep(0)
        try:
            data, got, _, _ = socket.recv_fds(ends.theirs, 100_000, 1)
        except BlockingIOError:
            continue
    assert (data, os.read(got[0], 2)) == (b"with a descriptor", b"x")
    os.close(got[0])


async def test_a_client_that_never_reads_is_reported_as_stuck(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actorrt.store.server.client_socket._MAX_QUEUED_COUNT", 10)
    count = 0
    while not ends.stuck:
        count += 1
        ends.client.send(b"x" * 2000, None)
        await asyncio.sleep(0)
    assert ends.stuck == [ends.client]
    assert count > 10


async def test_packets_for_a_client_that_is_gone_are_dropped(ends: Ends) -> None:
    for packet in packets(50):
        ends.client.send(packet, None)
    read, write = os.pipe()
    ends.client.send(b"with a descriptor", read)
    ends.theirs.close()
    ends.client.send(b"packet", None)
    os.close(read)
    assert ends.stuck == []
    with pytest.raises(BrokenPipeError):
        os.write(write, b"x")  # the queued copy of the descriptor is closed, too
    os.close(write)
