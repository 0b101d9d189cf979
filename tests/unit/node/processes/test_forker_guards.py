"""How the forker keeps a guard of the lease beside the daemon, without a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from actorrt.node.processes import forker as forker_module
from actorrt.node.processes.process_watch import ProcessExit
from tests.unit.node.processes.fake_zygotes import FakeLease, World


@pytest.fixture
async def leased(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A node with a lease, whose zygote and guard run; the signals for its workers are in `signalled`."""
    monkeypatch.setattr(forker_module, "signal_workers", lambda _, signal: signalled.append(signal))
    signalled.clear()
    world = World(monkeypatch, FakeLease())
    await world.forker.start()
    world.zygote.guarded(50)
    yield world
    for zygote in world.zygotes:
        zygote.is_reaped = True
    await world.forker.close()


signalled: list[int] = []


def die(world: World, pid: int) -> None:
    world.watches[pid].on_exit(ProcessExit(pid, signal=9))


async def test_zygotes_of_a_node_with_a_lease_get_its_page_and_others_get_none(leased: World, world: World) -> None:
    assert leased.zygote.lease_fd == 77
    await world.forker.start()
    assert world.zygote.lease_fd is None
    assert (leased.forker.guard_pid, world.forker.guard_pid) == (50, None)


async def test_workers_stop_when_the_guard_ends_and_the_next_zygote_forks_another(leased: World) -> None:
    die(leased, 50)
    assert (signalled, leased.zygote.kills_count, leased.forker.guard_pid) == ([19], 1, None)
    leased.zygote.ends(was_ready=True)
    leased.zygote.guarded(51)
    assert (len(leased.zygotes), leased.forker.guard_pid, leased.forker._unguarded) == (2, 51, None)


async def test_guard_of_the_next_zygote_replaces_that_of_the_last_one(leased: World) -> None:
    leased.zygote.ends(was_ready=True)
    leased.zygote.guarded(51)
    await asyncio.sleep(0)
    assert (list(leased.forker._guards), signalled) == ([51], [])


async def test_node_that_gets_no_guard_is_told_so(leased: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    leased.forker.on_unguarded = told.append
    monkeypatch.setattr(forker_module, "GUARD_TIMEOUT_S", 0.0)
    die(leased, 50)
    await asyncio.sleep(0.01)
    assert told == ["nothing would stop its workers if it lost its lease: no guard could be forked"]


async def test_guard_that_can_not_be_watched_is_ended_and_the_older_one_stays(leased: World) -> None:
    leased.watch_error = OSError("no descriptor")
    leased.zygote.guarded(51)
    assert (leased.forker.guard_pid, leased.orphans.unwatched) == (50, [51])
