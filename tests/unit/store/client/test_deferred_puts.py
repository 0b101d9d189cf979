"""Values that a thread puts later: how many may wait, and in which order they are put."""

from __future__ import annotations

import threading

from actorrt.config import MIB
from actorrt.machine.threads import OsThreads
from actorrt.store.client.deferred_puts import DeferredPuts
from actorrt.store.values.encoding import Encoded


def encoded(length_bytes: int, fill: int = 0) -> Encoded:
    return Encoded.of_bytes(memoryview(bytes([fill]) * length_bytes))


def test_a_copy_is_read_only_and_apart_from_its_source() -> None:
    source = bytearray(b"value")
    copy = DeferredPuts(OsThreads()).copy(Encoded.of_bytes(memoryview(source)))
    source[:] = b"other"
    assert copy is not None
    assert (bytes(copy), copy.readonly) == (b"value", True)


def test_64_mib_may_wait_and_a_larger_value_alone() -> None:
    deferred = DeferredPuts(OsThreads())
    assert deferred.copy(encoded(65 * MIB)) is not None
    assert deferred.copy(encoded(1)) is None
    deferred = DeferredPuts(OsThreads())
    assert deferred.copy(encoded(64 * MIB)) is not None
    assert deferred.copy(encoded(1)) is None


def test_copies_are_put_in_order_and_then_others_may_wait() -> None:
    deferred = DeferredPuts(OsThreads())
    put: list[int] = []
    gate = threading.Event()
    for fill in (1, 2):
        copy = deferred.copy(encoded(32 * MIB, fill))
        assert copy is not None
        deferred.start(copy, lambda copy=copy: (gate.wait(), put.append(copy[0])))  # type: ignore[misc]
    assert deferred.copy(encoded(1)) is None
    gate.set()
    last = threading.Event()
    done = memoryview(b"")
    deferred.start(done, last.set)
    assert last.wait(60)
    assert put == [1, 2]
    assert deferred.copy(encoded(64 * MIB)) is not None
    deferred.close()
    deferred.close()


def test_after_a_put_that_failed_its_bytes_wait_no_more() -> None:
    deferred = DeferredPuts(OsThreads())
    copy = deferred.copy(encoded(64 * MIB))
    assert copy is not None

    def fail() -> None:
        raise ValueError("no room")

    deferred.start(copy, fail)
    last = threading.Event()
    deferred.start(memoryview(b""), last.set)
    assert last.wait(60)
    assert deferred.copy(encoded(1)) is not None
    deferred.close()
