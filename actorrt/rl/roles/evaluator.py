"""The evaluator: measures policies beside the training, on seeds of its own."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import actorrt as art
from actorrt.rl.environments.env_failures import OnEnvError
from actorrt.rl.environments.making import EnvMaker, own_environment
from actorrt.rl.environments.seeds import episode_seed
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.factory import make_policy
from actorrt.rl.policies.weights import Weights
from actorrt.rl.roles.parameters import resolve
from actorrt.rl.roles.simulator import ALIVE_PERIOD_S
from actorrt.rl.rollouts.evaluation import Evaluation, Player

SEED_KEY = 1_000_001  # spawn keys of its seeds begin with it; those of simulators begin with their index


class Evaluator(art.Actor):
    """Measures policies.

    Args:
        policy: spec of the policy, with the environment's id.
        params: ref or name of the `ParameterServer`.
        seed: seed of the run; episodes follow from it and the number of the evaluation.
        env: id of the environment, or a function that makes it; None takes the id in the spec.
        steps: largest number of steps of an evaluation, as for `rl.evaluate`; None sets no limit.
        deterministic: whether policies take their most likely actions; otherwise actions are sampled.
        on_env_error: what an environment that fails costs, as for `rl.evaluate`.
    """

    def __init__(
        self,
        policy: PolicySpec,
        params: Any,
        seed: int = 0,
        env: EnvMaker | None = None,
        steps: int | None = None,
        *,
        deterministic: bool = True,
        on_env_error: OnEnvError = "truncate",
    ) -> None:
        self._policy = make_policy(policy)
        self._params, self._seed = params, seed
        options: dict[str, Any] = {"deterministic": deterministic, "on_env_error": on_env_error}
        self._player = Player(env or own_environment(policy), steps, **options)

    async def on_start(self) -> None:
        """Find the parameter server."""
        self._params = await resolve(self._params)

    async def evaluate(self, number: int, episodes: int = 20) -> tuple[Evaluation, Weights]:
        """Play the newest policy.

        Args:
            number: number of the evaluation in its run; another number plays other episodes.
            episodes: number of episodes.

        Returns:
            The evaluation, and the weights that were played.
        """
        weights = await self._params.latest()
        return await self.play(number, weights, episodes), weights

    async def play(self, number: int, weights: Weights, episodes: int = 20) -> Evaluation:
        """Play these weights, as `evaluate` does."""
        self._policy.set_parameters(weights.parameters, weights.version, weights.normaliser)
        alive_at = time.monotonic()
        for outcome in self._player.play(self._policy, episodes, episode_seed(self._seed, SEED_KEY, number)):
            if outcome is not None:
                return outcome
            if time.monotonic() >= alive_at + ALIVE_PERIOD_S:  # a sign of life
                await asyncio.sleep(0)
                alive_at = time.monotonic()
        raise AssertionError("an evaluation ends with its result")

    async def on_stop(self, reason: Any) -> None:
        """Close the environments."""
        self._player.close()
