"""Starts the node daemon that a driver embeds, and ends it."""

from __future__ import annotations

import asyncio
import json
import os
import signal as signals
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from actorrt import forks
from actorrt.config import NODE_START_TIMEOUT_S
from actorrt.errors import (
    ActorRtError,
    AuthenticationError,
    ControlUnavailableError,
    PeerUnreachableError,
    RuntimeStateError,
    WireVersionError,
)
from actorrt.node.daemon.node_directory import NodeDescriptor, remove_leftovers
from actorrt.node.daemon.node_setting import JOIN_TOKEN

STOP_TIMEOUT_S: Final = 10.0
_ERRORS: Final[Mapping[str, type[ActorRtError]]] = {
    kind.__name__: kind
    for kind in (AuthenticationError, ControlUnavailableError, PeerUnreachableError, WireVersionError)
}


class EmbeddedNode:
    """A node daemon as a child of this process, in its own session. It ends when the channel to it is closed.

    Args:
        cpus, gpus, store_bytes: the resources of the node; None: those of the machine.
        token: of the cluster that it joins, without CPUs; None: it is in no cluster.
    """

    def __init__(self, cpus: int | None, gpus: int | None, store_bytes: int | None, token: str | None = None) -> None:
        self._channel, theirs = socket.socketpair()
        self._channel.setblocking(False)
        options = {"cpus": cpus, "gpus": gpus, "store-bytes": store_bytes, "embedded-fd": theirs.fileno()}
        arguments = [f"--{name}={value}" for name, value in options.items() if value is not None]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "actorrt.node", *arguments],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=_environment() | ({} if token is None else {JOIN_TOKEN: token}),
            )
        finally:
            theirs.close()
        forks.abandon_in_children(self)
        self.descriptor: NodeDescriptor | None = None

    async def ready(self) -> NodeDescriptor:
        """Wait until the node is up; return how to reach it.

        Raises:
            RuntimeStateError: the daemon ended, or was not up in time.
            AuthenticationError, PeerUnreachableError, ControlUnavailableError, WireVersionError: it could not join.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(NODE_START_TIMEOUT_S):
                text = await loop.sock_recv(self._channel, 65536)
        except TimeoutError:
            raise RuntimeStateError(f"the node daemon was not up within {NODE_START_TIMEOUT_S} s") from None
        if not text:
            status = self._process.wait(STOP_TIMEOUT_S)
            raise RuntimeStateError(
                f"the node daemon ended while it started (exit status {status}); see its output above"
            )
        told = json.loads(text)
        if "error" in told:
            self._process.wait(STOP_TIMEOUT_S)
            kind = _ERRORS.get(told["error"], RuntimeStateError)
            raise kind(told["text"])
        self.descriptor = NodeDescriptor(**told)
        return self.descriptor

    async def close(self) -> None:
        """Tell the daemon to end; kill it if it does not, and remove the directory that it left. Idempotent."""
        forks.forget(self)
        self._channel.close()
        if not await self._ended_within(STOP_TIMEOUT_S):
            self.kill()
        if self._process.returncode and self.descriptor is not None:
            remove_leftovers(Path(self.descriptor.store).parent)

    def abandon_after_fork(self) -> None:
        """Close the channel in a forked child: the daemon must end with this process, even if the child lives on."""
        self._channel.close()

    async def _ended_within(self, timeout_s: float) -> bool:
        """Wait for the daemon's end by a pidfd, and reap it. Executors do not work while the interpreter exits."""
        if self._process.poll() is not None:
            return True
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        pidfd = os.pidfd_open(self._process.pid)
        loop.add_reader(pidfd, ended.set)
        try:
            async with asyncio.timeout(timeout_s):
                await ended.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)
        self._process.wait()
        return True

    def kill(self) -> None:
        """Kill the daemon; its workers die with it."""
        self._channel.close()
        self._process.send_signal(signals.SIGKILL)
        self._process.wait()


def _environment() -> dict[str, str]:
    """Return the daemon's environment: this process's own, with this package importable."""
    package_parent = str(Path(__file__).resolve().parents[3])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if package_parent not in sys.path[:1] and package_parent not in paths:
        paths.append(package_parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
