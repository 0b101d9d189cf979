"""Spawns that do not complete because a member of a group fails, the spawn is withdrawn or the parent ends.

Nothing is left of them.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import actorrt as art
from actorrt.protocol.authorities import CheckInvariants
from tests.integration.cast import Counter

PLACES = [{}, {"isolation": "process"}]
IDS = ["light", "process"]


@pytest.fixture(autouse=True)
async def tables_agree(runtime):
    """Check that the node's tables of actors agree at the end of each test."""
    yield
    await runtime.endpoint.control.request(runtime.endpoint.node, CheckInvariants())


async def labels(runtime):
    return [actor["label"].partition("-")[0] for actor in (await runtime.status())["actors"]]


async def until_left(runtime, expected):
    """Wait until exactly these classes of actors are left."""
    while sorted(await labels(runtime)) != sorted(expected):
        await asyncio.sleep(0.001)


class Recruit(art.Actor):
    """The recruit with the number `failing` does not start; the others note the reason of their stop in a file."""

    def __init__(self, counter, notes, failing):
        self.counter, self.notes, self.failing = counter, Path(notes), failing

    async def on_start(self):
        if await self.counter.add() == self.failing:
            raise ValueError("not fit")

    async def on_stop(self, reason):
        with self.notes.open("a") as file:
            file.write(f"{reason.detail}\n")


@pytest.mark.parametrize("options", PLACES, ids=IDS)
async def test_group_with_a_member_that_does_not_start_stops_the_others_and_names_the_member(
    runtime, tmp_path, options
):
    counter = await Counter.spawn()
    notes = tmp_path / "notes"
    with pytest.raises(
        art.ActorStartError, match=r"number \d of 4 failed, so .* stopped: Recruit-.*ValueError: not fit"
    ):
        await Recruit.options(**options).spawn_many(4, counter, str(notes), 4)
    assert await labels(runtime) == ["Counter"]
    assert notes.read_text().splitlines() == ["another of its group did not start"] * 3


async def test_group_with_a_member_that_does_not_start_does_not_wait_for_the_others_to_start(runtime, tmp_path):
    class Endless(Recruit):
        async def on_start(self):
            await super().on_start()
            await asyncio.Event().wait()

    counter = await Counter.spawn()
    with pytest.raises(art.ActorStartError, match="not fit"):
        await Endless.spawn_many(3, counter, str(tmp_path / "notes"), 3)
    assert await labels(runtime) == ["Counter"]


async def test_group_of_children_with_a_member_that_does_not_start_leaves_no_child(runtime, tmp_path):
    class Captain(art.Actor):
        async def recruit(self, counter, notes):
            await Recruit.options(isolation="process").spawn_many(3, counter, notes, 3)

    counter, captain = await Counter.spawn(), await Captain.spawn()
    with pytest.raises(art.ActorStartError, match=r"number \d of 3"):
        await captain.recruit(counter, str(tmp_path / "notes"))
    assert sorted(await labels(runtime)) == ["Captain", "Counter"]


class Board(art.Actor):
    """Keeps the first ref that enrols."""

    first_ref = None

    def enrol(self, ref):
        self.first_ref = self.first_ref or ref
        return self.first_ref


class Mayfly(art.Actor):
    """The first member of a group dies after its start; the others complete their start after that death."""

    def __init__(self, board):
        self.board = board

    async def on_start(self):
        first = await self.board.enrol(self.context.ref)
        if first == self.context.ref:
            self.context.ref.die.tell()
        else:
            await art.monitor(first)

    def die(self):
        raise SystemExit("a short life")

    def live(self):
        return "alive"


@pytest.mark.parametrize("options", PLACES, ids=IDS)
async def test_member_that_dies_while_others_of_its_group_start_does_not_fail_the_spawn(runtime, options):
    board = await Board.spawn()
    group = await Mayfly.options(**options).spawn_many(3, board)
    outcomes = await art.gather(*(member.live() for member in group), return_exceptions=True)
    assert sorted(outcome if isinstance(outcome, str) else type(outcome).__name__ for outcome in outcomes) == [
        "ActorDiedError",
        "alive",
        "alive",
    ]


# Spawns that are withdrawn


class Slow(art.Actor):
    """Creates a file when it begins to start, and never completes its start."""

    def __init__(self, begun):
        Path(begun).touch()

    async def on_start(self):
        await asyncio.Event().wait()


async def until_there(path):
    while not path.exists():
        await asyncio.sleep(0.001)


async def cancel(spawning):
    """Cancel the only task that awaits a spawn."""
    task = asyncio.ensure_future(asyncio.wait_for(spawning, 3600))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(art.CallCancelledError, match="the start of"):
        await spawning


