"""Versioned values that one process publishes and others read."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

import actorrt as art


class Reader(art.Actor):
    async def follow(self, name: str, last: int) -> list[tuple[int, int, bool]]:
        """Return the versions seen, their first elements, and whether all elements of each were equal."""
        seen, version = [], 0
        while version < last:
            latest = await art.latest(name, newer_than=version)
            version = latest.version
            seen.append((version, int(latest.value[0]), bool((latest.value == latest.value[0]).all())))
        return seen

    async def lag_s(self, name: str) -> float:
        latest = await art.latest(name)
        return time.monotonic() - latest.value

    async def publish(self, name: str, value: object) -> int:
        return art.publish(name, value)


@pytest.fixture(params=["node", "local"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_readers_see_complete_values_and_finally_the_newest(mode: str) -> None:
    async with art.Runtime(mode=mode, cpus=2):
        reader = await Reader.options(cpus=1).spawn()
        assert art.publish("weights", np.full(200_000, 1)) == 1
        following = reader.follow("weights", 30)
        for version in range(2, 31):
            assert art.publish("weights", np.full(200_000, version)) == version
            await asyncio.sleep(0)
        seen = await following
        assert seen[-1] == (30, 30, True)
        assert [version for version, _, _ in seen] == sorted({version for version, _, _ in seen})
        assert all(version == first and is_whole for version, first, is_whole in seen)


async def test_version_is_kept_while_a_reader_holds_it_and_released_after(mode: str) -> None:
    async with art.Runtime(mode=mode, cpus=1):
        before = art.store_stats()["objects_count"]
        art.publish("weights", np.full(5000, 1))
        first = await art.latest("weights")
        art.publish("weights", np.full(5000, 2))
        assert first.version == 1
        assert first.value.tolist() == [1] * 5000
        assert art.store_stats()["objects_count"] == before + 2
        del first
        async with asyncio.timeout(5):
            while art.store_stats()["objects_count"] > before + 1:  # released after the pending messages
                await asyncio.sleep(0)
        assert (await art.latest("weights")).value[0] == 2


async def test_wait_for_a_version_that_is_not_published_times_out(mode: str) -> None:
    async with art.Runtime(mode=mode, cpus=1):
        with pytest.raises(art.CallTimeoutError, match="no version of 'nothing' newer than 0 was published within"):
            await art.latest("nothing", timeout_s=0.05)
        art.publish("nothing", 1)
        with pytest.raises(art.CallTimeoutError, match="newer than 1"):
            await art.latest("nothing", newer_than=1, timeout_s=0.05)
        assert (await art.latest("nothing", newer_than=0)).value == 1


async def test_published_value_outlives_its_publisher() -> None:
    async with art.Runtime(cpus=1):
        publisher = await Reader.options(cpus=1).spawn()
        assert await publisher.publish("name", [1, 2]) == 1
        await publisher.stop()
        assert (await art.latest("name")).value == [1, 2]


def test_plain_code_gets_the_latest_version_with_result() -> None:
    art.init(cpus=1)
    try:
        assert art.publish("name", "value") == 1
        assert art.latest("name").result(10) == art.Latest(1, "value")
        with pytest.raises(ValueError, match="a string that is not empty"):
            art.publish("", 1)
    finally:
        art.shutdown()


@pytest.mark.parametrize("size", [10, 5000], ids=["rides along", "object"])
async def test_published_values_of_any_size_have_read_only_arrays_and_usable_refs(mode: str, size: int) -> None:
    async with art.Runtime(mode=mode, cpus=1):
        reader = await Reader.options(cpus=1).spawn()
        art.publish("name", {"array": np.full(size, 1), "ref": art.put(np.full(5000, 2)), "reader": reader})
        value = (await art.latest("name")).value
        assert value["array"].tolist() == [1] * size
        assert not value["array"].flags.writeable
        assert (await value["ref"]).sum() == 10_000
        assert await value["reader"].publish("name", [np.arange(size)]) == 2
        latest = await art.latest("name", newer_than=1)
        assert latest.version == 2
        assert latest.value[0].tolist() == list(range(size))
        assert not latest.value[0].flags.writeable
