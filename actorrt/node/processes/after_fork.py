"""Prepares a worker between its fork and its `main`: drops the zygote's state, and makes it a child of the daemon.

The zygote's loop is in `zygote`; the worker's work is in `worker.main`.

Invariant: a worker that has answered leads its own session, is a child of the daemon, and dies with the daemon.
"""

from __future__ import annotations

import faulthandler
import importlib
import logging
import os
import select
import signal as signals
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

from actorrt.config import FORK_TIMEOUT_S, WORKER_OOM_SCORE
from actorrt.node.processes import channel
from actorrt.node.processes.lease_page import LeaseReader
from actorrt.node.processes.process_watch import set_parent_death_signal, set_process_name

DEFAULT_ENTRY: Final = "actorrt.node.worker.main:main"
LEASE_POLL_S: Final = 0.02
DEFAULT_SIGNALS: Final = (signals.SIGTERM, signals.SIGHUP, signals.SIGCHLD, signals.SIGUSR1, signals.SIGUSR2)


def run_worker(
    request: dict[str, Any],
    fds: Sequence[int],
    zygote_channel: socket.socket,
    daemon_pid: int,
    parent_pidfd: int,
    lease: LeaseReader | None = None,
) -> NoReturn:
    """Run a worker, from the fork to the end of the process. This never returns, so the zygote's stack never unwinds.

    The exit status is 0 when the entry returns, 1 when it raises (the traceback goes to the worker's stderr), and the
    code of `SystemExit`.

    Args:
        request: the fork request: its `id`, and the `config` that the entry is called with.
        fds: standard output and standard error.
        zygote_channel: the zygote's end of the channel; it carries the answer, and is closed then.
        daemon_pid: the daemon, which must become the parent.
        parent_pidfd: the intermediate process. When it ends, this process becomes a child of the daemon.
        lease: the lease of the node; None if it has none. Without a lease the worker answers, and then waits. That is
            checked after it has left the daemon's session: the guard stops what it finds in other sessions.
    """
    status = 1
    try:
        be_adopted(parent_pidfd, daemon_pid)
        os.setsid()
        _take_streams(fds)
        channel.send(zygote_channel, channel.pack({"kind": "forked", "id": request["id"], "pid": os.getpid()}))
        zygote_channel.close()
        if lease is not None:
            lease.wait(LEASE_POLL_S)
        config = request["config"]
        _settle(config)
        _entry(config)(config)
        status = 0
    except SystemExit as end:
        status = _status_of(end)
    except BaseException:  # the process ends here: only its stderr can say why
        traceback.print_exc()
    finally:
        _leave(status)


def be_adopted(parent_pidfd: int, daemon_pid: int) -> None:
    """Wait until this process is a child of the daemon, and have it die with the daemon.

    The order matters. A death signal that is set earlier arrives when the intermediate process ends. The comparison at
    the end detects a daemon that died before the signal was set.
    """
    poll = select.poll()
    poll.register(parent_pidfd, select.POLLIN)
    poll.poll(FORK_TIMEOUT_S * 1000)
    os.close(parent_pidfd)
    set_parent_death_signal(signals.SIGKILL)
    if os.getppid() != daemon_pid:
        raise SystemExit("the node daemon ended while this process was being forked")


def _take_streams(fds: Sequence[int]) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in zip((null, *fds), (0, 1, 2), strict=True):
        os.dup2(source, target)
        os.close(source)
    faulthandler.enable(2)


def _settle(config: dict[str, Any]) -> None:
    """Set signals, name, environment, directory and import path from `config`."""
    for number in DEFAULT_SIGNALS:
        signals.signal(number, signals.SIG_DFL)
    signals.signal(signals.SIGINT, signals.SIG_IGN)  # the driver handles Ctrl-C
    signals.pthread_sigmask(signals.SIG_SETMASK, ())
    set_process_name("actorrt-worker")
    _set_oom_score(WORKER_OOM_SCORE)
    os.environ.update(config.get("env_vars", {}))
    is_elsewhere = bool(config.get("code"))  # the driver's machine is another one, and so are its directories
    if "cwd" in config:
        with suppress(*([OSError] if is_elsewhere else [])):
            os.chdir(config["cwd"])
    if "sys_path" in config and not is_elsewhere:
        sys.path[:] = config["sys_path"]
    sys.argv = ["actorrt-worker"]
    _draw_seeds()
    _set_threads()


def _set_oom_score(score: int) -> None:
    """Tell the kernel how soon to end this process when memory runs out: 1,000 is first (proc(5)).

    `pathlib` would use so much code that this worker would have its own copy of 0.3 MB of the zygote's memory.
    """
    fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    try:
        os.write(fd, str(score).encode())
    finally:
        os.close(fd)


def _draw_seeds() -> None:
    """Seed numpy's global generator: otherwise all workers draw the same numbers. `random` does so by itself."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _set_threads() -> None:
    """Have torch follow the worker's `OMP_NUM_THREADS`, if the zygote imported it: it read the zygote's then."""
    torch, count = sys.modules.get("torch"), os.environ.get("OMP_NUM_THREADS", "")
    if torch is not None and count.isdecimal() and 0 < int(count) != torch.get_num_threads():
        torch.set_num_threads(int(count))


def _entry(config: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    module_name, _, function_name = config.get("entry", DEFAULT_ENTRY).partition(":")
    entry: Callable[[dict[str, Any]], None] = getattr(importlib.import_module(module_name), function_name)
    return entry


def _status_of(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return 1


def _leave(status: int) -> NoReturn:
    try:
        logging.shutdown()
        sys.stdout.close()
        sys.stderr.close()
    finally:
        os._exit(status & 0xFF)
