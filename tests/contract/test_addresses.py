"""The addresses that transports refuse, tested over all transports and on both loops."""

from __future__ import annotations

import pytest

from actorrt.ids import IdSource
from actorrt.machine.clock import MonotonicClock
from actorrt.transport.unix.transport import UnixTransport
from actorrt.transport.zeromq.transport import ZmqTransport
from tests.contract.recorder import Recorder
from tests.contract.world import COMPOSITE, Run, World


def test_taken_address_is_refused_and_its_owner_undisturbed(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        second = world.make(b.transport.address)
        with pytest.raises(OSError, match=b.transport.address.rpartition("/")[2]):
            await second.start(Recorder())
        a.link_to(b).send((0,))
        assert await b.recorder.envelopes(1) == [[0]]

    run(case)


def test_foreign_scheme_is_refused_before_anything_changes(run: Run) -> None:
    async def case(world: World) -> None:
        with pytest.raises(ValueError, match="is no address of"):
            world.make("http://example.org")
        a = await world.side()
        with pytest.raises(ValueError, match="is no address of"):
            a.transport.link(world.ids.peer(), "http://example.org")
        assert a.transport.statistics().links == 0

    run(case)


def test_malformed_address_is_refused_and_leaves_nothing(run: Run, kind: str) -> None:
    if kind in ("memory", "unix", "simulated", *COMPOSITE):
        pytest.skip("any name is an address, or has no key")

    async def case(world: World) -> None:
        a = await world.side()
        with pytest.raises(ValueError, match="can't connect"):
            a.transport.link(world.ids.peer(), "tcp://127.0.0.1:no-port")
        assert a.transport.statistics().links == 0

    run(case)


def test_address_beyond_loopback_is_refused_without_keys() -> None:
    for address in ("tcp://0.0.0.0:0", "tcp://*:5000", "tcp://192.168.1.7:5000", "tcp://[::]:1"):
        with pytest.raises(ValueError, match="without keys this transport neither authenticates nor encrypts"):
            ZmqTransport(IdSource().peer(), address, clock=MonotonicClock())


def test_socket_path_longer_than_the_system_takes_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than the 107 bytes"):
        ZmqTransport(IdSource().peer(), "ipc:///" + "d" * 107, clock=MonotonicClock())
    with pytest.raises(ValueError, match="longer than the 107 bytes"):
        UnixTransport(IdSource().peer(), "unix:///" + "d" * 107, clock=MonotonicClock())
