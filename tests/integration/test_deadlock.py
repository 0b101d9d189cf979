"""Call cycles fail with a `DeadlockError` that shows their path; chains that can still end do not fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import actorrt as art
from actorrt.actors.hosting.deadlock import LOOK_EVERY_S

BUSY_S = 2.5 * LOOK_EVERY_S


class Link(art.Actor):
    """Passes a call on along a list of actors."""

    def __init__(self) -> None:
        self.seen = 0
        self.kept: list[Any] = []

    async def pass_on(self, others: list[art.ActorRef[Link]]) -> int:
        self.seen += 1
        return 1 + await others[0].pass_on(others[1:]) if others else 0

    async def pass_on_in_a_gather(self, others: list[art.ActorRef[Link]]) -> int:
        return sum(await art.gather(*[other.pass_on(others) for other in others]))

    async def pass_on_in_a_gather_of_asyncio(self, others: list[art.ActorRef[Link]]) -> int:
        return sum(await asyncio.gather(*[other.pass_on(others) for other in others]))

    async def pass_on_in_a_task(self, others: list[art.ActorRef[Link]]) -> int:
        return await asyncio.ensure_future(self.pass_on(others))  # the wait through a task is what is tested

    async def begin(self, others: list[art.ActorRef[Link]], seconds: float) -> None:
        """Call the next actor, stay busy for `seconds`, and return without waiting for the call."""
        self.kept.append(others[0].pass_on(others[1:]))
        await asyncio.sleep(seconds)

    async def begin_in_the_background(self, others: list[art.ActorRef[Link]], seconds: float) -> None:
        self.kept.append(asyncio.ensure_future(self.pass_on(others)))  # outlives the message, as tested
        await asyncio.sleep(seconds)

    async def ask_after(self, other: art.ActorRef[Link], seconds: float) -> int:
        await asyncio.sleep(seconds)
        return await other.count()

    async def wait_at_most(self, others: list[art.ActorRef[Link]], seconds: float) -> str:
        try:
            async with asyncio.timeout(0.05):
                await others[0].pass_on(others[1:])
        except TimeoutError:
            await asyncio.sleep(seconds)
        return "gone on"

    async def outcomes(self) -> list[Any]:
        return [await outcome for outcome in self.kept]

    async def count(self) -> int:
        return self.seen


@pytest.fixture(params=[None, "process"], ids=["light", "process"])
async def links(request, runtime):
    """Three actors: in one test on one loop where the runtime allows it, in the other each in its own process."""
    return list(await Link.options(isolation=request.param).spawn_many(3))


async def test_actor_that_waits_for_itself_gets_a_deadlock_error(links):
    with pytest.raises(art.DeadlockError, match=r"pass_on\(\) would wait for itself: Link-\w+.pass_on\(\) -> Link"):
        await links[0].pass_on([links[0]])


async def test_deadlock_error_of_a_cycle_of_three_shows_its_path(links):
    names = [str(link).split()[-1].rstrip(">") for link in links]
    path = " -> ".join(rf"Link-{name}\.pass_on\(\)" for name in [*names, names[0]])
    with pytest.raises(art.DeadlockError, match=path) as caught:
        await links[0].pass_on([links[1], links[2], links[0]])
    assert caught.value.executed == "yes"  # this call ran; the call that came back to the first actor did not
    assert [await link.count() for link in links] == [1, 1, 1]


@pytest.mark.parametrize("method", ["pass_on_in_a_gather", "pass_on_in_a_gather_of_asyncio", "pass_on_in_a_task"])
async def test_cycle_through_a_wait_for_several_calls_is_a_deadlock(links, method):
    with pytest.raises(art.DeadlockError):
        await getattr(links[0], method)([links[1], links[0]])


async def test_two_actors_that_call_each_other_get_a_deadlock_error(links):
    one, two, _ = links
    replies = [one.ask_after(two, 0.1), two.ask_after(one, 0.1)]
    outcomes = await art.gather(*replies, return_exceptions=True)
    assert any(isinstance(outcome, art.DeadlockError) for outcome in outcomes)
    assert all(outcome == 0 or isinstance(outcome, art.DeadlockError) for outcome in outcomes)


@pytest.mark.parametrize(("method", "passed_on"), [("begin", 1), ("begin_in_the_background", 2)])
async def test_call_that_returns_to_an_actor_that_does_not_wait_is_handled_in_order(links, method, passed_on):
    one, two, _ = links
    await getattr(one, method)([two, one], BUSY_S)
    assert await one.outcomes() == [passed_on]


async def test_chain_whose_middle_actor_does_not_wait_is_handled_in_order(links):
    one, two, _ = links
    assert await one.ask_after(two, 0.0) == 0
    await two.begin([one], 0.0)
    assert await two.outcomes() == [0]


async def test_wait_that_timed_out_does_not_count_as_part_of_a_cycle(links):
    one, two, _ = links
    assert await one.wait_at_most([two, one], BUSY_S) == "gone on"
    assert await one.count() == 0


async def test_interleaving_calls_without_a_cycle_raise_no_deadlock_error(runtime):
    one, two = await Link.options(max_concurrency=2).spawn_many(2)
    assert await one.pass_on([two, one]) == 2
    with pytest.raises(art.DeadlockError):
        await one.pass_on([one, one])
