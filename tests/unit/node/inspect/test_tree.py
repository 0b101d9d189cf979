"""The supervision tree as it is printed."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from actorrt.ids import ActorId, JobId
from actorrt.node.inspect.tree import render
from actorrt.protocol.nodes import ActorRow, ActorTree, JobRow

JOB, ENDED_JOB = JobId(b"\x01" * 16), JobId(b"\x02" * 16)


class Actor(NamedTuple):
    """What is known of an actor: by its authority, and by others."""

    row: ActorRow
    queued: int | None
    child_id: str | None
    memory_bytes: int | None


def actor(
    name: str,
    parent: str | None = None,
    queued: int | None = 0,
    child_id: str | None = None,
    memory_bytes: int | None = None,
    **known: Any,
) -> Actor:
    row = {
        "actor": ActorId(name.encode()),
        "parent": None if parent is None else ActorId(parent.encode()),
        "job": JOB,
        "home": None,
        "label": name,
        "state": "running",
        "restarts": 0,
        "last_exit": None,
        "pid": 7,
        "is_own": False,
        "is_supervisor": False,
        "is_detached": False,
    }
    return Actor(ActorRow(**{**row, **known}), queued, child_id, memory_bytes)


def lines(
    *actors: Actor,
    left_out: dict[bytes, int] | None = None,
    task_workers: dict[str, int] | None = None,
    tasks: dict[str, int] | None = None,
) -> list[str]:
    tree = ActorTree(
        jobs=[JobRow(job=JOB, driver="unix://x", task_workers=task_workers or {}, tasks=tasks or {})],
        actors=[each.row for each in actors],
        left_out=left_out or {},
        queued={each.row.actor: each.queued for each in actors if each.queued is not None},
        child_ids={each.row.actor: each.child_id for each in actors if each.child_id is not None},
        memory_bytes={each.row.actor: each.memory_bytes for each in actors if each.memory_bytes is not None},
        nodes={},
    )
    return list(render("node", tree))


def test_children_hang_below_their_parents_in_order() -> None:
    names = [
        line.partition("  running")[0].rstrip()
        for line in lines(actor("a"), actor("b", "a"), actor("c", "b"), actor("d", "a"))[2:]
    ]
    assert names == ["job 01010101", "└─ a", "   ├─ b", "   │  └─ c", "   └─ d"]


def test_row_tells_state_restarts_queue_memory_process_and_last_exit() -> None:
    row = lines(actor("a", state="restarting", restarts=2, queued=5, memory_bytes=39 << 20, last_exit="crashed"))[-1]
    assert row.split() == ["└─", "a", "restarting", "2", "5", "39", "MiB", "7", "crashed"]


def test_child_of_a_supervisor_is_named_by_its_id() -> None:
    assert "└─ sim-3 (Simulator-1)" in lines(actor("Simulator-1", child_id="sim-3"))[-1]


def test_queue_that_nobody_told_is_a_question_mark() -> None:
    assert lines(actor("a", queued=None))[-1].split()[4] == "?"


def test_long_reason_is_cut_to_its_first_line() -> None:
    row = lines(actor("a", last_exit="error: " + "x" * 100 + "\nmore"))[-1]
    assert row.endswith("…")
    assert "more" not in row


def test_actor_whose_parent_is_unknown_hangs_below_its_job() -> None:
    assert lines(actor("a", "gone"))[-1].startswith("└─ a")


def test_children_that_are_left_out_are_counted_below_their_parent() -> None:
    shown = lines(actor("a"), actor("b", "a"), left_out={b"a": 5, b"\x01" * 16: 7})[3:]
    names = [line.partition("  running")[0].rstrip() for line in shown]
    assert names == ["├─ a", "│  ├─ b", "│  └─ and 5 more", "└─ and 7 more"]


def test_detached_actor_is_marked() -> None:
    assert "└─ a (detached)" in lines(actor("a", is_detached=True))[-1]


def test_detached_actors_of_jobs_that_have_ended_are_below_no_job() -> None:
    shown = lines(actor("a"), actor("b", is_detached=True, job=ENDED_JOB), actor("c", "b", job=ENDED_JOB))[2:]
    assert [line.partition("  running")[0].rstrip() for line in shown] == [
        "job 01010101",
        "└─ a",
        "detached, of jobs that have ended",
        "└─ b (detached)",
        "   └─ c",
    ]


def test_tree_may_be_deeper_than_python_recurses() -> None:
    count = sys.getrecursionlimit() + 100
    chain = [actor("0"), *(actor(str(number), str(number - 1)) for number in range(1, count))]
    assert lines(*chain)[-1].startswith(f"{'   ' * (count - 1)}└─ {count - 1}")


def test_job_row_counts_its_workers_for_tasks() -> None:
    (_, _, job) = lines(task_workers={"leased": 2, "free": 1})
    assert job.strip() == "job 01010101 (workers for tasks: 1 free, 2 leased)"


def test_job_row_counts_its_tasks() -> None:
    (_, _, job) = lines(task_workers={"leased": 1}, tasks={"sent": 2, "queued": 3})
    assert job.strip() == "job 01010101 (workers for tasks: 1 leased; tasks: 3 queued, 2 sent)"
