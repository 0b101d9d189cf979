"""What a worker does between its fork and its `main`: it leaves the zygote behind and becomes the daemon's child.

The zygote's loop is in `zygote`; what a worker does for a living is in `worker.main`.

Invariant: a worker that has answered leads a session of its own, is a child of the daemon, and dies with it.
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
from pathlib import Path
from typing import Any, Final, NoReturn

from actorrt.config import FORK_TIMEOUT_S, WORKER_OOM_SCORE
from actorrt.node.processes import channel
from actorrt.node.processes.process_watch import set_parent_death_signal, set_process_name

DEFAULT_ENTRY: Final = "actorrt.node.worker.main:main"
DEFAULT_SIGNALS: Final = (signals.SIGTERM, signals.SIGHUP, signals.SIGCHLD, signals.SIGUSR1, signals.SIGUSR2)


def live(
    request: dict[str, Any],
    fds: Sequence[int],
    zygote_channel: socket.socket,
    daemon_pid: int,
    parent_pidfd: int,
) -> NoReturn:
    """Be a worker, from the fork to the end of the process; nothing of the zygote's stack unwinds.

    The exit status is 0 when the entry returns, 1 when it raises (its traceback goes to the worker's stderr), and
    what `SystemExit` says.

    Args:
        request: the fork request: its `id`, and the `config` that the entry is called with.
        fds: standard output and standard error.
        zygote_channel: the zygote's end, to answer on; closed afterwards.
        daemon_pid: the process that must be the parent.
        parent_pidfd: the intermediate process, whose end makes this the daemon's child.
    """
    status = 1
    try:
        _wait_for_adoption(parent_pidfd, daemon_pid)
        _take_streams(fds)
        channel.send(zygote_channel, channel.pack({"kind": "forked", "id": request["id"], "pid": os.getpid()}))
        zygote_channel.close()
        config = request["config"]
        _settle(config)
        _entry(config)(config)
        status = 0
    except SystemExit as end:
        status = _status_of(end)
    except BaseException:  # the process ends here: its stderr is the only place left to say why
        traceback.print_exc()
    finally:
        _leave(status)


def _wait_for_adoption(parent_pidfd: int, daemon_pid: int) -> None:
    """Return as a child of the daemon that dies with it.

    The order matters: a death signal that is set earlier would come when the intermediate process ends, and a
    daemon that died before it is set would not be noticed without the last comparison.
    """
    poll = select.poll()
    poll.register(parent_pidfd, select.POLLIN)
    poll.poll(FORK_TIMEOUT_S * 1000)
    os.close(parent_pidfd)
    os.setsid()
    set_parent_death_signal(signals.SIGKILL)
    if os.getppid() != daemon_pid:
        raise SystemExit("the node daemon ended while this worker was being forked")


def _take_streams(fds: Sequence[int]) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in zip((null, *fds), (0, 1, 2), strict=True):
        os.dup2(source, target)
        os.close(source)
    faulthandler.enable(2)


def _settle(config: dict[str, Any]) -> None:
    """Set up signals, name, environment, directory and import path as `config` has them."""
    for number in DEFAULT_SIGNALS:
        signals.signal(number, signals.SIG_DFL)
    signals.signal(signals.SIGINT, signals.SIG_IGN)  # Ctrl-C is the driver's to handle
    signals.pthread_sigmask(signals.SIG_SETMASK, ())
    set_process_name("actorrt-worker")
    Path("/proc/self/oom_score_adj").write_text(str(WORKER_OOM_SCORE))
    os.environ.update(config.get("env_vars", {}))
    if "cwd" in config:
        os.chdir(config["cwd"])
    if "sys_path" in config:
        sys.path[:] = config["sys_path"]
    sys.argv = ["actorrt-worker"]
    _draw_seeds()


def _draw_seeds() -> None:
    """Seed numpy's global generator anew, or all workers would draw the zygote's numbers; `random` does so itself."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


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
