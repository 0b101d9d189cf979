"""The pool of explorers: simulators that do work items, and that may fail, join and leave meanwhile.

`work_schedule` decides which explorer does which items; this module sends the requests.
"""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import actorrt as art
from actorrt.rl.evolution.work_schedule import WorkSchedule, WorkShare
from actorrt.rl.foundation.failures import DEATHS_LIMIT, RAISES_LIMIT, died_for_good, is_from_user_code
from actorrt.rl.rollouts.wakeup import Wakeup, wait_for_first

logger = logging.getLogger(__name__)

Ask = Callable[[Any, Sequence[int]], Any]
"""Asks a simulator for the items of these numbers, and returns the reply with a `ShareResult`."""


@dataclass(frozen=True, eq=False)
class ShareResult:
    """The result of a share of work items.

    Attributes:
        results: one result for each item, in the order of the request.
        source: simulator, incarnation and process id.
    """

    results: list[Any]
    source: tuple[int, int, int]


class ExplorerPool:
    """The explorers of a run, which share its work items.

    Args:
        size: number of simulators.
        start: starts the simulator of a new number; returns the reply with its ref.
        stop: stops the simulator of a number; returns the reply.
        now: the clock, in seconds.
        wait: waits for the first of some replies, as `wait_for_first` does.
        raises_limit: so many requests in a row may raise before the error is final.
    """

    def __init__(
        self,
        size: int,
        start: Callable[[int], Any],
        stop: Callable[[int], Any],
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[Collection[Any], float | None, Wakeup], Any] = wait_for_first,
        raises_limit: int = RAISES_LIMIT,
    ) -> None:
        self._size, self._start, self._stop = size, start, stop
        self._now, self._wait = now, wait
        self._started_count = 0
        self._wakeup = Wakeup()
        self._schedule = WorkSchedule()
        self._simulators: dict[int, Any] = {}
        self._incarnations: dict[int, int] = {}
        self._asked: dict[Any, WorkShare] = {}
        self._starting: dict[Any, int] = {}
        self._failed_start_count = 0  # in a row
        self._stopping: dict[Any, int] = {}
        self._raises_limit = raises_limit
        # By simulator, since its last completed share.
        self._raises: collections.Counter[int] = collections.Counter()
        self._deaths: collections.Counter[int] = collections.Counter()

    def __len__(self) -> int:
        return self._size

    def resize(self, size: int) -> None:
        """Change the number of simulators, from any thread, also in the middle of a round.

        New simulators join as soon as they have started. Those that joined last leave first, after finishing their
        shares.
        """
        self._size = size
        self._wakeup.wake()

    def statistics(self) -> dict[str, int]:
        """Return how many simulators are alive, how many were restarted, and how many shares were done twice."""
        return {
            "simulators_alive": sum(1 for member in self._schedule.members.values() if not member.failures),
            "simulators_restarted": sum(incarnation - 1 for incarnation in self._incarnations.values()),
            "shares_repeated": self._schedule.repeated_count,
        }

    async def do(self, kind: str, count: int, ask: Ask) -> tuple[list[Any], list[tuple[int, int, int]]]:
        """Let the simulators do a round of `count` items.

        Args:
            kind: kind of the items; durations are measured for each kind.
            count: number of items, which are numbers from 0.
            ask: asks a simulator for some of the items.

        Returns:
            The results in the order of the items, and the sources of their shares.

        Raises:
            ActorDiedError: the last simulator is gone for good, or one died too often in a row.
            ActorStartError: a simulator can't be started, for another reason than the death of its process.
            Exception: an environment's own error, after several in a row.
        """
        results: dict[int, Any] = {}
        sources: dict[int, tuple[int, int, int]] = {}
        self._schedule.begin(kind, count)
        while not self._schedule.is_over:
            self._wakeup.clear()
            self._start_and_stop()
            now = self._now()
            for share in self._schedule.to_ask(now):
                self._asked[ask(self._simulators[share.member], share.numbers)] = share
            replies = [*self._asked, *self._starting, *self._stopping]
            done, _ = await self._wait(replies, self._schedule.look_again_s(now), self._wakeup)
            for reply in done:
                self._settle(reply, results, sources)
        return [results[number] for number in range(count)], [sources[number] for number in sorted(sources)]

    def cancel(self) -> None:
        """Cancel the requests under way, since simulators that stop would finish whole episodes for them first."""
        while self._asked:
            self._asked.popitem()[0].cancel()

    def _start_and_stop(self) -> None:
        """Start or stop simulators until their number is right; those that joined last are stopped first."""
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
        """Handle a reply that has arrived."""
        if reply in self._starting:
            self._started(self._starting.pop(reply), reply)
        elif reply in self._stopping:
            del self._stopping[reply]
            reply.value()
        elif reply in self._asked:
            share, error = self._asked.pop(reply), reply.error()
            if error is None:
                self._completed(share, reply.value(), results, sources)
            else:
                self._failed(share, error)

    def _started(self, index: int, reply: Any) -> None:
        """Let a simulator join. If its process ended while it started, the next round of requests starts another one.

        Raises:
            ActorDiedError: so many processes in a row ended while they started.
            ActorStartError: the simulator can't be started.
        """
        error = reply.error()
        if error is None:
            self._failed_start_count = 0
            self._simulators[index] = reply.value()
            self._schedule.join(index)
            return
        if not isinstance(error, art.ActorStartError) or error.reason is None:
            raise error
        self._failed_start_count += 1
        if self._failed_start_count >= DEATHS_LIMIT:
            raise died_for_good("a simulator that was starting", DEATHS_LIMIT, error)
        logger.warning("simulator %d: %s; another one is started in its place", index, error)

    def _completed(
        self, share: WorkShare, outcome: ShareResult, results: dict[int, Any], sources: dict[int, tuple[int, int, int]]
    ) -> None:
        self._raises[share.member] = self._deaths[share.member] = 0
        self._incarnations[share.member] = outcome.source[1]
        counting = self._schedule.completed(share, self._now())
        for number, result in zip(share.numbers, outcome.results, strict=True):
            if number in counting:
                results[number] = result
        if counting:
            sources[counting[0]] = outcome.source

    def _failed(self, share: WorkShare, error: Exception) -> None:
        if isinstance(error, art.ActorDiedError):
            self._schedule.gone(share.member)
            self._simulators.pop(share.member, None)
            if not self._simulators and not self._starting:
                raise error
            return
        if not isinstance(error, art.ActorUnavailableError):
            self._raised(share.member, error)
        self._schedule.failed(share, self._now())
        member = self._schedule.members.get(share.member)
        if member is not None and not member.shares:  # all of its shares failed with it
            self._deaths[share.member] += 1
            if self._deaths[share.member] >= DEATHS_LIMIT:
                raise died_for_good(f"simulator {share.member}", DEATHS_LIMIT, error)

    def _raised(self, index: int, error: Exception) -> None:
        self._raises[index] += 1
        if not is_from_user_code(error) or self._raises[index] >= self._raises_limit:
            raise error
        notes = getattr(error, "__notes__", None) or ["a simulator"]
        logger.warning("%s: %s: %s; the simulator is restarted", notes[0], type(error).__name__, error)
