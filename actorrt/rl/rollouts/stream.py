"""`stream`, over which algorithms are written: batches of fragments from simulators.

`fragment_collector` decides which simulators to ask and which fragments to keep; this module sends the requests.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from typing import Any

import actorrt as art
from actorrt.rl.foundation.failures import DEATHS_LIMIT, RAISES_LIMIT, died_for_good
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
    raises_limit: int = RAISES_LIMIT,
    stretches: bool = False,
) -> Stream:
    """Iterate over batches of fragments from simulators, without end: `async for`, or `for` in plain code.

    In order of completion, a slow or dead simulator does not delay batches: the others fill them. A rollout that is
    lost with its simulator is requested again after the restart. A rollout that raises, for example because its
    environment does, is logged with the simulator, the step and the seed, and requested again. No fragment is in two
    batches.

    A loop over the stream may be left and entered again later, also after a cancelled `anext`: nothing is lost. Several
    streams may share simulators; each fragment goes to one of them.

    Args:
        simulators: an `ActorGroup`, or refs of `Simulator`s.
        steps: smallest number of transitions of a batch. Give exactly one of `steps`, `fragments` and `episodes`.
        fragments: smallest number of fragments of a batch.
        episodes: smallest number of episodes that end in the fragments of a batch.
        max_lag: fragments whose policy is more than this many versions old are dropped and counted. With 0, simulators
            collect with the newest version only; with more, they work ahead while the caller learns. None keeps all
            fragments.
        order: `"completion"`, or `"deterministic"`: one fragment of each simulator in turn. With `max_lag=0` all
            fragments are of the newest version; with `max_lag=1` they are of the version before, collected while the
            caller learns. Set `version` after each update, so that the stream knows the newest one.
        raises_limit: so many rollouts of one simulator in a row may raise before the error is final.
        stretches: whether simulators are asked for longer fragments (`rollout(share=)`) in place of a straggler's. This
            matters without lag, in order of completion.

    Raises:
        ValueError: there is no simulator, not exactly one size is given, or a value is out of range.
        TypeError: something else than simulators is given, or a number that is not whole.
        ActorDiedError: (while iterating) the last simulator is gone for good; iterating again raises it again.
        Exception: (while iterating) one simulator's rollouts raised this `raises_limit` times in a row, or the last
            simulator's rollout raised it before the simulator was gone. A note names the environment, the step and the
            seed.
    """
    refs = _refs(simulators)
    collector = FragmentCollector(
        len(refs),
        steps=steps,
        fragments=fragments,
        episodes=episodes,
        max_lag=max_lag,
        order=order,
        raises_limit=raises_limit,
        stretches=stretches,
    )
    return Stream(refs, collector)


def _refs(simulators: Any) -> list[Any]:
    """Return simulators as a list, after checking that they are refs of simulators."""
    if not isinstance(simulators, Iterable):
        raise TypeError(f"give an ActorGroup, or a list of refs that were waited for, not {simulators!r}")
    refs = list(simulators)
    for ref in refs:
        if not callable(getattr(ref, "rollout", None)):
            raise TypeError(f"{ref!r} is no ref of a simulator: it has no `rollout`")
    return refs


class Stream:
    """The result of `stream`: an iterator of `Batch`, asynchronous and plain, with counters; it ends when it is closed.

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
        self._looked_at = 0.0  # when the collector was last asked for the requests that are due
        self._raised: Exception | None = None  # the last error of a rollout
        self._failure: Exception | None = None  # the error that ended the stream for good
        self._is_closed = False

    @property
    def version(self) -> int:
        """The newest known version of the policy: of a fragment, or set by the caller."""
        return self._collector.version

    @version.setter
    def version(self, version: int) -> None:
        self._collector.version = version

    def statistics(self) -> dict[str, int]:
        """Return counts: simulators alive and restarted, fragments dropped and repeated, rollouts lost, failures."""
        collector = self._collector
        return {
            "simulators_alive": collector.alive_count,
            "simulators_restarted": collector.restart_count,
            "fragments_dropped": collector.dropped_count,
            "fragments_repeated": collector.repeated_count,
            "rollouts_lost": collector.failed_count,
            "environment_failures": collector.env_failure_count,
        }

    def trained_shares(self) -> tuple[float, ...]:
        """Return the share of each simulator's fragments that are trained on, in the order of the simulators.

        The others came too late and were dropped. NaN before a simulator's first fragment.
        """
        return self._collector.shares.shares()

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
        """Wait until simulators that work ahead have filled the next batch, and return its fragments.

        They stay the next batch, and no simulator is at work then, so a checkpoint can be made. The list is empty
        unless simulators work ahead in deterministic order.
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
        """Index of the simulator whose fragment comes next in deterministic order, for `put_back`."""
        return self._collector.turn

    def put_back(self, fragments: Iterable[Fragment], turn: int = 0) -> None:
        """Begin with the fragments that `ahead` returned before a run was resumed, and with the turn of that time."""
        self._collector.put_back(fragments)
        self._collector.turn = turn

    def _take(self) -> Batch | None:
        """Return the batch if it is full, and send the requests that are due.

        Raises:
            Exception: no simulator is left.
        """
        batch = self._collector.take()
        if batch is None and self._failure is not None:
            raise self._failure
        if batch is None or self._collector.works_ahead:
            self._ask()
        return batch

    def _arrival(self) -> Any:
        """Return an operation that ends when a reply arrives, or when more requests may be due."""
        return self._wait(self._asked, self._collector.look_again_s(self._looked_at))

    def _ask(self) -> None:
        now = self._looked_at = self._now()
        for index in self._collector.to_ask(now):
            self._asked[self._request(index)] = index
            self._collector.asked(index, now)

    def _request(self, index: int) -> Any:
        simulator, version = self._simulators[index], self._collector.version_to_ask_for
        options: dict[str, Any] = {"exact": True} if self._collector.is_pipelined else {}
        share = self._collector.share_to_ask_for(index)
        return simulator.rollout(version, **options, **({} if share == 1.0 else {"share": share}))

    def _receive(self, replies: Iterable[Any]) -> None:
        for reply in replies:
            index = self._asked.pop(reply, None)
            if index is not None:
                self._settle(index, reply)

    def _settle(self, index: int, reply: Any) -> None:
        now, error = self._now(), reply.error()
        if error is None:
            self._arrived(index, reply.value(), now)
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

    def _arrived(self, index: int, fragment: Fragment, now: float) -> None:
        is_first = self._collector.env_failure_count == 0
        self._collector.arrived(index, fragment, now)
        if is_first and self._collector.env_failure_count:
            logger.warning(
                "simulator %d, incarnation %d, %s; the environment is made anew, and its episode counts as truncated. "
                "Further failures are counted as `environment_failures`",
                fragment.simulator,
                fragment.incarnation,
                fragment.failures[0],
            )
        for slow, dropped, arrived in self._collector.shares.newly_slow():
            logger.warning(
                "simulator %d: %d of %d fragments came too late and were dropped, so what it meets is hardly learnt. "
                "horizon_s, a horizon in seconds, makes fragments of slow simulators shorter. APPO and IMPALA can also "
                "train on late fragments: max_lag=None",
                slow,
                dropped,
                arrived,
            )

    def _rollout_raised(self, index: int, error: Exception, now: float) -> None:
        self._raised = error
        if self._collector.raised(index, now):
            raise error
        notes = getattr(error, "__notes__", None) or [f"simulator {index}"]
        logger.warning("%s: %s: %s; the rollout is requested again", notes[0], type(error).__name__, error)

    def close(self) -> None:
        """End the stream and cancel the requests under way. Idempotent."""
        self._is_closed = True
        while self._asked:
            self._asked.popitem()[0].cancel()
