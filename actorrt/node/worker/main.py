"""The main function of a worker process: one endpoint on one loop, until the node tells it to leave."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from threading import get_ident
from typing import Any, NoReturn

import uvloop

from actorrt import forks
from actorrt.actors.cells.crash_notes import open_notes
from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.actors.refs import current
from actorrt.cluster.peers.process_transport import attach_to_cluster, process_transport
from actorrt.completion import BlockingRule, Completion, set_blocking_rule, set_rule_of_other_threads
from actorrt.errors import RuntimeStateError
from actorrt.machine.surroundings import Surroundings
from actorrt.node.code.importing import import_from_driver
from actorrt.node.processes.process_watch import STACK_SIGNAL
from actorrt.node.worker.printing import install_output
from actorrt.node.worker.serving import serve_until_told_to_leave
from actorrt.protocol.processes import WorkerSetting
from actorrt.store.client.client import StoreClient
from actorrt.store.values import pickling
from actorrt.tasks.submitting import in_hand
from actorrt.tasks.working.endpoint_tasks import tasks_of
from actorrt.tasks.working.thread_waits import ThreadWaits
from actorrt.tasks.working.turns import ProcessTurns

EXIT_CRASHED = 70  # EX_SOFTWARE of sysexits.h
logger = logging.getLogger(__name__)

_LOG_FORMATTER = logging.Formatter("%(levelname)s %(name)s: %(message)s")  # made once, in the zygote


def main(config: dict[str, Any]) -> None:
    """Serve until the node tells the worker to leave.

    Args:
        config: a packed `WorkerSetting`: the worker's identity, and the addresses of its node and store.
    """
    setting = WorkerSetting.unpack(config)
    install_output(_label_of_current_code)
    sys.breakpointhook = _refuse_to_break
    _write_log(setting.log_level)
    if setting.code is not None:
        pickling.explain_missing_modules(import_from_driver(setting.code).explain)
    if setting.serves_tasks:
        _run_tasks(setting)
    else:
        uvloop.run(_serve(setting, _refuse_to_block))


def _run_tasks(setting: WorkerSetting) -> None:
    """Run tasks in this thread, and the loop between them.

    The loop is asyncio's own: uvloop takes six times as long to be run for a moment, which happens for every task.
    """
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        turns = ProcessTurns(runner.get_loop(), is_light=setting.is_light)
        turns.run(_serve(setting, turns.wait, turns))


def _write_log(level: int) -> None:
    """Write records of this level and above to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LOG_FORMATTER)
    logging.root.addHandler(handler)
    logging.root.setLevel(level)


def _refuse_to_break(*args: Any, **kwargs: Any) -> Any:
    """Called by `breakpoint()`. Refuse a debugger that reads from a terminal, because a worker has no terminal."""
    if os.environ.get("PYTHONBREAKPOINT"):
        return sys.__breakpointhook__(*args, **kwargs)  # the user has chosen a debugger, or none
    raise RuntimeStateError(
        f"breakpoint() in process {os.getpid()}, which has no terminal: run the script with "
        "actorrt.init(mode='local'), where all actors are in the script's own process; or set PYTHONBREAKPOINT to a "
        "debugger that needs no terminal here"
    )


def _label_of_current_code() -> str:
    """Return the name of the actor or of the task whose code runs; an empty text for other code."""
    message, task = current.message.get(), in_hand.task.get()
    if message is not None:
        return str(message.cell.label)
    return "" if task is None else task.name


async def _serve(setting: WorkerSetting, blocking_rule: BlockingRule, turns: ProcessTurns | None = None) -> None:
    loop = asyncio.get_running_loop()
    set_blocking_rule(blocking_rule, None if turns is None else loop)
    set_rule_of_other_threads(ThreadWaits(get_ident()).wait)
    surroundings = Surroundings.of_process()
    store = StoreClient.connect(setting.store, setting.peer, surroundings, on_gone=_end_without_store)
    store.attach(loop)
    endpoint = ActorEndpoint(
        process_transport(setting.peer, setting.address, Path(setting.store).parent, setting.node, surroundings.clock),
        store=store,
        surroundings=surroundings,
        node=setting.node,
        job=setting.job,
        namespace=setting.namespace,
    )
    endpoint.crash_notes = open_notes(setting.crash_notes)
    store.owner, store.node_of = endpoint, endpoint.transport.node_of
    endpoint.on_crash = _end_at_once
    await endpoint.start()
    attach_to_cluster(endpoint.transport, endpoint.control, setting.node)
    if turns is not None:
        turns.begin(tasks_of(endpoint).serve(turns.work_came, turns.hand_over), endpoint)
    returning = _EndOfForkedChild(loop)
    forks.abandon_in_children(returning)
    faulthandler.register(STACK_SIGNAL, file=2)
    await serve_until_told_to_leave(endpoint, surroundings.pid)
    store.close()
    forks.forget(returning)


class _EndOfForkedChild:
    """Ends a child that user code forked, when the child returns to the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = get_ident()

    def abandon_after_fork(self) -> None:
        if get_ident() == self._thread:
            self._loop.call_soon(forks.end_if_child)


def _end_at_once(_: BaseException | None = None) -> NoReturn:
    """End the process, because a worker must not live on when its runtime has failed. Supervisors see a crash."""
    logging.shutdown()
    with suppress(OSError):  # the daemon, which reads the output, may be gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(EXIT_CRASHED)


def _end_without_store() -> None:
    """Called when the store is found gone, in any thread. End the process, before anything fails for that.

    In nearly every case the daemon is dying: the kernel closes its sockets first, and kills its workers later. Answers
    with errors of the store would reach the callers before the news that their node is lost.
    """
    logger.error("the connection to the node's object store ended, and this worker ends with it")
    _end_at_once()


def _refuse_to_block(completion: Completion[Any], _: float | None) -> None:
    raise RuntimeStateError(
        f"{completion!r}: .result() in an actor would block the loop that has to complete it; use await in an async "
        "method, or run the blocking code in a thread"
    )
