"""More objects than memory can hold: they are spilled to disk and restored, or a put raises a typed error."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from actorrt.config import MIB
from actorrt.errors import ObjectLostError, ObjectStoreFullError
from actorrt.ids import IdSource
from actorrt.machine.clock import MonotonicClock
from actorrt.machine.surroundings import Surroundings
from actorrt.store.client.client import StoreClient
from actorrt.store.memory.disk import SpillDisk
from actorrt.store.server.local import LocalStore
from tests.integration.store_serving import Serving, hear, serving

IDS = IdSource()
CAPACITY_BYTES = 16 * MIB


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    store = LocalStore(CAPACITY_BYTES, MonotonicClock(), disk=SpillDisk(str(tmp_path)))
    yield store
    store.close()


@pytest.fixture
def client(store: LocalStore) -> Iterator[StoreClient]:
    peer = IDS.peer()
    client = StoreClient(store.open_channel(peer, 7), peer, Surroundings.of_process())
    yield client
    client.close()


def blocks(client: StoreClient, count: int) -> list[object]:
    return [client.put(np.full(MIB, number, np.uint8)) for number in range(count)]


def test_objects_beyond_memory_are_spilled_to_disk_and_read_back(client: StoreClient) -> None:
    refs = blocks(client, 64)
    stats = client.stats()
    assert stats["used_bytes"] <= CAPACITY_BYTES
    assert stats["spilled_bytes"] >= 64 * MIB - CAPACITY_BYTES
    for number, ref in enumerate(refs):
        array = ref.get()
        assert (array == number).all()
        assert not array.flags.writeable
    assert client.stats()["restores_count"] > 0


def test_least_recently_used_object_is_spilled_first(client: StoreClient) -> None:
    refs = blocks(client, 8)
    refs[0].get()
    refs[0].keep(None)
    refs += blocks(client, 8)
    states = {bytes(row[0]): row[2] for row in client.list_objects(100)}
    assert states[refs[0].id[:4]] == "sealed"
    assert "spilled" in states.values()


def test_spilled_object_is_deleted_with_its_last_ref(client: StoreClient, tmp_path: Path) -> None:
    refs = blocks(client, 64)
    view = refs[0].get()
    refs.clear()
    assert client.stats()["objects_count"] == 1
    assert (view == 0).all()
    del view
    stats = client.stats()
    assert stats["spilled_bytes"] == stats["used_bytes"] == stats["objects_count"] == 0
    assert list(tmp_path.iterdir()) == []


def test_pinned_objects_stay_in_memory_and_a_put_raises_that_the_store_is_full(client: StoreClient) -> None:
    held = []
    for _ in range(CAPACITY_BYTES // (2 * MIB)):
        ref = client.put(np.ones(MIB, np.uint8))
        held.append((ref, ref.get()))
    with pytest.raises(ObjectStoreFullError, match="largest holders: pid"):
        client.put(np.ones(CAPACITY_BYTES // 2 + MIB, np.uint8))
    assert client.stats()["spilled_bytes"] == 0
    held.clear()
    client.put(np.ones(MIB, np.uint8))


def test_full_disk_is_a_typed_error_and_the_spill_is_retried(
    client: StoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", _for_files(full))
    refs = blocks(client, CAPACITY_BYTES // (2 * MIB))
    with pytest.raises(ObjectStoreFullError, match=r"nothing can be moved to disk: .* No space left on device"):
        client.put(np.ones(CAPACITY_BYTES // 2 + MIB, np.uint8))
    monkeypatch.undo()
    refs += [client.put(np.full(MIB, len(refs) + more, np.uint8)) for more in range(8)]
    assert [int(ref.get()[0]) for ref in refs] == list(range(len(refs)))  # type: ignore[attr-defined]


def _for_files(fail: object) -> object:
    """Let the call fail for files, but not for anonymous memory."""
    real = os.posix_fallocate

    def posix_fallocate(fd: int, offset: int, length: int) -> None:
        if "memfd" in os.readlink(f"/proc/self/fd/{fd}"):
            real(fd, offset, length)
        else:
            fail()  # type: ignore[operator]

    return posix_fallocate


def test_spilled_bytes_that_changed_on_disk_are_reported_lost(
    client: StoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = os.pwrite

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        return written(fd, bytes(len(data)) if len(data) == MIB else data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    refs = [client.put(np.ones(2 * MIB, np.uint8)) for _ in range(16)]
    monkeypatch.undo()
    with pytest.raises(ObjectLostError, match="does not match the checksum"):
        refs[0].get()
    assert (refs[-1].get() == 1).all()
    with pytest.raises(ObjectLostError, match="does not match the checksum"):
        refs[0].get()


WRITER = """
refs = [client.put(np.full(MIB_COUNT << 20, number, np.uint8), timeout_s=60) for number in range(COUNT)]
say("put")
wrong = [n for n, ref in enumerate(refs) if not (ref.get() == n).all()]
say(wrong)
"""


def test_writers_that_put_more_than_the_budget_lose_nothing(tmp_path: Path) -> None:
    code = WRITER.replace("MIB_COUNT", "2").replace("COUNT", "16")
    with serving(64 * MIB, spill_directory=str(tmp_path)) as store:
        _run_writers(store, code, 4)
        stats = store.stats()
        assert stats["spills_count"] > 0
        assert stats["objects_count"] == stats["spilled_bytes"] == 0


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_eight_writers_of_4_gib_lose_nothing_with_256_mib(tmp_path: Path) -> None:
    code = WRITER.replace("MIB_COUNT", "16").replace("COUNT", "32")
    with serving(256 * MIB, spill_directory=str(tmp_path)) as store:
        _run_writers(store, code, 8)
        stats = store.stats()
        assert stats["spills_count"] > 200
        assert stats["objects_count"] == stats["spilled_bytes"] == 0


def _run_writers(store: Serving, code: str, count: int) -> None:
    with ExitStack() as stack:
        writers = [stack.enter_context(store.process(code)) for _ in range(count)]
        assert [hear(writer) for writer in writers] == ["put"] * count
        assert [hear(writer) for writer in writers] == ["[]"] * count
        for writer in writers:
            store.wait_closed(writer.pid)