@pytest.mark.parametrize("options", PLACES, ids=IDS)
async def test_withdrawn_spawn_is_cancelled_in_on_start_and_its_name_is_free(runtime, tmp_path, options):
    spawning = Slow.options(name="slow", **options).spawn(str(tmp_path / "begun"))
    await until_there(tmp_path / "begun")
    await cancel(spawning)
    again = await Counter.options(name="slow", if_exists="replace").spawn(1)
    assert await again.value() == 1
    await until_left(runtime, ["slow"])


@pytest.mark.parametrize("options", PLACES, ids=IDS)
async def test_spawn_that_is_withdrawn_at_once_leaves_nothing(runtime, tmp_path, options):
    await cancel(Slow.options(**options).spawn(str(tmp_path / "begun")))
    await until_left(runtime, [])


async def test_spawn_withdrawn_while_it_waits_for_a_name_does_not_affect_the_holder(runtime, tmp_path):
    first = Slow.options(name="one").spawn(str(tmp_path / "begun"))
    await until_there(tmp_path / "begun")
    await cancel(Slow.options(name="one", if_exists="get").spawn(str(tmp_path / "again")))
    await until_left(runtime, ["one"])
    await runtime.endpoint.control.request(runtime.endpoint.node, CheckInvariants())
    await cancel(first)
    await until_left(runtime, [])


@pytest.mark.parametrize("options", PLACES, ids=IDS)
async def test_withdrawn_group_leaves_nothing(runtime, tmp_path, options):
    spawning = Slow.options(**options).spawn_many(3, str(tmp_path / "begun"))
    await until_there(tmp_path / "begun")
    await cancel(spawning)
    await until_left(runtime, [])


async def test_spawn_of_a_light_child_that_is_withdrawn_leaves_nothing(runtime, tmp_path):
    class Parent(art.Actor):
        async def begin(self, begun):
            self.spawning = Slow.spawn(begun)
            await until_there(Path(begun))
            await cancel(self.spawning)
            endpoint = self.context._cell.host.endpoint
            while endpoint.registry.records():
                await asyncio.sleep(0.001)
            endpoint.registry.check_invariants()
            return len(endpoint.population.cells())

    parent = await Parent.spawn()
    assert await parent.begin(str(tmp_path / "begun")) == 1


class Wanting(art.Actor):
    """Spawns a child that waits for a name."""

    def want(self):
        self.spawning = Counter.options(name="wanted", if_exists="get").spawn()

    def die(self):
        raise SystemExit("no more")


async def test_end_of_a_parent_withdraws_its_spawn_that_waits_for_a_name(runtime, tmp_path):
    holder = Slow.options(name="wanted").spawn(str(tmp_path / "begun"))
    await until_there(tmp_path / "begun")
    parent = await Wanting.spawn()
    down = art.monitor(parent)
    await parent.want()
    await parent.die.tell()
    assert (await down).reason.kind is art.ExitKind.ERROR  # it arrives after the end of all children
    await until_left(runtime, ["wanted"])
    await cancel(holder)
    await until_left(runtime, [])


class Hasty(art.Actor):
    """Fails in the step in which it spawns: as it starts, or in a method."""

    def __init__(self, at_once=False, **options):
        if at_once:
            Counter.options(**options).spawn()
            raise ValueError("not ready")

    def spawn_and_fail(self, **options):
        Counter.options(**options).spawn()
        raise SystemExit("on purpose")

    async def spawn_child_and_fail(self, **options):
        child = await Hasty.options(restart="temporary").spawn()
        child.spawn_and_fail.tell(**options)


@pytest.mark.parametrize("options", PLACES, ids=IDS)
@pytest.mark.parametrize("restart", ["temporary", "permanent"])
async def test_parent_that_fails_in_the_step_in_which_it_spawns_leaves_no_child(runtime, options, restart):
    hasty = await Hasty.options(restart=restart).spawn()
    with pytest.raises(art.ActorUnavailableError if restart == "permanent" else art.ActorDiedError):
        await hasty.spawn_and_fail(**options)
    beside = await Hasty.spawn()
    await beside.spawn_child_and_fail(**options)
    await until_left(runtime, ["Hasty", "Hasty"] if restart == "permanent" else ["Hasty"])


@pytest.mark.parametrize("options", PLACES, ids=IDS)
async def test_parent_whose_start_fails_in_the_step_in_which_it_spawns_leaves_no_child(runtime, options):
    with pytest.raises(art.ActorStartError, match="not ready"):
        await Hasty.spawn(True, **options)
    await until_left(runtime, [])
