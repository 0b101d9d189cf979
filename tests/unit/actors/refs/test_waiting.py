"""What waiting for many costs: calls of functions are counted, which no busy machine changes."""

from __future__ import annotations

import asyncio
import random
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from actorrt.actors.refs.waiting import as_completed, gather, wait
from actorrt.completion import OPEN, Completion

FEW_COUNT, MANY_COUNT = 1_000, 10_000


Way = Callable[[list[Completion[int]]], Awaitable[None]]


async def calls_count(way: Way, items_count: int) -> int:
    """Return how many functions are called to wait for so many items, those in C among them."""
    items: list[Completion[int]] = [Completion() for _ in range(items_count)]
    count = 0

    def note(_: Any, event: str, __: Any) -> None:
        nonlocal count
        count += event.endswith("call")

    sys.setprofile(note)
    try:
        await way(items)
    finally:
        sys.setprofile(None)
    return count


async def for_all(items: list[Completion[int]]) -> None:
    waiting = wait(items, count=len(items))
    complete_in_any_order(items)
    assert await waiting == (items, [])


async def for_the_first(items: list[Completion[int]]) -> None:
    waiting = wait(items, count=1)
    items[-1].set_value(0)
    assert await waiting == (items[-1:], items[:-1])
    assert [callback for item in items for callback in item._callbacks if callback is not OPEN] == []


async def for_what_is_done(items: list[Completion[int]]) -> None:
    complete_in_any_order(items)
    assert await wait(items, count=len(items)) == (items, [])


async def one_after_the_other(items: list[Completion[int]]) -> None:
    completed = as_completed(items)
    order = complete_in_any_order(items)
    assert [item async for item in completed] == order


async def each_as_it_completes(items: list[Completion[int]]) -> None:
    completed = as_completed(items)
    loop = asyncio.get_running_loop()
    for item in items:
        loop.call_soon(item.set_value, 0)
        assert await anext(completed) is item
    assert len(completed) == 0


async def gathered(items: list[Completion[int]]) -> None:
    values = gather(*items)
    complete_in_any_order(items)
    assert await values == [0] * len(items)


def complete_in_any_order(items: list[Completion[int]]) -> list[Completion[int]]:
    order = random.Random(7).sample(items, len(items))
    for item in order:
        item.set_value(0)
    return order


@pytest.mark.parametrize(
    "way", [for_all, for_the_first, for_what_is_done, one_after_the_other, each_as_it_completes, gathered]
)
async def test_waiting_for_ten_times_as_many_costs_ten_times_as_much(
    way: Way,
) -> None:
    few = await calls_count(way, FEW_COUNT)
    many = await calls_count(way, MANY_COUNT)
    assert many / few < 1.1 * MANY_COUNT / FEW_COUNT


async def test_waits_that_come_to_nothing_leave_nothing_with_what_goes_on() -> None:
    item: Completion[int] = Completion()
    for _ in range(100):
        done: Completion[int] = Completion()
        done.set_value(0)
        await wait([item, done])
    assert item._callbacks == [OPEN]


def test_as_completed_takes_no_memory_for_each_item_but_its_place_in_lists() -> None:
    items: list[Completion[int]] = [Completion() for _ in range(MANY_COUNT)]
    tracemalloc.start()
    try:
        completed = as_completed(items)
        used_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(completed) == MANY_COUNT
    assert used_bytes / MANY_COUNT < 100
