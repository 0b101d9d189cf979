"""The supervision tree as it is printed."""

from __future__ import annotations

from typing import Any

from actorrt.node.tree import render


def actor(name: str, parent: str | None = None, **known: Any) -> dict[str, Any]:
    row = {
        "actor": name.encode(),
        "parent": None if parent is None else parent.encode(),
        "job": b"\x01" * 16,
        "label": name,
        "state": "running",
        "restarts": 0,
        "last_exit": None,
        "pid": 7,
        "queued": 0,
        "child_id": None,
        "memory_bytes": None,
    }
    return row | known


def lines(*actors: dict[str, Any], left_out_count: int = 0) -> list[str]:
    jobs = [{"job": b"\x01" * 16, "driver": "unix://x"}]
    return list(render("node", {"jobs": jobs, "actors": list(actors), "left_out_count": left_out_count}))


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


def test_light_actors_that_are_not_listed_are_counted() -> None:
    assert lines(left_out_count=5)[-1] == "and 5 light actors more"
