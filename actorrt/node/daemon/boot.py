"""Starts the process of a node: the zygote first, so that zygote and daemon import their modules at the same time.

Invariant: this module imports little, since the zygote starts after these imports.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import socket
import sys
from collections.abc import Sequence
from typing import Final

import uvloop

from actorrt.cluster.membership.constants import FREEZE_MAX_S
from actorrt.errors import ActorRtError
from actorrt.node.clustering.cluster_setting import ClusterSetting
from actorrt.node.daemon.node_setting import JOIN_TOKEN, NodeSetting
from actorrt.node.processes.forker import Forker
from actorrt.node.processes.lease_page import LeasePage
from actorrt.node.processes.limits import raise_descriptor_limit
from actorrt.node.processes.process_watch import set_process_name, set_subreaper

TCP_INSIDE: Final = "ACTORRT_TCP_INSIDE"
"""The environment variable that makes the processes of embedded nodes reach each other over `tcp`, for tests."""

GUARD_DELAY_S: Final = 5.0
"""How much later than the daemon, which gives up in order, the guard of the lease ends the workers."""

logger = logging.getLogger(__name__)


def parse(arguments: Sequence[str]) -> NodeSetting:
    """Read the arguments that an embedding driver starts a daemon with."""
    parser = argparse.ArgumentParser(prog="python -m actorrt.node")
    for name in ("cpus", "gpus", "store-bytes", "embedded-fd"):
        parser.add_argument(f"--{name}", type=int)
    token = os.environ.pop(JOIN_TOKEN, None)
    cluster = None if token is None else ClusterSetting(state_directory="", token=token, is_driver=True)
    uses_tcp_inside = cluster is None and bool(os.environ.get(TCP_INSIDE))
    return NodeSetting(**vars(parser.parse_args(arguments)), cluster=cluster, uses_tcp_inside=uses_tcp_inside)


def main(setting: NodeSetting, *, log_level: int = logging.WARNING) -> int:
    """Run a node daemon until it is told to stop; return the process's exit status."""
    logging.basicConfig(
        level=log_level, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    set_process_name("actorrt-node")
    set_subreaper()
    raise_descriptor_limit()
    try:
        uvloop.run(_run(setting))
    except (ActorRtError, OSError) as error:
        if not _told_owner(setting, error):
            logger.error("the node can't start, or go on: %s", error)
        return 1
    return 0


def _told_owner(setting: NodeSetting, error: Exception) -> bool:
    """Tell the driver that waits for the start of an embedded node why it failed; return whether it is told.

    A driver that has been told that the node is up has the error in its log.
    """
    if setting.embedded_fd is None:
        return False
    told = json.dumps({"error": type(error).__name__, "text": str(error)}).encode()
    try:
        with socket.socket(fileno=setting.embedded_fd) as owner:
            owner.send(told)
    except OSError:  # it is closed: the node was up
        return False
    return True


async def _run(setting: NodeSetting) -> None:
    """Serve until told to stop; leave no process behind."""
    lease = LeasePage(FREEZE_MAX_S + GUARD_DELAY_S) if setting.has_lease else None
    forker = Forker(asyncio.get_running_loop(), lease=lease)
    try:
        await forker.start()  # first, because the imports of the zygote take longest
        # Two thirds of the daemon's imports run here, at the same time as the zygote's.
        from actorrt.node.daemon.daemon import Daemon

        await Daemon(setting, forker).run()
    finally:
        await forker.close()
