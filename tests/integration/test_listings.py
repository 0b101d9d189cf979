"""Listings of a node that runs more actors than fit into one answer."""

from __future__ import annotations

import subprocess
import sys

import pytest

import actorrt as art
from actorrt.node.listing.census import ROWS_COUNT
from tests.integration.cast import Counter

COUNT = 40_000  # more than one envelope may list
COMMANDS = {
    "status": f"actors: {COUNT}",
    "ps": f"and {COUNT - 1000} more actors",
    "tree": f"└─ and {COUNT - 100} more",
    "mem": "object store:",
}


async def test_node_of_40000_light_actors_of_one_driver_answers_every_listing(node, node_runtime):
    group = await Counter.spawn_many(COUNT)
    assert await group[0].add(1) == await group[COUNT - 1].add(1) == 1
    for command, wanted in COMMANDS.items():
        line = [sys.executable, "-m", "actorrt.cli", command, f"--address={node.url}"]
        done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=20)
        assert wanted in done.stdout, command
    pages = [await node_runtime.status()]
    assert len(pages[0]["workers"]) + len(pages[0]["actors"]) == ROWS_COUNT
    while pages[-1]["next"] is not None:
        pages.append(await node_runtime.status(after=pages[-1]["next"]))
    assert [page["totals"]["actors"] for page in pages] == [COUNT] * 5
    labels = [actor["label"] for page in pages for actor in page["actors"]]
    assert len(labels) == COUNT
    assert len(set(labels)) > COUNT - 10  # a label has four bytes of the id, which a few of so many actors may share


async def test_status_with_invalid_page_arguments_is_refused_at_the_caller(runtime):
    with pytest.raises(ValueError, match="count=0: give 1 to 10000 rows a page"):
        runtime.status(count=0)
    with pytest.raises(TypeError, match="after='x': give the 'next' of the page before"):
        runtime.status(after="x")


async def test_group_of_a_thousand_that_fails_to_start_leaves_no_actor(runtime):
    class Failing(art.Actor):
        def __init__(self):
            raise ValueError("not here")

    with pytest.raises(art.ActorStartError, match="not here"):
        await Failing.spawn_many(1_500)
    assert (await runtime.status())["totals"]["actors"] == 0
