"""Workers that are processes: the zygote forks them, a pidfd watches each, and the daemon reads their output."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from actorrt import errors
from actorrt.actors.cells import crash_notes
from actorrt.actors.cells.crash_notes import Notes
from actorrt.ids import IdSource, JobId, PeerAddress, PeerId
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.node.processes.forker import ProcessFactory
from actorrt.node.processes.output import OutputReader
from actorrt.node.processes.process_watch import ProcessExit
from actorrt.protocol.processes import CodeSource, OutputLine, WorkerSetting
from actorrt.reasons import ExitKind, ExitReason
from actorrt.transport.composite.sockets import NodeSockets

logger = logging.getLogger(__name__)

CRASH_NOTES_SUFFIX = ".hand"


class ProcessWorkers:
    """Makes the workers of one node daemon.

    Args:
        processes: forks and watches processes.
        directory: the directory of the sockets of workers. The socket of a worker has the name of its peer, in hex.
        store_path: the socket of the object store.
        on_exit: called when a worker's process is gone and its output is read to the end.
        on_output: called with a job, a process id, and lines that the process printed.
        sockets: the sockets of the node if it belongs to a cluster; its workers have logical addresses then.
        may_preload: whether the zygote imports modules when a job asks for it. False if several jobs share the zygote,
            because they may mean different modules by one name.

    Attributes:
        node: the daemon's endpoint; set before the first worker is launched.
        code_for: returns where the workers of a job find the code of its driver; None: in the driver's own paths.
    """

    def __init__(
        self,
        processes: ProcessFactory,
        directory: Path,
        store_path: str,
        on_exit: Callable[[Worker, ExitReason], None],
        on_output: Callable[[JobId, int, Sequence[OutputLine]], None],
        *,
        sockets: NodeSockets | None = None,
        may_preload: bool = False,
    ) -> None:
        self._processes = processes
        self._directory = directory
        self._store_path = store_path
        self._on_exit = on_exit
        self._on_output = on_output
        self._sockets = sockets
        self._may_preload = may_preload
        self.node: PeerAddress | None = None
        self.code_for: Callable[[Job], CodeSource | None] = lambda _: None

    def new_peer_address(self, ids: IdSource) -> PeerAddress:
        """Return the endpoint of a new worker."""
        peer = ids.peer()
        if self._sockets is not None:
            return PeerAddress(peer, self._sockets.address_of(peer))
        return PeerAddress(peer, f"unix://{self._socket_of(peer)}")

    def _socket_of(self, peer: PeerId) -> str:
        return f"{self._directory}/{peer.hex()}"

    def _notes_path(self, worker: Worker) -> str:
        return self._socket_of(worker.peer) + CRASH_NOTES_SUFFIX

    def preload(self, modules: Sequence[str], job: Job, *, apart: bool = False) -> None:
        """Have modules imported before workers are forked; see `WorkerFactory.preload`."""
        if self._may_preload:
            order = self._processes.prepare if apart else self._processes.preload
            order(modules, job.setting.sys_path)
        else:
            logger.info("workers import %s themselves: this node serves other jobs, too", ", ".join(modules))

    async def launch(self, worker: Worker) -> None:
        """Fork the worker; see `WorkerFactory.launch`."""
        loop = asyncio.get_running_loop()

        def on_lines(lines: Sequence[OutputLine]) -> None:
            self._on_output(worker.job.job_id, worker.pid or 0, lines)

        try:
            output = OutputReader(loop, worker.label, on_lines)
            try:
                config = self._setting(worker).pack()
                preload = worker.preload if self._may_preload else ()
                worker.pid = await self._processes.fork(config, output.stdout_fd, output.stderr_fd, preload)
                output.close_write_ends()
                worker.process = self._processes.watch(worker.pid, lambda how: self._ended(worker, output, how))
            except BaseException:
                output.close()
                raise
        except (errors.RuntimeStateError, OSError, ValueError) as error:
            raise errors.ActorStartError(f"{worker.label} got no process: {error}") from error
        if worker.is_leaving:  # the worker was dismissed while it was forked
            worker.process.kill()

    def _setting(self, worker: Worker) -> WorkerSetting:
        assert self.node is not None
        of_job = worker.job.setting
        return WorkerSetting(
            peer=worker.peer,
            address=worker.peer_address.address,
            crash_notes=self._notes_path(worker),
            node=self.node,
            store=self._store_path,
            job=worker.job.job_id,
            label=worker.label,
            namespace=of_job.namespace,
            log_level=of_job.log_level,
            sys_path=of_job.sys_path,
            cwd=of_job.cwd,
            env_vars={**of_job.env_vars, **worker.env_vars},
            serves_tasks=worker.kind is WorkerKind.TASKS,
            is_light=worker.is_light,
            code=self.code_for(worker.job),
        )

    def kill(self, worker: Worker) -> None:
        """End the worker at once."""
        if worker.process is not None:
            worker.process.kill()

    def notes(self, worker: Worker) -> Notes:
        """Return what a worker notes of what it has in hand."""
        return crash_notes.look(self._notes_path(worker))

    def _ended(self, worker: Worker, output: OutputReader, how: ProcessExit) -> None:
        output.drain()
        last_lines = output.last_lines
        Path(self._socket_of(worker.peer)).unlink(missing_ok=True)
        worker.in_hand, worker.begun_count = crash_notes.take(self._notes_path(worker))
        self._on_exit(worker, reason_of_end(worker, how, last_lines))


def reason_of_end(worker: Worker, how: ProcessExit, last_lines: Sequence[str]) -> ExitReason:
    """Return why the actors of a worker have ended, whose process is gone and has printed these lines last."""
    if worker.hang:
        return ExitReason(ExitKind.CRASHED, worker.hang, "\n".join(last_lines), how.signal, how.exit_status)
    if worker.memory_excess:
        return ExitReason(ExitKind.OUT_OF_MEMORY, worker.memory_excess, "", how.signal)
    if worker.kill_reason:
        return how.to_reason(worker.kill_reason)
    if worker.is_leaving or how.was_killed_by_us or not last_lines:
        return how.to_reason()
    return how.to_reason(f"its last line was {last_lines[-1]!r}", "\n".join(last_lines))
