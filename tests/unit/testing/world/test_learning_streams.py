"""Learning streams in a simulated world: real simulators and policies, one story for each seed."""

from __future__ import annotations

import actorrt as art
from actorrt import rl
from actorrt.testing import World

SPEC = rl.describe("CartPole-v1", hidden=(8, 8))
BATCHES_COUNT = 20

Keys = list[tuple[int, int, int]]
"""For each fragment its simulator, the incarnation of that, and its number."""


async def spawn_simulators() -> list[art.ActorRef[rl.Simulator]]:
    server = await rl.ParameterServer.spawn(rl.MlpPolicy(SPEC).init(seed=0))
    options = rl.Simulator.options(isolation="process", restart="permanent")
    return [
        await options.spawn(env="CartPole-v1", params=server, envs=2, horizon=4, policy=SPEC, seed=seed)
        for seed in (1, 2)
    ]


async def collect() -> Keys:
    batches = rl.stream(await spawn_simulators(), fragments=2)
    seen = [fragment.key for _ in range(BATCHES_COUNT) for fragment in (await anext(batches)).fragments]
    batches.close()
    return seen


async def collect_from_killed(world: World) -> Keys:
    """Kill a simulator, and read until its next incarnation has sent a fragment."""
    simulators = await spawn_simulators()
    batches = rl.stream(simulators, fragments=2)
    seen = [fragment.key for fragment in (await anext(batches)).fragments]
    world.kill(simulators[0])
    while not any(simulator == 0 and incarnation > 0 for simulator, incarnation, _ in seen):
        seen += [fragment.key for fragment in (await anext(batches)).fragments]
    batches.close()
    return seen


def test_stream_delivers_each_fragment_once_and_tells_one_story_for_a_seed() -> None:
    def told(seed: int) -> tuple[Keys, str]:
        world = World(seed)
        return world.run(collect), world.digest()

    seen, digest = told(1)
    assert len(seen) == len(set(seen)) == 2 * BATCHES_COUNT
    assert told(1) == (seen, digest)
    assert told(2)[1] != digest


def test_stream_goes_on_with_the_next_incarnation_of_a_simulator_that_was_killed() -> None:
    world = World(3)
    seen = world.run(collect_from_killed, world, timeout_s=600)
    assert len(seen) == len(set(seen))
