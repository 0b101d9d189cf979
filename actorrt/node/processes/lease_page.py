"""The page of shared memory in which the daemon of a node says until when the node's workers may run.

The daemon alone writes. The guard (`lease_guard`) and new workers read, through a descriptor that can't write, so no
code of a user changes the lease. A value is one aligned machine word, written and read in one piece.
"""

from __future__ import annotations

import mmap
import os
import time
from typing import Final

_PAGE_BYTES: Final = mmap.PAGESIZE
_UNTIL, _KILL_AFTER = 0, 1
_FOR_EVER: Final = (1 << 63) - 1
_NS_PER_S: Final = 1_000_000_000


def boot_time_s() -> float:
    """Return the time by the clock of leases, which goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class LeasePage:
    """The daemon's side. Until `set_until` is called, workers may run for ever: the node has not joined yet.

    Args:
        kill_after_s: how long workers stay stopped before the guard ends them.

    Attributes:
        fd: a descriptor by which others read the page.
    """

    def __init__(self, kill_after_s: float) -> None:
        writable = os.memfd_create("actorrt-lease", os.MFD_CLOEXEC)
        try:
            os.ftruncate(writable, _PAGE_BYTES)
            self._memory = mmap.mmap(writable, _PAGE_BYTES)
            self.fd = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(writable)
        self._words = memoryview(self._memory).cast("q")
        self._words[_KILL_AFTER] = _ns(kill_after_s)
        self._words[_UNTIL] = _FOR_EVER

    def set_until(self, until_s: float) -> None:
        """Set the end of the lease, by `boot_time_s`; one that is over stops the workers."""
        self._words[_UNTIL] = _ns(until_s)

    def close(self) -> None:
        """Release the page. Idempotent."""
        if not self._memory.closed:
            self._words.release()
            self._memory.close()
            os.close(self.fd)


class LeaseReader:
    """The page as the other processes of the node see it.

    Args:
        fd: `LeasePage.fd`, as it was inherited; it is closed.
    """

    def __init__(self, fd: int) -> None:
        self._words = memoryview(mmap.mmap(fd, _PAGE_BYTES, prot=mmap.PROT_READ)).cast("q")
        os.close(fd)

    def until_s(self) -> float:
        """Return the end of the lease, by `boot_time_s`."""
        return float(self._words[_UNTIL]) / _NS_PER_S

    def kill_after_s(self) -> float:
        """Return how long workers stay stopped before they are ended."""
        return float(self._words[_KILL_AFTER]) / _NS_PER_S

    def wait(self, poll_s: float) -> None:
        """Return when the node has a lease."""
        while boot_time_s() >= self.until_s():
            time.sleep(poll_s)  # polling interval, since nobody can tell a process before it runs its loop


def _ns(time_s: float) -> int:
    """Return a time in whole nanoseconds, as near to it as a word can hold."""
    return max(0, min(_FOR_EVER, int(max(0.0, min(time_s, 1e9)) * _NS_PER_S)))
