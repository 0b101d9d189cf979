"""Has work items done by simulators that may fail, join and leave meanwhile; what evolutionary algorithms collect with.

Who gets what is decided in `work_schedule`; this carries it out.
"""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import actorrt as art
from actorrt.rl.evolution.work_schedule import Share, WorkSchedule
from actorrt.rl.foundation.failures import DEATHS_LIMIT, RAISES_LIMIT, died_for_good, is_users
from actorrt.rl.rollouts.wakeup import Wakeup, wait_for_first

logger = logging.getLogger(__name__)

Ask = Callable[[Any, Sequence[int]], Any]
"""Asks a simulator for items, given by their numbers, and returns the reply, which is of `ShareResult`."""


@dataclass(frozen=True, eq=False)
class ShareResult:
    """What a simulator made of a share of work items.

    Attributes:
        results: one for each item, in the order in which they were asked for.
        source: simulator, incarnation and process id.
    """

    results: list[Any]
    source: tuple[int, int, int]


class ExplorerPool:
    """The simulators of a run, which share work items among them.

    Args:
        size: how many simulators there are to be.
        start: starts the simulator of a number that none had before; returns the reply, which is of its ref.
        stop: stops the simulator of that number; returns the reply.
        now: the clock, in seconds.
        wait: waits for the first of some replies, as `wait_for_first` does.
    """

    def __init__(
        self,
        size: int,
        start: Callable[[int], Any],
        stop: Callable[[int], Any],
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[Collection[Any], float | None, Wakeup], Any] = wait_for_first,
    ) -> None:
        self._size, self._start, self._stop = size, start, stop
        self._now, self._wait = now, wait
        self._started_count = 0
        self._wakeup = Wakeup()
        self._schedule = WorkSchedule()
        self._simulators: dict[int, Any] = {}
        self._incarnations: dict[int, int] = {}
        self._asked: dict[Any, Share] = {}
        self._starting: dict[Any, int] = {}
        self._stopping: dict[Any, int] = {}
        self._raises = 0
        self._deaths: collections.Counter[int] = collections.Counter()

    def __len__(self) -> int:
        return self._size

    def resize(self, size: int) -> None:
        """Have so many simulators: from any thread, and at once, also in the middle of a round.

        New ones join as soon as they have started. Those who leave, the last to have come, end what they are at.
        """
        self._size = size
        self._wakeup.wake()

    def statistics(self) -> dict[str, int]:
        """Return how many simulators are alive and were restarted, and how many shares were done twice."""
        return {
            "simulators_alive": sum(1 for member in self._schedule.members.values() if not member.failures),
            "simulators_restarted": sum(incarnation - 1 for incarnation in self._incarnations.values()),
            "shares_repeated": self._schedule.repeated_count,
        }

    async def do(self, kind: str, count: int, ask: Ask) -> tuple[list[Any], list[tuple[int, int, int]]]:
        """Have a round of `count` items done.

        Args:
            kind: what is done, as what it takes a simulator is noted by.
            count: how many items there are; they are numbers from 0.
            ask: asks a simulator for some of them.

        Returns:
            The results in the items' order, and the sources of the shares that they came in.

        Raises:
            ActorDiedError: the last simulator is gone for good.
            ActorStartError: a simulator could not be started.
            Exception: what an environment raised again and again.
        """
        results: dict[int, Any] = {}
        sources: dict[int, tuple[int, int, int]] = {}
        self._schedule.begin(kind, count)
        while not self._schedule.is_over:
            self._wakeup.clear()
            self._start_and_stop()
            for share in self._schedule.to_ask(self._now()):
                self._asked[ask(self._simulators[share.member], share.numbers)] = share
            replies = [*self._asked, *self._starting, *self._stopping]
            done, _ = await self._wait(replies, self._schedule.look_again_s(self._now()), self._wakeup)
            for reply in done:
                self._settle(reply, results, sources)
        return [results[number] for number in range(count)], [sources[number] for number in sorted(sources)]

    def _start_and_stop(self) -> None:
        """Let simulators join or leave, the last first, until there are as many as there are to be."""
        staying = [index for index, member in self._schedule.members.items() if not member.is_leaving]
        for _ in range(self._size - len(staying) - len(self._starting)):
            self._starting[self._start(self._started_count)] = self._started_count
            self._started_count += 1
        if self._size < len(staying):
            for index in sorted(staying)[self._size :]:
                self._schedule.leave(index)
        for index in self._schedule.departed():
            del self._simulators[index]
            self._stopping[self._stop(index)] = index

    def _settle(self, reply: Any, results: dict[int, Any], sources: dict[int, tuple[int, int, int]]) -> None:
        """Take in a reply."""
        if reply in self._starting:
            index = self._starting.pop(reply)
            self._simulators[index] = reply.value()
            self._schedule.join(index)
        elif reply in self._stopping:
            del self._stopping[reply]
            reply.value()
        elif reply in self._asked:
            share, error = self._asked.pop(reply), reply.error()
            if error is None:
                self._came(share, reply.value(), results, sources)
            else:
                self._failed(share, error)

    def _came(
        self, share: Share, outcome: ShareResult, results: dict[int, Any], sources: dict[int, tuple[int, int, int]]
    ) -> None:
        self._raises = self._deaths[share.member] = 0
        self._incarnations[share.member] = outcome.source[1]
        counting = self._schedule.came(share, self._now())
        for number, result in zip(share.numbers, outcome.results, strict=True):
            if number in counting:
                results[number] = result
        if counting:
            sources[counting[0]] = outcome.source

    def _failed(self, share: Share, error: Exception) -> None:
        if isinstance(error, art.ActorDiedError):
            self._schedule.gone(share.member)
            self._simulators.pop(share.member, None)
            if not self._simulators and not self._starting:
                raise error
            return
        if not isinstance(error, art.ActorUnavailableError):
            self._raised(error)
        self._schedule.failed(share, self._now())
        member = self._schedule.members.get(share.member)
        if member is not None and not member.shares:  # it took all that it had along
            self._deaths[share.member] += 1
            if self._deaths[share.member] >= DEATHS_LIMIT:
                raise died_for_good(f"simulator {share.member}", DEATHS_LIMIT, error)

    def _raised(self, error: Exception) -> None:
        self._raises += 1
        if not is_users(error) or self._raises >= RAISES_LIMIT:
            raise error
        notes = getattr(error, "__notes__", None) or ["a simulator"]
        logger.warning("%s: %s: %s; it is restarted", notes[0], type(error).__name__, error)
