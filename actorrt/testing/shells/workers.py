"""Workers that are simulated processes: they start after a while or not at all, and die at once."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from signal import SIGKILL
from typing import Final

from actorrt.actors.cells import crash_notes
from actorrt.actors.cells.crash_notes import CrashNotes, Notes
from actorrt.errors import ActorStartError
from actorrt.ids import IdSource, PeerAddress
from actorrt.node.daemon.process_workers import reason_of_end
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.node.processes.process_watch import ProcessExit
from actorrt.node.worker.serving import serve_tasks_on_loop, serve_until_told_to_leave
from actorrt.reasons import ExitReason
from actorrt.scopes import Scope
from actorrt.testing.shells.host import Host
from actorrt.testing.shells.transport import SCHEME
from actorrt.testing.virtual.processes import STOPPED, SimulatedProcess

MIN_FORK_S: Final = 0.003
MAX_FORK_S: Final = 0.05
MAX_REAP_S: Final = 0.005
"""How long the daemon takes to notice the end of a process."""
EXIT_CRASHED: Final = 70


class SimulatedWorkers:
    """The worker factory of a simulated daemon.

    Args:
        host: the machine.
        daemon: the daemon's process.
        on_exit: called with a worker whose process is gone.

    Attributes:
        spawn_fails: returns whether the next worker gets no process.
    """

    def __init__(
        self,
        host: Host,
        daemon: SimulatedProcess,
        on_exit: Callable[[Worker, ExitReason], None],
    ) -> None:
        self._host = host
        self._daemon = daemon
        self._on_exit = on_exit
        self._count = 0
        self._live: dict[Worker, SimulatedWorkerProcess] = {}
        self.spawn_fails: Callable[[], bool] = lambda: False

    def new_peer_address(self, ids: IdSource) -> PeerAddress:
        """Return the endpoint of a new worker."""
        self._count += 1
        return PeerAddress(ids.peer(), f"{SCHEME}{self._daemon.name}/worker-{self._count}")

    def preload(self, modules: Sequence[str], job: Job, *, apart: bool = False) -> None:
        """Do nothing: all processes share their modules."""

    async def launch(self, worker: Worker) -> None:
        """Make the worker's process; see `WorkerFactory.launch`."""
        await asyncio.sleep(self._host.chance.between(MIN_FORK_S, MAX_FORK_S))
        if self.spawn_fails():
            self._host.journal.note(f"no descriptor is left for the process of {worker.label}")
            if self._host.chance.random() < 0.5:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # a factory that does not handle it
            raise ActorStartError(f"{worker.label} got no process: {os.strerror(errno.EMFILE)}")
        process = self._host.new_process(worker.peer_address.address.removeprefix(SCHEME))
        self._host.journal.note(f"{process.name} is for {worker.label}")
        worker.pid = process.number
        made = SimulatedWorkerProcess(self._host, worker, process)
        self._live[worker] = worker.process = made
        process.on_crash.append(lambda: self._ended(worker, made))
        self._host.loop.call_in(process, made.begin, self._daemon)
        if worker.is_leaving:
            self.kill(worker)

    def kill(self, worker: Worker) -> None:
        """End the worker at once."""
        made = self._live.get(worker)
        if made is not None:
            made.kill()

    def notes(self, worker: Worker) -> Notes:
        """Return what a worker notes of what it has in hand."""
        made = self._live.get(worker)
        return Notes([], 0) if made is None else crash_notes.read(made.notes)

    def kill_process(self, process: SimulatedProcess) -> bool:
        """Send SIGKILL to a process, as another program would; return whether it is a worker."""
        made = next((made for made in self._live.values() if made.process is process), None)
        if made is not None:
            made.end(by_us=False)
        return made is not None

    def processes(self) -> list[SimulatedProcess]:
        """Return the processes of the workers that live."""
        return [made.process for made in self._live.values() if made.process.is_alive]

    def forget(self) -> None:
        """Drop every worker. Called when the run is over."""
        self._live.clear()

    def _ended(self, worker: Worker, made: SimulatedWorkerProcess) -> None:
        """Called at the end of a process: the daemon notices after a while."""
        loop = self._host.loop
        loop.call_in_at(self._daemon, loop.now() + self._host.chance.between(0.0, MAX_REAP_S), self._reap, worker)

    def _reap(self, worker: Worker) -> None:
        made = self._live.pop(worker)
        worker.in_hand, worker.begun_count = crash_notes.read(made.notes)
        self._on_exit(worker, reason_of_end(worker, made.how, made.last_lines))


class SimulatedWorkerProcess:
    """One worker's process.

    Args:
        host: the machine.
        worker: the worker.
        process: the process.

    Attributes:
        how: how it ended.
        last_lines: the last lines that it printed.
        notes: the calls that it has in hand.
    """

    def __init__(self, host: Host, worker: Worker, process: SimulatedProcess) -> None:
        self._host = host
        self._worker = worker
        self.process = process
        self.how = ProcessExit(process.number, signal=SIGKILL)
        self.last_lines: list[str] = []
        self.notes = bytearray(crash_notes.FILE_BYTES)

    def begin(self, daemon: SimulatedProcess) -> None:
        """Run the worker's main function. Called in the process."""
        Scope(self.process.name, self._failed).start(self._serve(daemon), "main")

    async def _serve(self, daemon: SimulatedProcess) -> None:
        worker, host = self._worker, self._host
        job = worker.job
        endpoint = host.new_endpoint(
            self.process,
            worker.peer,
            surroundings=host.surroundings(self.process),
            node=host.nodes[daemon],
            job=job.job_id,
            namespace=job.setting.namespace,
        )
        endpoint.crash_notes = CrashNotes(self.notes)
        endpoint.on_crash = self._failed
        await host.start(self.process, endpoint)
        if worker.kind is WorkerKind.TASKS:
            serve_tasks_on_loop(endpoint)
        await serve_until_told_to_leave(endpoint, self.process.number)
        assert endpoint.store is not None
        endpoint.store.close()
        self.how = ProcessExit(self.process.number, exit_status=0, was_killed_by_us=self.how.was_killed_by_us)
        self.process.crash()

    def _failed(self, error: BaseException) -> None:
        if self.process.is_alive:
            self.last_lines.append(repr(error))
            self.how = ProcessExit(self.process.number, exit_status=EXIT_CRASHED)
            self._host.crashed(self.process, error)

    def oom_kills_count(self) -> int | None:
        """Return 0: a simulated machine does not run out of memory."""
        return 0

    def outlived(self, oom_kills_count: int | None) -> None:
        """Do nothing: no process is killed for lack of memory."""

    def state(self) -> tuple[str, float] | None:
        """Return the kernel's letter for the state of the process; its CPU time is not counted."""
        return self.process.state, 0.0

    def print_stacks(self) -> None:
        """Print what the process has in hand, unless it is stopped: then it can't print."""
        endpoint = self._host.endpoints.get(self.process)
        if endpoint is not None and self.process.state != STOPPED:
            executions = (cell.execution for cell in endpoint.population.cells() if cell.execution is not None)
            in_hand = (message.method for execution in executions for message in execution.running)
            self.last_lines += (f"in {method}()" for method in in_hand)

    def kill(self) -> None:
        """Send SIGKILL, for the node."""
        self.end(by_us=True)

    def end(self, *, by_us: bool) -> None:
        """Send SIGKILL; `by_us` says that the node does it."""
        if self.process.is_alive:
            self.how = ProcessExit(self.process.number, signal=SIGKILL, was_killed_by_us=by_us)
            self.process.crash()
