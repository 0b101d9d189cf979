"""The primitive that algorithms are written over: batches of fragments from simulators, as they come.

Whom to ask and what to keep is decided in `fragment_collector`; this carries it out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from typing import Any

import actorrt as art
from actorrt.rl.foundation.failures import DEATHS_LIMIT, died_for_good
from actorrt.rl.rollouts.fragment_collector import FragmentCollector, Order
from actorrt.rl.rollouts.trajectory import Batch, Fragment
from actorrt.rl.rollouts.wakeup import wait_for_first

logger = logging.getLogger(__name__)


def stream(
    simulators: Iterable[Any],
    *,
    steps: int | None = None,
    fragments: int | None = None,
    episodes: int | None = None,
    max_lag: int | None = None,
    order: Order = "completion",
) -> Stream:
    """Iterate over batches of fragments from simulators, for ever: `async for`, or `for` in plain code.

    A slow or dead simulator blocks nobody in order of completion: the others fill the batch. A rollout lost with
    its simulator is asked for again once that has been restarted, and so is one that raised, for example since its
    environment did: that is logged, with the simulator, the step and the seed. No fragment is in two batches.

    Whoever leaves the loop may go on with the same stream later, and after a cancelled `anext` too: nothing is lost.
    Several streams may share simulators; each fragment goes to one of them.

    Args:
        simulators: an `ActorGroup`, or refs of `Simulator`s.
        steps: a batch holds at least so many transitions ...
        fragments: ... or so many fragments ...
        episodes: ... or fragments in which so many episodes ended; one of the three is given.
        max_lag: fragments of policies that are more versions behind are dropped and counted; 0 collects only with
            the newest, None keeps all. Where it is not 0, simulators work ahead while the caller learns.
        order: `"completion"`, or `"deterministic"`: one fragment of each simulator in turn. With `max_lag=0` all are
            of the newest policy; with `max_lag=1` of the one before, collected while the caller learns. Both need to
            know the newest: set `version` after each update.

    Raises:
        ValueError: no simulator, not exactly one of `steps`, `fragments` and `episodes`, or a value outside its range.
        TypeError: something else than simulators, or a number that is not whole.
        ActorDiedError: (while iterating) the last simulator is gone for good; iterating again raises it again.
        Exception: (while iterating) what one simulator's rollouts raised three times in a row, or the last one's
            before it was gone; of an environment's error, a note says in which, and where.
    """
    refs = _refs(simulators)
    collector = FragmentCollector(
        len(refs), steps=steps, fragments=fragments, episodes=episodes, max_lag=max_lag, order=order
    )
    return Stream(refs, collector)


def _refs(simulators: Any) -> list[Any]:
    """Return simulators as a list, if they are what can be streamed from."""
    if not isinstance(simulators, Iterable):
        raise TypeError(f"give an ActorGroup, or a list of refs that were waited for, not {simulators!r}")
    refs = list(simulators)
    for ref in refs:
        if not callable(getattr(ref, "rollout", None)):
            raise TypeError(f"{ref!r} is no ref of a simulator: it has no `rollout`")
    return refs


class Stream:
    """What `stream` returns: an iterator of `Batch`, asynchronous and plain, with counters; it ends when closed.

    Args:
        simulators: refs of the simulators.
        collector: decides which simulators are asked, and which fragments are kept.
        now: the clock, in seconds.
        wait: waits for the first of some replies, as `wait_for_first` does.
    """

    def __init__(
        self,
        simulators: list[Any],
        collector: FragmentCollector,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[Collection[Any], float | None], Any] = wait_for_first,
    ) -> None:
        self._simulators, self._collector = simulators, collector
        self._now, self._wait = now, wait
        self._asked: dict[Any, int] = {}
        self._raised: Exception | None = None  # by a rollout, last
        self._failure: Exception | None = None  # once the last simulator is gone
        self._is_closed = False

    @property
    def version(self) -> int:
        """Newest version of the policy that is known, from fragments or from whoever set it."""
        return self._collector.version

    @version.setter
    def version(self, version: int) -> None:
        self._collector.version = version

    def statistics(self) -> dict[str, int]:
        """Return how many simulators are alive and were restarted, and which fragments did not make it."""
        collector = self._collector
        return {
            "simulators_alive": collector.alive_count,
            "simulators_restarted": collector.restart_count,
            "fragments_dropped": collector.dropped_count,
            "fragments_repeated": collector.repeated_count,
            "rollouts_lost": collector.failed_count,
        }

    def __aiter__(self) -> AsyncIterator[Batch]:
        return self

    def __iter__(self) -> Iterator[Batch]:
        return self

    async def __anext__(self) -> Batch:
        while not self._is_closed:
            if (batch := self._take()) is not None:
                return batch
            done, _ = await self._arrival()
            self._receive(done)
        raise StopAsyncIteration

    def __next__(self) -> Batch:
        while not self._is_closed:
            if (batch := self._take()) is not None:
                return batch
            done, _ = self._arrival().result()
            self._receive(done)
        raise StopIteration

    async def ahead(self) -> list[Fragment]:
        """Wait until simulators that work ahead in deterministic order have filled the next batch, and return it.

        It stays the next batch, and no simulator is at work: what a checkpoint needs to know. Empty in any other order.
        """
        if not self._collector.is_pipelined:
            return []
        while not self._collector.is_full():
            self._ask()
            done, _ = await self._arrival()
            self._receive(done)
        return self._collector.held()

    @property
    def turn(self) -> int:
        """Whose fragment comes next in deterministic order, as `put_back` takes it."""
        return self._collector.turn

    def put_back(self, fragments: Iterable[Fragment], turn: int = 0) -> None:
        """Begin with what `ahead` returned before a run was resumed, and with the turn that was next then."""
        self._collector.put_back(fragments)
        self._collector.turn = turn

    def _take(self) -> Batch | None:
        """Return the batch if it is full; either way, ask whom there is to ask.

        Raises:
            Exception: there is nobody left.
        """
        batch = self._collector.take()
        if batch is None and self._failure is not None:
            raise self._failure
        if batch is None or self._collector.works_ahead:
            self._ask()
        return batch

    def _arrival(self) -> Any:
        """Return what ends with lists of replies, the first of them those that have come, or when it is time."""
        timeout_s = self._collector.look_again_s(self._now())
        return self._wait(self._asked, timeout_s)

    def _ask(self) -> None:
        now = self._now()
        for index in self._collector.to_ask(now):
            self._asked[self._request(self._simulators[index])] = index
            self._collector.asked(index, now)

    def _request(self, simulator: Any) -> Any:
        version = self._collector.version_to_ask_for
        return simulator.rollout(version, exact=True) if self._collector.is_pipelined else simulator.rollout(version)

    def _receive(self, replies: Iterable[Any]) -> None:
        for reply in replies:
            index = self._asked.pop(reply, None)
            if index is not None:
                self._settle(index, reply)

    def _settle(self, index: int, reply: Any) -> None:
        now, error = self._now(), reply.error()
        if error is None:
            self._collector.arrived(index, reply.value(), now)
        elif isinstance(error, art.ActorUnavailableError | art.ObjectLostError):
            if self._collector.failed(index, now):
                self._failure = died_for_good(f"simulator {index}", DEATHS_LIMIT, error)
                raise self._failure
        elif isinstance(error, art.ActorDiedError):
            self._collector.gone(index)
            if self._collector.is_exhausted:
                self._failure = self._raised or error
                raise self._failure
        else:
            self._rollout_raised(index, error, now)

    def _rollout_raised(self, index: int, error: Exception, now: float) -> None:
        self._raised = error
        if self._collector.raised(index, now):
            raise error
        notes = getattr(error, "__notes__", None) or [f"simulator {index}"]
        logger.warning("%s: %s: %s; it is asked again", notes[0], type(error).__name__, error)

    def close(self) -> None:
        """End the stream and withdraw the requests under way. Idempotent."""
        self._is_closed = True
        while self._asked:
            self._asked.popitem()[0].cancel()
