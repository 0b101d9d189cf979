"""Simulators: environments and policy inference together in one actor, a whole fragment for a message.

What is done between two messages is in `sampler`; whom to ask, and what to keep, in `stream`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import actorrt as art
from actorrt.rl.normaliser import Normaliser
from actorrt.rl.parameters import resolve
from actorrt.rl.policy import PolicySpec, Weights, make_policy
from actorrt.rl.spaces import Array
from actorrt.rl.trajectory import Fragment

HELD_VERSIONS = 3


class Simulator(art.Actor):
    """Rolls the newest policy out in a vector of environments, without torch.

    Args:
        env: Gymnasium id, or a function that makes an environment.
        params: ref or name of the `ParameterServer` to take parameters from.
        envs: how many environments.
        horizon: steps of each environment in a fragment.
        seed: seed of the run.
        index: which simulator of the run this is; None lets the parameter server number it. Episodes are seeded
            by run, simulator, life, environment and episode.
        lives: what it had behind it when the run was resumed; each incarnation is one more.
        policy: what the policy looks like; None takes a `PolicySpec` with its defaults for the environment.
        native: use the environment's own vector form.
        gamma: discount of the returns that a normaliser of rewards counts.
    """

    def __init__(
        self,
        env: Any,
        params: Any,
        envs: int = 8,
        horizon: int = 32,
        seed: int = 0,
        index: int | None = None,
        policy: PolicySpec | None = None,
        native: bool = False,
        gamma: float = 0.99,
        lives: int = 0,
    ) -> None:
        if envs < 1 or horizon < 1:
            raise ValueError(f"a simulator steps at least 1 environment for 1 step: envs={envs}, horizon={horizon}")
        self._env, self._params, self._native = env, params, native
        self._envs, self._horizon = envs, horizon
        self._seed, self._index, self._spec = seed, index, policy
        self._gamma, self._lives = gamma, lives

    async def on_start(self) -> None:
        """Make the environments, which imports Gymnasium, and subscribe to the parameters."""
        from actorrt.rl.environment import describe, episode_seed, make_environments
        from actorrt.rl.sampler import Sampler

        self._params = await resolve(self._params)
        number = await self._params.subscribe(self.context.ref)
        index: int = number if self._index is None else self._index
        incarnation = self.context.incarnation
        life = self._life = self._lives + incarnation
        self._held: dict[int, Weights] = {}
        self._policy = make_policy(self._spec or describe(self._env))
        self.renew(*await self._params.latest())
        environments = make_environments(
            self._env,
            self._envs,
            lambda k, episode: episode_seed(self._seed, index, life, k, episode),
            native=self._native,
        )
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(index, life)))
        self._title = f"simulator {index}, incarnation {incarnation}"
        self._sampler = Sampler(
            environments,
            self._policy,
            self._horizon,
            rng,
            gamma=self._gamma,
            simulator=index,
            incarnation=incarnation,
        )

    def renew(self, version: int, parameters: Array, normaliser: Normaliser | None = None) -> None:
        """Act with these from now on; a few older ones are kept for `rollout`."""
        self._policy.set_parameters(parameters, version, normaliser)
        self._held[version] = Weights(version, parameters, normaliser)
        while len(self._held) > HELD_VERSIONS:
            del self._held[min(self._held)]

    def state(self) -> dict[str, Any]:
        """Return what another simulator needs to go on in this one's place, as plain values and arrays."""
        return {"life": self._life, **self._sampler.state()}

    def go_on(self, state: dict[str, Any]) -> bool:
        """Go on from another simulator's `state`; return whether the environments are exactly there."""
        return self._sampler.go_on(state)

    async def rollout(self, at_least: int = 0, *, exact: bool = False) -> Fragment:
        """Return the next fragment.

        Args:
            at_least: version of the parameters to act with, or a newer one. Where it has not come by itself, the
                newest is asked for.
            exact: whether a newer one will not do, as long as the version is still known.

        Raises:
            Exception: what an environment raises; a note says where. The episode can't go on, so the simulator fails,
                and its supervisor restarts it.
        """
        if self._policy.version < at_least:
            await self._params.subscribe(self.context.ref)  # the parameter server may be another since
            self.renew(*await self._params.latest())
        if exact and self._policy.version != at_least:
            weights = self._held.get(at_least) or await self._params.weights(at_least)
            self._policy.set_parameters(weights.parameters, weights.version, weights.normaliser)
        try:
            return self._sampler.collect()
        except Exception as error:  # an environment's: this message ends, and the next one finds another incarnation
            error.add_note(f"{self._title}, {self._sampler.whereabouts()}")
            self.context.ref.fail.tell(f"{type(error).__name__}: {error}")
            raise

    def fail(self, why: str) -> None:
        """Fail; told rather than asked, it is the end of this incarnation.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(why)

    async def on_stop(self, reason: Any) -> None:
        """Close the environments."""
        self._sampler.close()
