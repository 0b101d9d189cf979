"""The inference actor: acts for all simulators of a run, in batches, where the network is large or wants a GPU.

A request waits until enough others have come or a moment has passed, whichever is first, and is answered with theirs.
What is drawn depends on who came together: one seed is not one run.
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
    """Acts with the newest policy; give it a `max_concurrency` of as many simulators as there are, or more.

    Args:
        policy: what the policy looks like.
        params: ref or name of the `ParameterServer`.
        seed: seed of the run.
        max_rows: observations that a batch holds when it is not waited for more.
        max_wait_s: how long the first of a batch waits for others.
    """

    def __init__(
        self, policy: PolicySpec, params: Any, seed: int = 0, max_rows: int = MAX_ROWS, max_wait_s: float = MAX_WAIT_S
    ) -> None:
        if max_rows < 1 or max_wait_s < 0.0:
            raise ValueError(f"a batch has a row or more, and no time to lose: {max_rows=}, {max_wait_s=}")
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
        """Act with these from now on."""
        self._policy.set_parameters(parameters, version, normaliser)

    async def act(self, features: Array, at_least: int = 0) -> tuple[Array, Array, Array, int]:
        """Draw actions for rows of features, as networks see them.

        Args:
            features: (rows, features).
            at_least: version of the parameters to act with, or a newer one.

        Returns:
            As `MlpPolicy.act` does; and the version that acted.
        """
        if self._policy.version < at_least:
            await self._params.subscribe(self.context.ref)  # the parameter server may be another since
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
        except Exception as error:  # the policy's: every request of the batch ends with it
            for _, answer in waiting:
                answer.set_exception(error)
            return
        for (rows, answer), end in zip(waiting, ends.tolist(), strict=True):
            answer.set_result((*(column[end - len(rows) : end] for column in drawn), self._policy.version))
        self._batch_rows.append(int(ends[-1]))
        del self._batch_rows[:-100]

    def statistics(self) -> dict[str, float]:
        """Return how many rows the last hundred batches had in the mean."""
        return {"mean_rows": float(np.mean(self._batch_rows)) if self._batch_rows else 0.0}


class RemotePolicy(FlatPolicy):
    """What a simulator knows of a policy that acts elsewhere: its version and its normaliser."""

    architecture = "absent"

    def _parameter_count(self) -> int:
        return 0

    def set_parameters(self, parameters: Array, version: int, normaliser: Normaliser | None = None) -> None:
        """Note version and normaliser."""
        self.parameters, self.version, self.normaliser = parameters, version, normaliser
