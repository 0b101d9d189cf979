"""The inference actor: acts for all simulators of a run in batches, for networks that are large or need a GPU.

A request waits until there are enough other requests or a short time has passed, and is answered together with them.
The sampled actions depend on which requests are in a batch, so a seed does not determine the run.
"""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

import actorrt as art
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.factory import make_policy
from actorrt.rl.policies.policy import FlatPolicy
from actorrt.rl.roles.parameters import resolve
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Normaliser

MAX_ROWS = 256
MAX_WAIT_S = 0.002


class Inference(art.Actor):
    """Acts with the newest policy; spawn it with a `max_concurrency` of at least the number of simulators.

    Args:
        policy: spec of the policy.
        params: ref or name of the `ParameterServer`.
        seed: seed of the run.
        max_rows: a batch with so many observations does not wait for more.
        max_wait_s: longest time that the first request of a batch waits for others.
    """

    def __init__(
        self, policy: PolicySpec, params: Any, seed: int = 0, max_rows: int = MAX_ROWS, max_wait_s: float = MAX_WAIT_S
    ) -> None:
        if max_rows < 1 or max_wait_s < 0.0:
            raise ValueError(f"max_rows is at least 1, and max_wait_s at least 0: {max_rows=}, {max_wait_s=}")
        self._spec, self._params = policy, params
        self._max_rows, self._max_wait_s = max_rows, max_wait_s
        self._rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1_000_006,)))
        self._waiting: list[tuple[Array, asyncio.Future[Any]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._batch_rows: list[int] = []

    async def on_start(self) -> None:
        """Make the policy, and subscribe to the parameters."""
        self._policy = make_policy(self._spec)
        self._params = await resolve(self._params)
        await self._params.subscribe(self.context.ref)
        self.renew(*await self._params.latest())

    def renew(self, version: int, parameters: Array, normaliser: Normaliser | None = None) -> None:
        """Called by the parameter server: use these parameters from now on."""
        self._policy.set_parameters(parameters, version, normaliser)

    async def act(self, features: Array, at_least: int = 0) -> tuple[Array, Array, Array, int]:
        """Sample actions for rows of features, as networks see them.

        Args:
            features: (rows, features).
            at_least: the oldest version of the parameters to act with.

        Returns:
            The results of `MlpPolicy.act`, and the version that acted.
        """
        if self._policy.version < at_least:
            # The parameter server may be a new incarnation, without readers.
            await self._params.subscribe(self.context.ref)
            self.renew(*await self._params.latest())
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((features, answer))
        if sum(len(rows) for rows, _ in self._waiting) >= self._max_rows:
            self._act_for_all()
        elif self._timer is None:
            self._timer = loop.call_later(self._max_wait_s, self._act_for_all)
        result: tuple[Array, Array, Array, int] = await answer
        return result

    def _act_for_all(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = [pair for pair in self._waiting if not pair[1].done()], []
        if not waiting:
            return
        ends = np.cumsum([len(rows) for rows, _ in waiting])
        try:
            drawn = self._policy.act(np.concatenate([rows for rows, _ in waiting]), self._rng)
        except Exception as error:  # of the policy: every request of the batch fails with it
            for _, answer in waiting:
                answer.set_exception(error)
            return
        for (rows, answer), end in zip(waiting, ends.tolist(), strict=True):
            answer.set_result((*(column[end - len(rows) : end] for column in drawn), self._policy.version))
        self._batch_rows.append(int(ends[-1]))
        del self._batch_rows[:-100]

    def statistics(self) -> dict[str, float]:
        """Return the mean number of rows of the last hundred batches."""
        return {"mean_rows": float(np.mean(self._batch_rows)) if self._batch_rows else 0.0}


class RemotePolicy(FlatPolicy):
    """The part that a simulator has of a policy that acts elsewhere: version and normaliser."""

    architecture = "absent"

    def _parameter_count(self) -> int:
        return 0

    def set_parameters(self, parameters: Array, version: int, normaliser: Normaliser | None = None) -> None:
        """Keep version and normaliser."""
        self.parameters, self.version, self.normaliser = parameters, version, normaliser
