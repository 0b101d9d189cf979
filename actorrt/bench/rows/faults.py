"""The rows about failure: the time from SIGKILL until callers are told or get answers again; restarts of groups.

Restarts do not back off, since each incarnation has handled a message before it fails.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Final

import actorrt as art
from actorrt.bench.measuring.measurement import Effort, Samples
from actorrt.bench.rows.subjects import Alone, Counter, Holder, Together

_NEVER: Final = 1_000_000
_OPTIONS: Final[dict[str, Any]] = {"isolation": "process", "restart": "permanent", "max_restarts": _NEVER}


def callers_told(effort: Effort) -> Samples:
    """Return the times from SIGKILL until a call in progress has failed, in ms."""

    async def told(counter: art.ActorRef[Counter]) -> float:
        call = counter.wait_for_ever()
        start = await _kill(counter)
        await art.wait([call])
        return _ms_since(start)

    return _each(effort, told)


def down_delivered(effort: Effort) -> Samples:
    """Return the times from SIGKILL until a monitor reports it, in ms."""

    async def told(counter: art.ActorRef[Counter]) -> float:
        down = art.monitor(counter, restarts=True)
        start = await _kill(counter)
        await down
        return _ms_since(start)

    return _each(effort, told)


def back_after_kill(effort: Effort) -> Samples:
    """Return the times from SIGKILL until the same ref is answered by the next incarnation, in ms."""

    async def back(counter: art.ActorRef[Counter]) -> float:
        start = await _kill(counter)
        await counter.increment.options(retries=9)()
        return _ms_since(start)

    return _each(effort, back)


def restored(effort: Effort) -> Samples:
    """Return the times from SIGKILL until an actor answers that has been restored from its snapshot, in ms."""

    async def main() -> Samples:
        holder = await Holder.options(**_OPTIONS, snapshot_every=1).spawn()
        await holder.fill(effort.operations_count)
        values = []
        for _ in range(effort.rounds_count):
            start = await _kill(holder)
            assert await holder.writable_bytes.options(retries=9)() == effort.operations_count
            values.append(_ms_since(start))
        return Samples(values)

    return art.run(main)


def restart_one(effort: Effort) -> Samples:
    """Return the times from the failure of one light child of many until it answers again, in ms."""
    return _families(Alone, effort)


def restart_all(effort: Effort) -> Samples:
    """Return the times from the failure of one light child of many until all are restarted, in ms."""
    return _families(Together, effort)


def _families(supervisor: type[art.Supervisor], effort: Effort) -> Samples:
    async def main() -> Samples:
        family: art.ActorRef[Any] = await supervisor.spawn(effort.operations_count)
        last = await family.child(f"c{effort.operations_count - 1}")
        values = []
        for incarnation in range(2, 2 + effort.rounds_count):
            await last.incarnation()
            start = time.perf_counter()
            await last.fail.tell()
            while await last.incarnation.options(retries=9)() < incarnation:
                pass  # this call may overtake the message that makes the child fail
            values.append(_ms_since(start))
        return Samples(values)

    return art.run(main)


def _each(effort: Effort, measure: Any) -> Samples:
    """Measure one actor in its own process repeatedly."""

    async def main() -> Samples:
        counter = await Counter.options(**_OPTIONS, max_concurrency=2).spawn()
        await counter.increment()
        return Samples([await measure(counter) for _ in range(effort.rounds_count)])

    return art.run(main)


async def _kill(ref: art.ActorRef[Any]) -> float:
    """Kill an actor's process, after a call that makes sure that a message was handled; return the time."""
    pid = await ref.pid()
    start = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    return start


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3
