"""Pure: decides which simulators to ask for fragments, which fragments to keep, and when a batch is full.

A simulator is idle, or has one request under way. A fragment is kept if its policy is new enough and it did not come
before. It is dropped if a newer version makes it stale before it is in a batch. The allowed lag decides how many
fragments are requested:

* With lag, every idle simulator is asked at once, so that it works ahead while the learner learns.
* Without lag, a fragment beyond the current batch would be collected in vain. Simulators are asked until the expected
  fragments fill the batch. Nothing is expected from a simulator that is a straggler or is being restarted, so the other
  simulators fill the batch in its place. If allowed, they are asked for longer fragments then: of four simulators with
  one straggler, each of the others collects a third more, instead of one collecting a second fragment while two wait.
* In deterministic order with a lag of one, the fragments of the next batch are requested when a batch is taken. They
  are collected with the version that is the newest then, unless more than one version is published meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, NamedTuple

from actorrt.rl.foundation.failures import DEATHS_LIMIT, RAISES_LIMIT
from actorrt.rl.rollouts.trained_shares import TrainedShares
from actorrt.rl.rollouts.trajectory import Batch, Fragment

Order = Literal["completion", "deterministic"]

STRAGGLER_FACTOR = 4.0  # a simulator is a straggler after this many times the fastest one's duration
STRAGGLER_FLOOR_S = 0.05
RETRY_FLOOR_S, RETRY_CAP_S = 0.01, 1.0
STRETCH_LIMIT = 2.0  # a fragment is at most so many times as long as the horizon
ROUNDING = 1e-9  # of sums of shares


class Held(NamedTuple):
    """A fragment of the current batch.

    Attributes:
        simulator: index of its simulator; None if it was put back.
        fragment: the fragment.
        size: how much it counts, in the unit of the batch.
    """

    simulator: int | None
    fragment: Fragment
    size: float


@dataclass
class SimulatorState:
    """The state of one simulator."""

    asked_at: float | None = None
    asked_version: int = 0
    asked_share: float = 1.0  # of the horizon
    duration_s: float | None = None  # for a whole horizon
    fragment_size: float | None = None  # for a whole horizon, in the unit of the batch
    failures: int = 0
    raises: int = 0
    not_before: float = 0.0
    is_gone: bool = False
    last: tuple[int, int] = (-1, -1)  # incarnation and number of the fragment that came last
    waiting: Fragment | None = None  # has arrived, and waits for its turn

    def is_idle(self, now: float) -> bool:
        """Whether it can be asked for a fragment."""
        return self.asked_at is None and not self.is_gone and self.waiting is None and self.not_before <= now


class FragmentCollector:
    """Collects fragments of `count` simulators into batches of at least so many `steps`, `fragments` or `episodes`.

    Attributes:
        dropped_count: fragments whose policy was too old.
        repeated_count: fragments that had arrived before.
        failed_count: requests that failed.
        env_failure_count: failures of environments that cost their episode.
        shares: the share of each simulator's fragments that are trained on.
        restart_count: incarnations of simulators beyond their first.

    Raises:
        ValueError: there is no simulator, not exactly one size is given, or a value is out of range.
        TypeError: a size or the lag is not a whole number.
    """

    def __init__(
        self,
        count: int,
        *,
        steps: int | None = None,
        fragments: int | None = None,
        episodes: int | None = None,
        max_lag: int | None = None,
        order: Order = "completion",
        raises_limit: int = RAISES_LIMIT,
        stretches: bool = False,
    ) -> None:
        if count < 1:
            raise ValueError("a stream needs at least one simulator")
        sizes = {"steps": steps, "fragments": fragments, "episodes": episodes}
        numbers: dict[str, Any] = {**sizes, "max_lag": max_lag}
        for name, value in numbers.items():
            if value is not None and not isinstance(value, Integral):
                raise TypeError(f"{name} is a whole number: {name}={value!r}")
        given = {name: size for name, size in sizes.items() if size is not None}
        if len(given) != 1 or min(given.values()) < 1:
            shown = ", ".join(f"{name}={size}" for name, size in sizes.items())
            raise ValueError(f"give one of steps=, fragments= and episodes=, 1 or more: {shown}")
        if max_lag is not None and max_lag < 0:
            raise ValueError(f"max_lag counts versions, 0 or more: max_lag={max_lag}")
        if order not in ("completion", "deterministic"):
            raise ValueError(f"order={order!r}: give 'completion' or 'deterministic'")
        if order == "deterministic" and max_lag not in (0, 1):
            raise ValueError(f"order='deterministic' needs max_lag=0 or max_lag=1, not max_lag={max_lag}")
        self.simulators = [SimulatorState() for _ in range(count)]
        self._version = 0
        self.dropped_count = self.repeated_count = self.failed_count = self.restart_count = 0
        self.env_failure_count = 0
        self._raises_limit, self._stretches = raises_limit, stretches
        self._shares: dict[int, float] = {}  # of the horizon, for the simulators to ask now
        ((self._unit, self._wanted),) = given.items()
        self._max_lag, self._order = max_lag, order
        self._next = 0  # in deterministic order, the simulator whose fragment comes next
        self._batch: list[Held] = []
        self.shares = TrainedShares(count)
        self._version_at_take: int | None = None  # of the last batch

    @property
    def version(self) -> int:
        """The newest known version of the policy. Raising it drops the fragments that become stale."""
        return self._version

    @version.setter
    def version(self, version: int) -> None:
        self._version = version
        for held in self._batch:
            if self._is_stale(held.fragment):
                self._drop(held.simulator)
        self._batch = [held for held in self._batch if not self._is_stale(held.fragment)]
        for index, simulator in enumerate(self.simulators):
            if simulator.waiting is not None and self._is_stale(simulator.waiting):
                simulator.waiting = None
                self._drop(index)

    def _drop(self, index: int | None) -> None:
        """Count a fragment that came too late."""
        self.dropped_count += 1
        if index is not None:
            self.shares.dropped(index)

    def to_ask(self, now: float) -> list[int]:
        """Return the simulators to ask now, in order."""
        if self._order == "deterministic":
            return self._to_ask_in_turn(now)
        idle = [i for i, simulator in enumerate(self.simulators) if simulator.is_idle(now)]
        self._shares = {}
        if self.works_ahead:
            return idle
        missing = self._missing() - sum(self._expected(simulator, now) for simulator in self.simulators)
        if self._stretches:
            return self._to_ask_for_shares(idle, missing, now)
        asked = []
        for i in idle:
            if missing <= ROUNDING:
                break
            asked.append(i)
            missing -= self._worth(self.simulators[i])
        return asked

    def _to_ask_for_shares(self, idle: list[int], missing: float, now: float) -> list[int]:
        """Return the simulators to ask for what is missing; each of them collects its share if stragglers don't.

        A straggler is asked as well, since it may be fast again.
        """
        if missing <= ROUNDING:
            return []
        fast = [i for i, s in enumerate(self.simulators) if not s.is_gone and not self._is_straggler(s, now)]
        worth = sum(self._worth(self.simulators[i]) for i in fast)
        share = 1.0
        if self._unit != "episodes" and worth and set(fast) <= set(idle):  # otherwise more is under way
            share = min(STRETCH_LIMIT, max(1.0, missing / worth))
        asked = []
        for i in idle:
            if i not in fast:
                asked.append(i)
            elif missing > ROUNDING:
                asked.append(i)
                self._shares[i] = share
                missing -= share * self._worth(self.simulators[i])
        return asked

    def share_to_ask_for(self, index: int) -> float:
        """Return for how long a fragment a simulator is to be asked now, as a share of its horizon."""
        return self._shares.get(index, 1.0)

    def _to_ask_in_turn(self, now: float) -> list[int]:
        """Return the idle simulators among those whose turns fill the current batch."""
        missing, asked = self._missing(), []
        for offset in range(len(self.simulators)):
            index = (self._next + offset) % len(self.simulators)
            simulator = self.simulators[index]
            if missing <= 0:
                break
            if not simulator.is_gone:
                missing -= self._worth(simulator)
                if simulator.is_idle(now):
                    asked.append(index)
        return asked

    @property
    def works_ahead(self) -> bool:
        """Whether simulators collect for later batches while the caller learns from one."""
        return self._max_lag != 0

    @property
    def is_pipelined(self) -> bool:
        """Whether simulators collect with exactly the requested version."""
        return self.works_ahead and self._order == "deterministic"

    @property
    def version_to_ask_for(self) -> int:
        """The version to request: the newest one, or if pipelined, the one that was the newest at the last `take`.

        If more than one version was published since then, fragments of that version would be stale on arrival, so the
        version before the newest is requested.
        """
        if not self.is_pipelined or self._version_at_take is None:
            return self.version
        return max(self._version_at_take, self.version - 1)

    def asked(self, index: int, now: float) -> None:
        """Note that a simulator was asked."""
        simulator = self.simulators[index]
        simulator.asked_at, simulator.asked_version = now, self.version_to_ask_for
        simulator.asked_share = self.share_to_ask_for(index)

    def look_again_s(self, now: float) -> float | None:
        """Return after how many seconds `to_ask` may return more although nothing arrives; None if it can't.

        Args:
            now: the time of the last `to_ask`, which has dealt with everything that was due by then. With a later time,
                a simulator that became due in between would be missed, and the wait for its reply might never end.
        """
        times = [
            simulator.not_before
            for simulator in self.simulators
            if simulator.asked_at is None and not simulator.is_gone
        ]
        limit_s = self._straggler_limit_s()
        if self._max_lag == 0 and limit_s is not None:
            times += [simulator.asked_at + limit_s for simulator in self.simulators if simulator.asked_at is not None]
        later = [time - now for time in times if time > now]
        return min(later) if later else None

    def arrived(self, index: int, fragment: Fragment, now: float) -> None:
        """Called when a fragment arrives."""
        simulator = self.simulators[index]
        if simulator.asked_at is not None:
            simulator.duration_s = (now - simulator.asked_at) / simulator.asked_share
        simulator.asked_at, simulator.failures, simulator.raises = None, 0, 0
        held = Held(index, fragment, self._size(fragment, simulator.asked_share))
        simulator.fragment_size = held.size / simulator.asked_share
        key = (fragment.incarnation, fragment.sequence)
        if key <= simulator.last:
            self.repeated_count += 1
            return
        self.restart_count += max(0, fragment.incarnation - max(1, simulator.last[0]))
        simulator.last = key
        self.env_failure_count += len(fragment.failures)
        self.shares.arrived(index)
        if fragment.policy_version < simulator.asked_version:
            # The requested version and newer ones are lost with the parameter server that held them. Waiting for them
            # would drop every fragment from now on.
            self.version = fragment.policy_version
        if fragment.policy_version > self.version:
            self.version = fragment.policy_version
        if self._is_stale(fragment):
            self._drop(index)
        elif self._order == "completion":
            self._batch.append(held)
        else:
            simulator.waiting = fragment

    def failed(self, index: int, now: float) -> bool:
        """Called when a request fails, mostly because its simulator died. The simulator is asked again after a pause.

        Returns:
            Whether the requests failed too often in a row to try again.
        """
        simulator = self.simulators[index]
        self.failed_count += 1
        simulator.asked_at = None
        simulator.not_before = now + min(RETRY_CAP_S, RETRY_FLOOR_S * 2.0**simulator.failures)
        simulator.failures += 1
        return simulator.failures >= DEATHS_LIMIT

    def raised(self, index: int, now: float) -> bool:
        """Called when a rollout raises. Returns whether this happened too often in a row to try again."""
        self.failed(index, now)
        self.simulators[index].raises += 1
        return self.simulators[index].raises >= self._raises_limit

    def gone(self, index: int) -> None:
        """Called when a simulator is gone for good."""
        simulator = self.simulators[index]
        simulator.is_gone, simulator.asked_at = True, None

    @property
    def alive_count(self) -> int:
        """Number of simulators that are neither gone nor being restarted."""
        return sum(1 for simulator in self.simulators if not simulator.is_gone and not simulator.failures)

    @property
    def is_exhausted(self) -> bool:
        """Whether no simulator is left."""
        return all(simulator.is_gone for simulator in self.simulators)

    def take(self) -> Batch | None:
        """Return the batch if it is full, and begin the next."""
        if self._order == "deterministic":
            self._line_up()
        if self._missing() > ROUNDING:
            return None
        self._version_at_take = self.version
        fragments, self._batch = tuple(held.fragment for held in self._batch), []
        return Batch(fragments, tuple(max(0, self.version - fragment.policy_version) for fragment in fragments))

    def _line_up(self) -> None:
        """Move fragments to the batch in the simulators' order, up to the first that is missing."""
        while self._missing() > ROUNDING:
            simulator = self.simulators[self._next]
            if simulator.waiting is not None:
                self._batch.append(Held(self._next, simulator.waiting, self._size(simulator.waiting)))
                simulator.waiting = None
            elif not simulator.is_gone or self.is_exhausted:
                return
            self._next = (self._next + 1) % len(self.simulators)

    def is_full(self) -> bool:
        """Whether `take` would return a batch."""
        if self._order == "deterministic":
            self._line_up()
        return self._missing() <= ROUNDING

    def put_back(self, fragments: Iterable[Fragment]) -> None:
        """Add fragments that were collected for the current batch before a run was resumed."""
        self._batch.extend(Held(None, fragment, self._size(fragment)) for fragment in fragments)

    @property
    def turn(self) -> int:
        """Index of the simulator whose fragment comes next in deterministic order."""
        return self._next

    @turn.setter
    def turn(self, index: int) -> None:
        self._next = index

    def held(self) -> list[Fragment]:
        """Return the fragments of the current batch so far."""
        return [held.fragment for held in self._batch]

    def _missing(self) -> float:
        return self._wanted - sum(held.size for held in self._batch)

    def _size(self, fragment: Fragment, share: float = 1.0) -> float:
        """Return how much a fragment counts in a batch; a fragment of resets only counts 0."""
        if self._unit == "fragments":
            return share if fragment.step_count else 0.0
        return fragment.step_count if self._unit == "steps" else len(fragment.episode_return)

    def _worth(self, simulator: SimulatorState) -> float:
        """Return how much the next fragment of a simulator is expected to count, for a whole horizon."""
        if self._unit == "fragments":
            return 1
        return -(-self._wanted // len(self.simulators)) if simulator.fragment_size is None else simulator.fragment_size

    def _expected(self, simulator: SimulatorState, now: float) -> float:
        """Return how much the request under way will add to the current batch; 0 if that is uncertain."""
        if simulator.asked_at is None or simulator.failures or simulator.asked_version < self.version:
            return 0.0
        return 0.0 if self._is_straggler(simulator, now) else simulator.asked_share * self._worth(simulator)

    def _is_straggler(self, simulator: SimulatorState, now: float) -> bool:
        """Whether its last fragment took far longer than the fastest one's, or the one under way does."""
        limit_s = self._straggler_limit_s()
        if limit_s is None:
            return False
        is_overdue = simulator.asked_at is not None and now >= simulator.asked_at + limit_s
        return is_overdue or (simulator.duration_s or 0.0) > limit_s

    def _straggler_limit_s(self) -> float | None:
        durations = [simulator.duration_s for simulator in self.simulators if simulator.duration_s is not None]
        return max(STRAGGLER_FLOOR_S, STRAGGLER_FACTOR * min(durations)) if durations else None

    def _is_stale(self, fragment: Fragment) -> bool:
        return self._max_lag is not None and self.version - fragment.policy_version > self._max_lag
