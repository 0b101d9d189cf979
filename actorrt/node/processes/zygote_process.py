"""The daemon's side of one zygote: its process, the daemon's end of the channel, and the packets not sent yet.

`zygotes` decides when to start a zygote, and handles its answers; `zygote` is the code of the zygote itself.

Invariant: a zygote has ended when its channel ends, not when its process does. A worker that is being forked holds the
other end of the channel too, so when the channel has ended, no process is left that could answer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from actorrt.node.processes import channel, zygote
from actorrt.node.processes.process_watch import ProcessExit, ProcessWatch, watch_exit

logger = logging.getLogger(__name__)

_PACKAGE_ROOT: Final = str(Path(zygote.__file__).parents[3])
# Not `-m`: workers would find the zygote's names in `__main__`. The package's directory comes last in the path, so
# that nothing beside it hides a module; `-P` keeps the current directory out.
_BOOT: Final = (
    "import sys; sys.path.append(sys.argv[3]);"
    " from actorrt.node.processes.zygote import main; main(*map(int, sys.argv[1:3]), int(sys.argv[4]), sys.argv[5:])"
)


DEFAULTS: Final = {
    "MALLOC_ARENA_MAX": "2",
    # Threads of OpenMP, which torch uses, sleep while they wait. Those that spin make a worker with two threads many
    # times slower as soon as another process needs one of its CPUs.
    "OMP_WAIT_POLICY": "passive",
}
"""Variables of the zygote, and so of workers, that the node's own environment may replace."""


class ZygoteProcess:
    """Starts a zygote; the loop's thread owns it.

    Args:
        loop: reads and writes the channel.
        preload: modules that the zygote imports.
        lease_fd: the page of the node's lease; None if it has none.
        on_answer: called with each answer to a request, and with a refusal when a request could not be sent.
        on_end: called once, when the channel has ended; its argument tells whether the zygote had been ready.

    Raises:
        OSError: there is no process, or no descriptor for it or for its channel; nothing is left open.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        preload: Sequence[str],
        lease_fd: int | None,
        on_answer: Callable[[dict[str, Any]], None],
        on_end: Callable[[bool], None],
    ) -> None:
        self._loop = loop
        self._on_answer = on_answer
        self._on_end = on_end
        self._is_ready = False
        self._unsent: deque[tuple[bytes, tuple[int, ...], int | None]] = deque()
        self._has_ended = asyncio.Event()
        self._is_reaped = asyncio.Event()
        self._end, theirs = channel.open_pair()
        self._end.setblocking(False)
        with theirs:
            try:
                self._popen = _execute(theirs.fileno(), preload, lease_fd)
                self.pid = self._popen.pid
                self._watch = _watched(loop, self._popen, self._process_ended)
            except OSError:
                self._end.close()
                raise
        loop.add_reader(self._end.fileno(), self._readable)

    @property
    def is_ready(self) -> bool:
        """Whether it has imported the modules that every zygote imports."""
        return self._is_ready

    @property
    def is_reaped(self) -> bool:
        """Whether its process id is free."""
        return self._is_reaped.is_set()

    def kill(self) -> None:
        """Send the zygote SIGKILL; `on_end` follows."""
        self._watch.kill()

    def send(self, packet: bytes, fds: tuple[int, ...] = (), number: int | None = None) -> None:
        """Send a packet, or queue it while the socket is full. The order is kept."""
        self._unsent.append((packet, fds, number))
        if len(self._unsent) == 1:
            self._flush()

    def unsend(self, number: int) -> bool:
        """Withdraw the request with that number; return whether it had not been sent."""
        for entry in self._unsent:
            if entry[2] == number:
                self._unsent.remove(entry)
                return True
        return False

    def _flush(self) -> None:
        fd = self._end.fileno()
        while self._unsent:
            packet, fds, number = self._unsent[0]
            try:
                channel.send(self._end, packet, fds)
            except BlockingIOError:
                self._loop.add_writer(fd, self._flush)
                return
            except ConnectionError:
                break  # the zygote is dead, which the reader reports; the next zygote gets these requests
            except OSError as error:  # too many descriptors are in flight, or the kernel lacks memory
                self._unsent.popleft()
                self._not_sent(number, error)
                continue
            self._unsent.popleft()
        self._unsent.clear()
        self._loop.remove_writer(fd)

    def _not_sent(self, number: int | None, error: OSError) -> None:
        if number is None:
            logger.warning("a message to the zygote was not sent: %s", error)
        else:
            self._on_answer({"kind": "refused", "id": number, "message": f"the request was not sent: {error}"})

    def _readable(self) -> None:
        """Receive everything that has arrived.

        A zygote that dies with unread requests resets the channel. libuv calls a reader only once for that error:
        messages that are left then, and the end of the channel, would never be read.
        """
        while self._end.fileno() >= 0:
            try:
                received = channel.receive(self._end)
            except BlockingIOError:
                return
            if received is None:
                self._channel_ended()
            elif received[0]["kind"] == "ready":
                self._is_ready = True
            else:
                self._on_answer(received[0])

    def _channel_ended(self) -> None:
        self._disconnect()
        self._watch.kill()
        self._has_ended.set()
        self._on_end(self._is_ready)

    def _disconnect(self) -> None:
        if self._end.fileno() >= 0:
            self._loop.remove_reader(self._end.fileno())
            self._loop.remove_writer(self._end.fileno())
            self._end.close()

    def _process_ended(self, ended: ProcessExit) -> None:
        # Without a status, `Popen` would wait for a process id that is free now.
        self._popen.returncode = ended.exit_status if ended.exit_status is not None else -(ended.signal or 0)
        self._is_reaped.set()

    async def wait_ended(self) -> None:
        """Wait until the channel has ended and the process is reaped."""
        await self._has_ended.wait()
        await self._is_reaped.wait()

    def close(self) -> None:
        """Close the channel and the watch on the process, whether it has ended or not. Idempotent."""
        self._disconnect()
        self._watch.close()


def _watched(
    loop: asyncio.AbstractEventLoop, popen: subprocess.Popen[bytes], on_exit: Callable[[ProcessExit], None]
) -> ProcessWatch:
    """Watch a new process; end it if that is not possible."""
    try:
        return watch_exit(loop, popen.pid, on_exit)
    except OSError:
        popen.kill()
        popen.wait()
        raise


def _execute(channel_fd: int, preload: Sequence[str], lease_fd: int | None) -> subprocess.Popen[bytes]:
    lease = "-1" if lease_fd is None else str(lease_fd)
    arguments = [str(channel_fd), str(os.getpid()), _PACKAGE_ROOT, lease, *preload]
    environment = {**DEFAULTS, **os.environ, **zygote.SINGLE_THREADED}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _BOOT, *arguments],
        pass_fds=(channel_fd,) if lease_fd is None else (channel_fd, lease_fd),
        stdin=subprocess.DEVNULL,
        env=environment,
    )
