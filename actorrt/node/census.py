"""Takes the census of a node: every actor, from its registry and from those of its workers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from actorrt.actors.census import of_record
from actorrt.actors.control import Control, Data, Endpoint, Request
from actorrt.actors.registry import Registry
from actorrt.node.jobs import Job, Worker

ANSWER_WITHIN_S: Final = 0.1
"""How long an endpoint is waited for; one that is busy for longer is shown without what it alone knows."""


async def take_census(
    registry: Registry, workers: Iterable[Worker], jobs: Iterable[Job], control: Control
) -> dict[str, Any]:
    """Return all jobs and all actors of the node, as data, in the order in which they were spawned.

    Returns:
        `jobs`: id, driver's address. `actors`: what `actors.census.of_record` says of each, and its `job`, `queued`
        (None where its process did not answer), `child_id`, `memory_bytes` (of its process, if that is its own).
        `left_out_count`: how many light actors are not listed.
    """
    ready = [worker for worker in workers if worker.ready.done() and worker.is_usable]
    endpoints = [*(worker.endpoint for worker in ready), *(job.driver for job in jobs)]
    answers = await _answers(control, endpoints)
    queued: dict[bytes, int] = {}
    child_ids: dict[bytes, str] = {}
    actors = [of_record(record) | {"job": record.job} for record in registry.records()]
    jobs_of = {row["actor"]: row["job"] for row in actors}
    for answer in answers:
        queued |= answer["queued"]
        child_ids |= answer["child_ids"]
        for row in answer["records"]:
            jobs_of[row["actor"]] = job = jobs_of.get(row["parent"])
            actors.append(row | {"job": job})
    for row in actors:
        row["queued"] = queued.get(row["actor"])
        row["child_id"] = child_ids.get(row["actor"])
        row["memory_bytes"] = resident_bytes(row["pid"]) if row["is_own"] and row["pid"] else None
    return {
        "jobs": [{"job": job.job_id, "driver": job.driver.address} for job in jobs],
        "actors": actors,
        "left_out_count": sum(answer["left_out_count"] for answer in answers),
    }


async def _answers(control: Control, endpoints: Iterable[Endpoint]) -> list[Data]:
    requests = [control.request(endpoint, "census", {}) for endpoint in endpoints]
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            for request in requests:
                await _ended(request)
    except TimeoutError:
        pass  # those that have answered are shown
    return [request.value() for request in requests if request.done() and request.error() is None]


async def _ended(request: Request) -> None:
    ended = asyncio.Event()
    request.add_callback(lambda _: ended.set())
    await ended.wait()


def resident_bytes(pid: int) -> int | None:
    """Return the memory that a process has in use, shared pages included; None if it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
