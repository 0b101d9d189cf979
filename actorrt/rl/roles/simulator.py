"""Simulators: environments and policy inference together in one actor; one message asks for a whole fragment.

The work between two messages is in `rollouts.sampler`; `rollouts.stream` asks simulators and keeps their fragments.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import time
from typing import Any

import numpy as np

from actorrt.rl.environments.env_failures import OnEnvError
from actorrt.rl.foundation.checks import require_number
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.factory import make_policy
from actorrt.rl.policies.weights import Weights
from actorrt.rl.roles.env_stepper import EnvStepper
from actorrt.rl.roles.inference import RemotePolicy
from actorrt.rl.roles.parameters import resolve
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Normaliser

HELD_VERSIONS = 3
ALIVE_PERIOD_S = 0.25
EMPTY = np.zeros(0, np.float32)


class Simulator(EnvStepper):
    """Rolls the newest policy out in a vector of environments, without torch.

    Args:
        env: Gymnasium id, or a function that makes an environment.
        params: ref or name of the `ParameterServer` to take parameters from.
        envs: number of environments.
        horizon: steps of each environment in a fragment.
        horizon_s: a fragment ends after this time, with at least one step, even if it has fewer steps than `horizon`;
            None sets no limit. Shapes of fragments then differ.
        seed: seed of the run.
        index: index of this simulator in the run; None lets the parameter server number it. Seeds of episodes follow
            from run, simulator, life, environment and episode.
        inference: ref or name of the `Inference` that acts for this simulator; None lets the simulator act itself.
        lives: lives of this simulator before the run was resumed; each incarnation is one more.
        policy: spec of the policy; None takes a `PolicySpec` with default values for the environment.
        native: whether to use the environment's own vector form.
        gamma: discount of the returns that a normaliser of rewards counts.
        on_env_error: what an environment that fails costs: `"truncate"` its episode, `"fail"` this incarnation.
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
        inference: Any = None,
        lives: int = 0,
        on_env_error: OnEnvError = "truncate",
        horizon_s: float | None = None,
    ) -> None:
        if envs < 1 or horizon < 1:
            raise ValueError(f"a simulator steps at least 1 environment for 1 step: envs={envs}, horizon={horizon}")
        self._env, self._params, self._native = env, params, native
        self._envs, self._horizon = envs, horizon
        self._seed, self._index, self._spec = seed, index, policy
        self._gamma, self._inference, self._lives = gamma, inference, lives
        self._on_env_error: OnEnvError = on_env_error
        if horizon_s is not None:
            require_number("horizon_s", horizon_s, is_positive=True)
        self._horizon_s = math.inf if horizon_s is None else horizon_s

    async def on_start(self) -> None:
        """Make the environments, which imports Gymnasium, and subscribe to the parameters."""
        from actorrt.rl.environments.description import describe
        from actorrt.rl.environments.seeds import episode_seed
        from actorrt.rl.environments.several import make_environments
        from actorrt.rl.rollouts.sampler import Sampler

        self._params = await resolve(self._params)
        index = self._index
        if self._inference is None or index is None:
            number: int = await self._params.subscribe(self.context.ref)
            index = number if index is None else index
        incarnation = self.context.incarnation
        life = self._life = self._lives + incarnation
        self._held: dict[int, Weights] = {}
        spec = self._spec or describe(self._env)
        if self._inference is None:
            self._policy = make_policy(spec)
            self.renew(*await self._params.latest())
        else:
            self._inference = await resolve(self._inference)
            self._policy = RemotePolicy(spec)
        environments: Any = self._make(
            lambda: make_environments(
                self._env,
                self._envs,
                lambda k, episode: episode_seed(self._seed, index, life, k, episode),
                native=self._native,
                on_error=self._on_env_error,
            )
        )
        self._rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(index, life)))
        self._title = f"simulator {index}, incarnation {incarnation}"
        if environments is None:
            return
        self._sampler = Sampler(
            environments,
            self._policy,
            self._horizon,
            self._rng,
            gamma=self._gamma,
            simulator=index,
            incarnation=incarnation,
        )

    def renew(self, version: int, parameters: Array, normaliser: Normaliser | None = None) -> None:
        """Called by the parameter server: use these parameters from now on, and keep a few older versions."""
        self._policy.set_parameters(parameters, version, normaliser)
        self._held[version] = Weights(version, parameters, normaliser)
        while len(self._held) > HELD_VERSIONS:
            del self._held[min(self._held)]

    def state(self) -> dict[str, Any]:
        """Return the state as plain values and arrays, for another simulator's `resume`."""
        self._require_made()
        return {"life": self._life, **self._sampler.state()}

    def resume(self, state: dict[str, Any]) -> bool:
        """Take over another simulator's `state`; return whether the environments are exactly where they were.

        Raises:
            Exception: an environment's own error, as from `rollout`.
        """
        with self._playing(self._location):
            self._require_made()
            return self._sampler.resume(state)

    async def rollout(self, at_least: int = 0, *, exact: bool = False, share: float = 1.0) -> Fragment:
        """Return the next fragment.

        Args:
            at_least: the oldest version of the parameters to act with. If the simulator does not have it yet, it asks
                the parameter server for the newest.
            exact: whether to act with exactly this version, as long as it is still available.
            share: length of the fragment as a share of the horizon; it may be longer than the horizon.

        Raises:
            Exception: an environment's own error, if the environment is broken or `on_env_error="fail"`; a note says
                where. The simulator fails, and its supervisor restarts it.
        """
        await self._take_over(at_least, exact=exact)
        with self._playing(self._location):
            self._require_made()
            return await self._collect(at_least, math.ceil(share * self._horizon))

    def _location(self) -> str:
        where = "making its environments" if self._making_error is not None else self._sampler.location()
        return f"{self._title}, {where}"

    async def _take_over(self, at_least: int, *, exact: bool) -> None:
        """Get the parameters to act with; only version and normaliser if another actor acts."""
        if self._inference is not None:
            self._policy.set_parameters(EMPTY, at_least, await self._params.normaliser())
            return
        if self._policy.version < at_least:
            # The parameter server may be a new incarnation, without readers.
            await self._params.subscribe(self.context.ref)
            self.renew(*await self._params.latest())
        if exact and self._policy.version != at_least:
            weights = self._held.get(at_least) or await self._params.weights(at_least)
            self._policy.set_parameters(weights.parameters, weights.version, weights.normaliser)

    async def _collect(self, at_least: int, horizon: int) -> Fragment:
        """Collect a fragment, and give a sign of life between steps, so that only a stuck step counts as a hang."""
        collection, versions, now = self._sampler.begin(horizon), [], time.monotonic()
        ends_at, alive_at = now + self._horizon_s, now
        is_over = False
        while not is_over:
            if self._inference is None:
                collection.step(*self._policy.act(collection.features, self._rng))
                now = time.monotonic()
                if now >= alive_at + ALIVE_PERIOD_S:
                    await asyncio.sleep(0)
                    alive_at = now
            else:
                *drawn, version = await self._inference.act(collection.features, at_least)
                versions.append(version)
                collection.step(*drawn)
                now = time.monotonic()
            is_over = collection.is_full or now >= ends_at
        if self._inference is None:
            return collection.finish(self._policy.values(collection.unvalued()))
        *_, value, _ = await self._inference.act(collection.unvalued(), at_least)
        return dataclasses.replace(collection.finish(value), policy_version=min(versions))

    async def on_stop(self, reason: Any) -> None:
        """Close the environments."""
        if self._making_error is None:
            self._sampler.close()
