"""Every row, in the order of the table; the targets are those of the design."""

from __future__ import annotations

import difflib
from typing import Final

from actorrt.bench import calls, faults, lifecycle, values, whole
from actorrt.bench.measurement import Effort, Row, Target

MIB: Final = 1 << 20
_FLOOR: Final = "bare ZeroMQ"
_MEMCPY: Final = "memcpy, warm"

FAULTS: Final = (
    Row(
        "callers-told",
        "a call in hand fails after SIGKILL",
        "ms",
        faults.callers_told,
        Effort(200),
        Effort(3),
        Target(50),
    ),
    Row("down-delivered", "Down after SIGKILL", "ms", faults.down_delivered, Effort(200), Effort(3), Target(50)),
    Row(
        "back-after-kill",
        "own-process actor answers again after SIGKILL",
        "ms",
        faults.back_after_kill,
        Effort(200),
        Effort(3),
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

ROWS: Final = (
    Row(
        "ask",
        "ask across processes, p50, async code",
        "us",
        calls.ask_across,
        Effort(8, 500, 5),
        Effort(3, 100),
        Target(1.3, is_ratio=True),
        _FLOOR,
    ),
    Row(
        "ask-one-cpu",
        "the same, all threads on one CPU",
        "us",
        calls.ask_on_one_cpu,
        Effort(8, 500, 5),
        Effort(3, 100),
        Target(1.3, is_ratio=True),
        _FLOOR,
    ),
    Row(
        "ask-plain",
        "ask across processes, p50, plain code",
        "us",
        calls.ask_plain,
        Effort(8, 500, 5),
        Effort(3, 100),
        Target(2.5, is_ratio=True),
        _FLOOR,
    ),
    Row(
        "ask-in-flight",
        "asks in flight together, one caller, one actor",
        "/s",
        calls.ask_in_flight,
        Effort(8, 10_000, 5),
        Effort(3, 2_000),
        Target(120_000, is_least=True),
        _FLOOR,
    ),
    Row(
        "ask-inside",
        "ask inside a process, p50",
        "us",
        calls.ask_inside,
        Effort(8, 2_000, 5),
        Effort(3, 200),
        Target(6),
    ),
    Row(
        "ask-inside-in-flight",
        "asks inside a process in flight together",
        "/s",
        calls.ask_inside_in_flight,
        Effort(8, 10_000, 5),
        Effort(3, 2_000),
        Target(200_000, is_least=True),
    ),
    Row(
        "create-light",
        "create light actors",
        "/s",
        lifecycle.create_light,
        Effort(5, 10_000),
        Effort(2, 1_000),
        Target(100_000, is_least=True),
    ),
    Row(
        "light-memory",
        "memory of an idle light actor, on top of its object",
        "B",
        lifecycle.light_memory,
        Effort(5, 10_000),
        Effort(2, 1_000),
        Target(1_000),
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
    *FAULTS,
    Row(
        "put-1mib",
        "put 1 MiB",
        "GiB/s",
        values.put(MIB),
        Effort(15, 50),
        Effort(3, 5),
        None,
        _MEMCPY,
    ),
    Row(
        "put-10mib",
        "put 10 MiB",
        "GiB/s",
        values.put(10 * MIB),
        Effort(15, 10),
        Effort(3, 2),
        Target(0.7, is_least=True, is_ratio=True),
        _MEMCPY,
    ),
    Row(
        "put-100mib",
        "put 100 MiB",
        "GiB/s",
        values.put(100 * MIB),
        Effort(10, 3),
        Effort(2, 1),
        Target(0.7, is_least=True, is_ratio=True),
        _MEMCPY,
    ),
    Row(
        "get-first",
        "get 10 MiB that another process made, first time",
        "us",
        values.get_first,
        Effort(30, 10 * MIB),
        Effort(4, 10 * MIB),
        Target(150),
    ),
    Row(
        "get-again",
        "get 10 MiB, second time",
        "us",
        values.get_again,
        Effort(30, 10 * MIB),
        Effort(4, 10 * MIB),
        Target(10),
    ),
    Row("by-value-1mib", "ask with 1 MiB by value", "ms", values.by_value(MIB), Effort(50), Effort(4)),
    Row("by-value-10mib", "ask with 10 MiB by value", "ms", values.by_value(10 * MIB), Effort(30), Effort(4)),
    Row(
        "wait",
        "wait for 10,000 refs",
        "refs/s",
        values.wait_for_all,
        Effort(10, 10_000),
        Effort(2, 1_000),
        Target(50_000, is_least=True),
        "a tenth of them",
    ),
    Row(
        "as-completed",
        "take 10,000 refs as they complete",
        "refs/s",
        values.take_as_completed,
        Effort(10, 10_000),
        Effort(2, 1_000),
        Target(50_000, is_least=True),
        "a tenth of them",
    ),
    Row("node-up", "embedded node up, from init()", "s", whole.node_up, Effort(10), Effort(2), Target(0.5)),
    Row(
        "cartpole",
        "CartPole-v1 to 475, whole process",
        "s",
        whole.cartpole,
        Effort(5),
        Effort(1),
        Target(8),
        timeout_s=400,
    ),
)

GROUPS: Final = {"faults": FAULTS}
"""Rows that can be asked for together."""


def find_row(name: str) -> Row:
    """Return the row of that name.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    for row in ROWS:
        if row.name == name:
            return row
    names = [row.name for row in ROWS]
    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.3)
    hint = f"did you mean {matches[0]}?" if matches else f"there are: {', '.join(names)}"
    raise ValueError(f"there is no row {name!r}; {hint}")
