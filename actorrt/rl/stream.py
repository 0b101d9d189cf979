"""The primitive that algorithms are written over: batches of fragments from simulators, as they come.

Whom to ask and what to keep is decided in `intake`; this carries it out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import actorrt as art
from actorrt.rl.intake import Intake, Order
from actorrt.rl.trajectory import Batch


def stream(
    simulators: Iterable[Any],
    *,
    steps: int | None = None,
    fragments: int | None = None,
    max_lag: int | None = None,
    order: Order = "completion",
) -> Stream:
    """Iterate over batches of fragments from simulators, for ever.

    A slow or dead simulator blocks nobody in order of completion: the others fill the batch. A rollout lost with
    its simulator is asked for again once that has been restarted. No fragment is in two batches.

    Args:
        simulators: an `ActorGroup`, or refs of `Simulator`s.
        steps: a batch holds at least so many transitions ...
        fragments: ... or so many fragments; one of the two is given.
        max_lag: fragments of policies that are more versions behind are dropped and counted; 0 collects only with
            the newest, None keeps all. Where it is not 0, simulators work ahead while the caller learns.
        order: `"completion"`, or `"deterministic"`: one fragment of each simulator in turn, with `max_lag=0`.

    Raises:
        ValueError: no simulator, not exactly one of `steps` and `fragments`, or a value outside its range.
        ActorDiedError: (while iterating) the last simulator is gone for good.
        Exception: (while iterating) what an environment raised.
    """
    return Stream(list(simulators), steps=steps, fragments=fragments, max_lag=max_lag, order=order)


class Stream:
    """What `stream` returns: an asynchronous iterator of `Batch` with counters.

    Closing it withdraws the requests under way.
    """

    def __init__(
        self,
        simulators: list[Any],
        *,
        steps: int | None,
        fragments: int | None,
        max_lag: int | None,
        order: Order,
    ) -> None:
        self._simulators = simulators
        self._intake = Intake(len(simulators), steps=steps, fragments=fragments, max_lag=max_lag, order=order)
        self._asked: dict[Any, int] = {}

    @property
    def version(self) -> int:
        """Newest version of the policy that is known, from fragments or from whoever set it."""
        return self._intake.version

    @version.setter
    def version(self, version: int) -> None:
        self._intake.version = version

    def statistics(self) -> dict[str, int]:
        """Return how many simulators are alive and were restarted, and which fragments did not make it."""
        intake = self._intake
        return {
            "simulators_alive": intake.alive_count,
            "simulators_restarted": intake.restart_count,
            "fragments_dropped": intake.dropped_count,
            "fragments_repeated": intake.repeated_count,
            "rollouts_lost": intake.failed_count,
        }

    def __aiter__(self) -> AsyncIterator[Batch]:
        return self

    async def __anext__(self) -> Batch:
        while (batch := self._intake.take()) is None:
            self._ask()
            timeout_s = self._intake.look_again_s(time.monotonic())
            if not self._asked:  # all are being restarted
                await asyncio.sleep(timeout_s or 0.0)
                continue
            done, _ = await art.wait(list(self._asked), count=1, timeout_s=timeout_s)
            for reply in done:
                self._receive(reply)
        if self._intake.works_ahead:
            self._ask()
        return batch

    def _ask(self) -> None:
        now = time.monotonic()
        for index in self._intake.to_ask(now):
            self._asked[self._simulators[index].rollout(self.version)] = index
            self._intake.asked(index, now)

    def _receive(self, reply: Any) -> None:
        index = self._asked.pop(reply)
        try:
            fragment = reply.result(0)
        except art.ActorUnavailableError:
            self._intake.failed(index, time.monotonic())
        except art.ActorDiedError:
            self._intake.gone(index)
            if self._intake.is_exhausted:
                raise
        else:
            self._intake.arrived(index, fragment, time.monotonic())

    def close(self) -> None:
        """Withdraw the requests under way. Idempotent."""
        while self._asked:
            self._asked.popitem()[0].cancel()
