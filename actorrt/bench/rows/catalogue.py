"""All rows in the order of the table, with their targets."""

from __future__ import annotations

import difflib
from typing import Final, TypeAlias

from actorrt.bench.measuring.measurement import Effort, Row, Target
from actorrt.bench.rows import (
    calls,
    cluster,
    evolution,
    faults,
    images,
    lifecycle,
    lineage,
    store,
    tasks,
    training,
    values,
    whole_process,
)

MIB: Final = 1 << 20
_FLOOR: Final = "bare ZeroMQ"
_MEMCPY: Final = "memcpy, warm"
_TENTH: Final = "a tenth of them"

_Efforts: TypeAlias = tuple[Effort, Effort]  # in full, and quick

_ASKS: Final[_Efforts] = (Effort(8, 500, 5), Effort(3, 100))
_ASKS_INSIDE: Final[_Efforts] = (Effort(8, 2_000, 5), Effort(3, 200))
_BURSTS: Final[_Efforts] = (Effort(8, 10_000, 5), Effort(3, 2_000))
_CROWDS: Final[_Efforts] = (Effort(8, 50_000, 3), Effort(3, 10_000))
_LIGHT: Final[_Efforts] = (Effort(5, 10_000), Effort(2, 1_000))
_KILLS: Final[_Efforts] = (Effort(200), Effort(3))
_GETS: Final[_Efforts] = (Effort(30, 10 * MIB), Effort(4, 10 * MIB))
_ARGUMENTS: Final[_Efforts] = (Effort(50), Effort(4))
_WAITS: Final[_Efforts] = (Effort(10, 10_000), Effort(2, 1_000))


def _at_least(bound: float) -> Target:
    return Target(bound, is_least=True)


def _times(bound: float, *, is_least: bool = False) -> Target:
    """Return a target in multiples of the reference."""
    return Target(bound, is_least=is_least, is_ratio=True)


FAULTS: Final = (
    Row("callers-told", "a call in hand fails after SIGKILL", "ms", faults.callers_told, *_KILLS, Target(50)),
    Row("down-delivered", "Down after SIGKILL", "ms", faults.down_delivered, *_KILLS, Target(50)),
    Row(
        "back-after-kill",
        "own-process actor answers again after SIGKILL",
        "ms",
        faults.back_after_kill,
        *_KILLS,
        Target(60),
    ),
    Row(
        "restored",
        "100 MB restored from a snapshot after SIGKILL",
        "ms",
        faults.restored,
        Effort(10, 100_000_000),
        Effort(2, 1_000_000),
        Target(300),
    ),
    Row(
        "restart-one",
        "1,000 light children: one restarted",
        "ms",
        faults.restart_one,
        Effort(50, 1_000),
        Effort(3, 20),
        Target(1),
    ),
    Row(
        "restart-all",
        "1,000 light children: all restarted",
        "ms",
        faults.restart_all,
        Effort(10, 1_000),
        Effort(3, 20),
        Target(100),
    ),
)

CALLS: Final = (
    Row("ask", "ask across processes, p50, async code", "us", calls.ask_across, *_ASKS, _times(1.3), _FLOOR),
    Row("ask-one-cpu", "the same, all threads on one CPU", "us", calls.ask_on_one_cpu, *_ASKS, _times(1.3), _FLOOR),
    Row("ask-plain", "ask across processes, p50, plain code", "us", calls.ask_plain, *_ASKS, _times(2.5), _FLOOR),
    Row(
        "ask-in-flight",
        "asks in flight together, one caller, one actor",
        "/s",
        calls.ask_in_flight,
        *_BURSTS,
        _at_least(120_000),
        _FLOOR,
    ),
    Row(
        "ask-crowd",
        "asks in flight together, 100 callers, 100 actors, two workers",
        "/s",
        calls.ask_crowd,
        *_CROWDS,
        _at_least(150_000),
    ),
    Row("ask-inside", "ask inside a process, p50", "us", calls.ask_inside, *_ASKS_INSIDE, Target(6)),
    Row(
        "ask-inside-in-flight",
        "asks inside a process in flight together",
        "/s",
        calls.ask_inside_in_flight,
        *_BURSTS,
        _at_least(300_000),
    ),
    Row("stream", "items of one stream, across processes", "/s", calls.stream_across, *_BURSTS),
)

LIFECYCLE: Final = (
    Row("create-light", "create light actors", "/s", lifecycle.create_light, *_LIGHT, _at_least(100_000)),
    Row(
        "light-memory",
        "memory of an idle light actor, on top of its object",
        "B",
        lifecycle.light_memory,
        *_LIGHT,
        Target(1_000),
    ),
    Row(
        "million-stall",
        "a million light actors made, each answers: worst stall",
        "ms",
        lifecycle.million_stall,
        Effort(3, 1_000_000),
        Effort(1, 20_000),
        Target(100),
        timeout_s=400,
    ),
    Row(
        "create-process",
        "create an actor in its own process",
        "ms",
        lifecycle.create_process,
        Effort(20),
        Effort(3),
        Target(30),
    ),
    Row(
        "process-memory",
        "unique memory of an actor's own process",
        "MB",
        lifecycle.process_memory,
        Effort(8),
        Effort(2),
        Target(10),
    ),
)

