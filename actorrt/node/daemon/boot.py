"""Starts the process of a node: the zygote first, so that zygote and daemon import their modules at the same time.

Invariant: this module imports little, since the zygote starts after these imports.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from typing import Final

import uvloop

from actorrt.cluster.membership.constants import FREEZE_MAX_S
from actorrt.errors import ActorRtError
from actorrt.node.daemon.node_setting import NodeSetting
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
    return NodeSetting(**vars(parser.parse_args(arguments)), uses_tcp_inside=bool(os.environ.get(TCP_INSIDE)))


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
        logger.error("the node can't start, or go on: %s", error)
        return 1
    return 0


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
