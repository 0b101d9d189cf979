"""An explorer over counting environments: episodes that break are played again, so that results do not depend on it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actorrt.rl.environments.env_failures import FIRST_FAILURES_LIMIT, PROGRESS_STEPS, REPLAYS_LIMIT, UnplayableError
from actorrt.rl.evolution.explorer import Episode, Explorer
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.factory import make_policy
from actorrt.rl.policies.weights import Weights
from actorrt.rl.spaces.array_spaces import Box, Discrete
from tests.unit.rl.counting import CountingEnv
from tests.unit.rl.fakes import FakeRef

SPEC = PolicySpec("", Box((1,), (0.0,), (1e6,)), Discrete(2), (4,))
WEIGHTS = Weights(0, make_policy(SPEC).init(0))


class Life:
    """Makes counting environments that raise in given steps of all of them together."""

    def __init__(self, *at: int, length: int = 20) -> None:
        self.at, self.length, self.steps, self.made = at, length, 0, 0

    def __call__(self) -> CountingEnv:
        self.made += 1
        life = self

        class Breaking(CountingEnv):
            def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
                life.steps += 1
                if life.steps in life.at:
                    raise OSError("it broke")
                return super().step(action)

        return Breaking(self.length, truncates=False)


async def started(env: Life, **options: Any) -> Explorer:
    explorer = Explorer(SPEC, 0.1, index=2, env=env, **options)
    explorer.context = SimpleNamespace(incarnation=1, ref=FakeRef("simulator"))  # type: ignore[assignment]
    await explorer.on_start()
    return explorer


async def played(life: Life, **options: Any) -> list[Episode]:
    return (await (await started(life, **options)).explore(WEIGHTS, 0, range(3))).results


async def test_episode_that_breaks_is_played_again_and_leads_to_the_same_result() -> None:
    life = Life(25, 39)
    good, bad = await played(Life()), await played(life)
    assert [(each.total, each.length) for each in bad] == [(each.total, each.length) for each in good]
    assert life.made == 3
    assert [len(each.failures) for each in bad] == [0, 2, 0]
    assert bad[1].failures[0].startswith("simulator 2, incarnation 1, environment 0, step 5 of the episode with seed ")
    assert bad[1].failures[0].endswith(": OSError: it broke")


@pytest.mark.parametrize(("options", "steps"), [({}, 3 * FIRST_FAILURES_LIMIT), ({"on_env_error": "fail"}, 3)])
async def test_broken_environment_ends_the_incarnation(options: dict[str, Any], steps: int) -> None:
    life = Life(*range(3, 1_000, 3))
    explorer = await started(life, **options)
    with pytest.raises(OSError, match="it broke") as raised:
        await explorer.explore(WEIGHTS, 0, [0])
    assert raised.value.__notes__[0].startswith("simulator 2, incarnation 1, environment 0, step 3 of the episode")
    assert explorer.context.ref.calls == [("fail.tell", "OSError: it broke")]  # type: ignore[attr-defined]
    assert life.steps == steps


async def test_episode_that_breaks_late_again_and_again_ends_the_incarnation() -> None:
    life = Life(*range(PROGRESS_STEPS, 10_000, PROGRESS_STEPS))
    with pytest.raises(UnplayableError, match=r"an episode was played 20 times and broke.*OSError: it broke"):
        await played(life)
    assert life.steps == REPLAYS_LIMIT * PROGRESS_STEPS


class Unmade(Life):
    """Makes counting environments; the first so many attempts raise."""

    def __init__(self, attempts: int) -> None:
        super().__init__()
        self.attempts = attempts

    def __call__(self) -> CountingEnv:
        if self.made < self.attempts:
            self.made += 1
            raise OSError("the port is in use")
        return super().__call__()


async def test_environment_that_could_not_be_made_at_first_is_made_again() -> None:
    life = Unmade(FIRST_FAILURES_LIMIT - 1)
    first, second, _ = await played(life)
    assert life.made == FIRST_FAILURES_LIMIT
    assert (len(first.failures), len(second.failures)) == (FIRST_FAILURES_LIMIT - 1, 0)
    assert first.failures[0] == "environment 0, which could not be made: OSError: the port is in use"


@pytest.mark.parametrize(("options", "attempts"), [({}, FIRST_FAILURES_LIMIT), ({"on_env_error": "fail"}, 1)])
async def test_environment_that_can_not_be_made_fails_the_start(options: dict[str, Any], attempts: int) -> None:
    life = Unmade(100)
    with pytest.raises(OSError, match="the port is in use"):
        await started(life, **options)
    assert life.made == attempts
