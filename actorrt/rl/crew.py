"""Hands work items to simulators that may fail, join and leave; what the evolutionary algorithms collect with."""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import actorrt as art
from actorrt.rl.explorer import Exploration
from actorrt.rl.intake import RAISES_LIMIT, RETRY_CAP_S, RETRY_FLOOR_S
from actorrt.rl.patience import arrival
from actorrt.rl.policy import Weights

logger = logging.getLogger(__name__)

AHEAD = 2  # items that a simulator has at once, so that it does not wait for the next


@dataclass
class Member:
    """What is known of one simulator."""

    simulator: Any
    is_gone: bool = False
    failures: int = 0
    not_before: float = 0.0
    incarnation: int = 1


class Crew:
    """The simulators of a run, which share work items among them.

    An item that was lost with its simulator goes to another. Each has a few items at once.
    """

    def __init__(self, simulators: Iterable[Any]) -> None:
        self._members = [Member(simulator) for simulator in simulators]
        self._raises = 0

    def __len__(self) -> int:
        return len(self._members)

    def join(self, simulator: Any) -> None:
        """Take in one more; not while items are out."""
        self._members.append(Member(simulator))

    def leave(self) -> None:
        """Do without the last; not while items are out."""
        self._members.pop()

    def statistics(self) -> dict[str, int]:
        """Return how many simulators are alive and were restarted."""
        members = self._members
        return {
            "simulators_alive": sum(1 for member in members if not member.is_gone and not member.failures),
            "simulators_restarted": sum(member.incarnation - 1 for member in members),
        }

    async def explore(self, weights: Weights, iteration: int, count: int) -> list[Exploration]:
        """Have `count` directions explored; return what came of them, in the directions' order.

        Raises:
            ActorDiedError: the last simulator is gone for good.
            Exception: what an environment raised again and again.
        """
        waiting = collections.deque(range(count))
        asked: dict[Any, tuple[int, int]] = {}  # the reply, and simulator and direction it is of
        found: dict[int, Exploration] = {}
        weights_ref = await art.put_async(weights)
        while len(found) < count:
            self._ask(waiting, asked, weights_ref, iteration)
            done, _ = await arrival(asked, self._look_again_s())
            for reply in [reply for reply in done if reply in asked]:
                index, number = asked.pop(reply)
                if not self._settle(index, number, reply, found):
                    waiting.append(number)
        return [found[number] for number in range(count)]

    def _ask(
        self, waiting: collections.deque[int], asked: dict[Any, tuple[int, int]], weights: Any, iteration: int
    ) -> None:
        """Hand out items, evenly, to whoever has room for more."""
        now = time.monotonic()
        loads = collections.Counter(index for index, _ in asked.values())
        for load in range(AHEAD):
            for index, member in enumerate(self._members):
                is_ready = not member.is_gone and member.not_before <= now
                if waiting and is_ready and loads[index] == load:
                    number = waiting.popleft()
                    asked[member.simulator.explore(weights, iteration, number)] = index, number
                    loads[index] += 1

    def _look_again_s(self) -> float | None:
        now = time.monotonic()
        later = [member.not_before - now for member in self._members if member.not_before > now]
        return min(later) if later else None

    def _settle(self, index: int, number: int, reply: Any, found: dict[int, Exploration]) -> bool:
        """Take in a reply; return whether its direction is done with."""
        member, error = self._members[index], reply.error()
        if error is None:
            found[number] = reply.value()
            member.failures = self._raises = 0
            member.incarnation = found[number].source[1]
            return True
        if isinstance(error, art.ActorDiedError):
            member.is_gone = True
            if all(each.is_gone for each in self._members):
                raise error
            return False
        if not isinstance(error, art.ActorUnavailableError):
            self._raised(error)
        member.failures += 1
        pause_s = min(RETRY_CAP_S, RETRY_FLOOR_S * 2.0**member.failures)
        member.not_before = time.monotonic() + pause_s
        return False

    def _raised(self, error: Exception) -> None:
        self._raises += 1
        is_remote = not isinstance(error, art.ActorRtError) or isinstance(error, art.RemoteActorError)
        if not is_remote or self._raises >= RAISES_LIMIT:
            raise error
        notes = getattr(error, "__notes__", None) or ["a simulator"]
        logger.warning("%s: %s: %s; it is restarted", notes[0], type(error).__name__, error)
