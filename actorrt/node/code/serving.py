"""A daemon's part in bringing code to where it runs.

For workers of guest jobs it asks the daemon of the driver's node for modules, and remembers the answers as long as the
job lasts: all workers of a job on a node run the same code, and one that starts later needs no other node. For other
nodes it reads the modules of its own drivers.

Workers ask through a Unix socket for this alone, since an import blocks the loop that their other conversations are on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import msgpack

from actorrt.actors.wire.control import Control
from actorrt.config import MIB
from actorrt.errors import ActorRtError
from actorrt.ids import JobId, PeerAddress, short
from actorrt.machine.surroundings import Surroundings
from actorrt.node.code.conversation import (
    ANSWER_WITHIN_S,
    LENGTH,
    MAX_QUESTION_BYTES,
    QUESTION_WITHIN_S,
    Told,
    packed,
)
from actorrt.node.code.sources import find_module
from actorrt.protocol.cluster.code import ModuleText, ReadModule

logger = logging.getLogger(__name__)

MAX_KEPT_BYTES: Final = 64 * MIB
"""How much source a node keeps. When there is more, the oldest goes, and is asked for again."""
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


class CodeServer:
    """Finds the modules of jobs for one node.

    Args:
        control: speaks with the other nodes.
        surroundings: of the daemon.
        home_of: returns the daemon of the node of a job's driver; None if this node knows no such guest job.
        path_of: returns the import path of a driver of this node; raises ActorStartError if the job has ended.
    """

    def __init__(
        self,
        control: Control,
        surroundings: Surroundings,
        home_of: Callable[[JobId], PeerAddress | None],
        path_of: Callable[[JobId], Sequence[str]],
    ) -> None:
        self._control = control
        self._surroundings = surroundings
        self._home_of = home_of
        self._path_of = path_of
        self._kept: dict[tuple[JobId, str], ModuleText | None] = {}
        self._kept_bytes = 0
        self._server: asyncio.Server | None = None
        control.handle(ReadModule.by(lambda _, asked: self._read(asked)))

    async def _read(self, asked: ReadModule) -> ModuleText | None:
        """Read a module of a driver of this node, for another node."""
        path, surroundings = self._path_of(asked.job), self._surroundings
        return await surroundings.threads.run(find_module, asked.name, path, surroundings.disk)

    async def find(self, job: JobId, name: str) -> Told:
        """Return a module of a guest job."""
        if (job, name) in self._kept:
            return self._kept[job, name], ""
        home = self._home_of(job)
        if home is None:
            return None, f"job {short(job)} has ended"
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                found = await self._control.request(home, ReadModule(job=job, name=name))
        except TimeoutError:
            return None, f"it did not answer within {ANSWER_WITHIN_S:g} s"
        except ActorRtError as error:
            return None, str(error)
        self._keep(job, name, found)
        return found, ""

    def _keep(self, job: JobId, name: str, found: ModuleText | None) -> None:
        ended = [key for key in self._kept if self._home_of(key[0]) is None]
        for key in ended:
            self._forget(key)
        self._kept[job, name] = found
        self._kept_bytes += _size(found)
        while self._kept_bytes > MAX_KEPT_BYTES and len(self._kept) > 1:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: tuple[JobId, str]) -> None:
        self._kept_bytes -= _size(self._kept.pop(key))

    # The workers of this node

    async def serve(self, path: str) -> None:
        """Answer workers that connect to a socket of this path."""
        self._server = await asyncio.start_unix_server(self._converse, path)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if _is_of_this_user(writer):
                async with asyncio.timeout(QUESTION_WITHIN_S + ANSWER_WITHIN_S):
                    await self._answer(reader, writer)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, msgpack.UnpackException) as error:
            logger.warning("a question for code was not answered: %s", error)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        if length > MAX_QUESTION_BYTES:
            raise ValueError(f"a question of {length} bytes: at most {MAX_QUESTION_BYTES} are read")
        job, name = msgpack.unpackb(await reader.readexactly(length))
        found, why = await self.find(JobId(job), str(name))
        answer = packed((found, why))
        writer.write(LENGTH.pack(len(answer)) + answer)
        await writer.drain()

    async def close(self) -> None:
        """Answer no more workers. Idempotent."""
        if self._server is not None:
            self._server.close()
            with suppress(ConnectionError):
                await self._server.wait_closed()


def _size(found: ModuleText | None) -> int:
    return 0 if found is None else len(found.source or b"")


def _is_of_this_user(writer: asyncio.StreamWriter) -> bool:
    accepted: Any = writer.get_extra_info("socket")
    credentials = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(credentials)[1] == os.geteuid())