VALUES: Final = (
    Row(
        "put-1mib",
        "put 1 MiB",
        "GiB/s",
        values.put(MIB),
        Effort(15, 50),
        Effort(3, 5),
        _times(0.7, is_least=True),
        _MEMCPY,
    ),
    Row(
        "put-10mib",
        "put 10 MiB",
        "GiB/s",
        values.put(10 * MIB),
        Effort(15, 10),
        Effort(3, 2),
        _times(0.7, is_least=True),
        _MEMCPY,
    ),
    Row(
        "put-replacing",
        "put 10 MiB, the ref before dropped",
        "GiB/s",
        values.put(10 * MIB, kept_count=1),
        Effort(15, 10),
        Effort(3, 2),
        _times(0.7, is_least=True),
        _MEMCPY,
    ),
    Row(
        "put-100mib",
        "put 100 MiB",
        "GiB/s",
        values.put(100 * MIB),
        Effort(10, 3),
        Effort(2, 1),
        _times(0.7, is_least=True),
        _MEMCPY,
    ),
    Row("get-first", "get 10 MiB that another process made, first time", "us", values.get_first, *_GETS, Target(150)),
    Row("get-again", "get 10 MiB, second time", "us", values.get_again, *_GETS, Target(10)),
    Row("by-value-1mib", "ask with 1 MiB by value", "ms", values.by_value(MIB), *_ARGUMENTS),
    Row("by-value-10mib", "ask with 10 MiB by value", "ms", values.by_value(10 * MIB), *_ARGUMENTS),
    Row("stored-1mib", "ask with 1 MiB that lies in the store", "ms", values.stored(MIB), *_ARGUMENTS),
    Row("stored-10mib", "ask with 10 MiB that lie in the store", "ms", values.stored(10 * MIB), *_ARGUMENTS),
    Row("by-ref-1mib", "ask with a ref to 1 MiB", "ms", values.by_ref(MIB), *_ARGUMENTS),
    Row("by-ref-10mib", "ask with a ref to 10 MiB", "ms", values.by_ref(10 * MIB), *_ARGUMENTS),
    Row("wait", "wait for 10,000 refs", "refs/s", values.wait_for_all, *_WAITS, _at_least(50_000), _TENTH),
    Row(
        "as-completed",
        "take 10,000 refs as they complete",
        "refs/s",
        values.take_as_completed,
        *_WAITS,
        _at_least(50_000),
        _TENTH,
    ),
    *store.ROWS,
)

WHOLE: Final = (
    Row("node-up", "embedded node up, from init()", "s", whole_process.node_up, Effort(10), Effort(2), Target(0.5)),
)

LEARNING: Final = (
    Row(
        "cartpole",
        "CartPole-v1 to 475, whole process",
        "s",
        whole_process.cartpole,
        Effort(5),
        Effort(1),
        Target(8),
        timeout_s=400,
    ),
    Row(
        "cartpole-ten",
        "the same, with evaluations of 10 episodes",
        "s",
        whole_process.cartpole_ten,
        Effort(5),
        Effort(1),
        timeout_s=400,
    ),
    Row(
        "halfcheetah",
        "PPO on HalfCheetah-v5, one environment",
        "steps/s",
        training.halfcheetah(1),
        Effort(3, 40_960),
        Effort(1, 6_144),
        _at_least(3_800),  # four times what Stable-Baselines3 does on two CPUs
        timeout_s=400,
    ),
    Row(
        "halfcheetah-eight",
        "PPO on HalfCheetah-v5, eight environments",
        "steps/s",
        training.halfcheetah(8),
        Effort(3, 81_920),
        Effort(1, 32_768),
        _at_least(3_856),  # twice what Stable-Baselines3 does there
        timeout_s=400,
    ),
    Row(
        "halfcheetah-return",
        "the same, return after 100,000 steps of one environment",
        "return",
        training.halfcheetah_return,
        Effort(3, 100_352),
        Effort(1, 6_144),
        timeout_s=400,
    ),
    Row(
        "images",
        "PPO on frames of 84 x 84 x 4, settings of Atari games, eight environments",
        "steps/s",
        images.training,
        Effort(3, 9_216),
        Effort(1, 2_048),
        timeout_s=400,
    ),
    Row(
        "sampling",
        "CartPole-v1 sampled, two simulators, environments in Python",
        "steps/s",
        training.sampling,
        Effort(10, 200_000),
        Effort(2, 20_000),
        _at_least(150_000),
    ),
    Row(
        "sampling-native",
        "the same, as one vector environment each",
        "steps/s",
        training.sampling_native,
        Effort(10, 1_000_000),
        Effort(2, 100_000),
        _at_least(1_000_000),
    ),
    Row(
        "ars-two",
        "ARS on CartPole-v1, two simulators",
        "steps/s",
        evolution.two_cores,
        Effort(5, 40),
        Effort(1, 3),
        _times(0.9, is_least=True),
        "twice one simulator",
        timeout_s=400,
    ),
    Row(
        "ars-crowd",
        "ARS where environments only sleep, 64 simulators",
        "steps/s",
        evolution.sleeping_crowd,
        Effort(3, 5),
        Effort(1, 2),
        _times(0.9, is_least=True),
        "64 times one simulator",
        timeout_s=600,
    ),
)

TASKS: Final = (*tasks.ROWS, *lineage.ROWS)

ROWS: Final = (*CALLS, *LIFECYCLE, *FAULTS, *VALUES, *WHOLE, *cluster.ROWS, *TASKS, *LEARNING)

GROUPS: Final = {"cluster": cluster.ROWS, "faults": FAULTS, "store": VALUES, "tasks": TASKS, "rl": LEARNING}
"""Rows that can be requested together."""


def find_row(name: str) -> Row:
    """Return the row of that name.

    Raises:
        ValueError: there is none; the message suggests a similar name.
    """
    for row in ROWS:
        if row.name == name:
            return row
    names = [row.name for row in ROWS]
    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.3)
    hint = f"did you mean {matches[0]}?" if matches else f"there are: {', '.join(names)}"
    raise ValueError(f"there is no row {name!r}; {hint}")
