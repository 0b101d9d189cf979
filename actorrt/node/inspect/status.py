"""`actorrt status`: the resources of a node, and the numbers of its jobs, workers and actors."""

from __future__ import annotations

import argparse
import asyncio

from actorrt.node.daemon.node_directory import NodeDescriptor
from actorrt.node.inspect.inquiry import inquire
from actorrt.node.inspect.node_choice import add_address_argument, inspected_node
from actorrt.protocol.nodes import AskStatus, Cursor, StatusPage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_address_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the totals; return the exit status."""
    node = inspected_node(arguments.address)
    status = ask_page(node, None, 1)
    totals = status.totals
    print(f"node {node.url} (process {node.pid}), version {status.version}")
    print(f"  cpus: {status.reserved_cpus:g} of {status.cpus} reserved by actors, {status.leased_cpus:g} lent to tasks")
    print(f"  gpus: {status.reserved_gpus:g} of {status.gpus} reserved by actors, {status.leased_gpus:g} lent to tasks")
    print(f"  jobs: {totals.jobs}, workers: {totals.workers}, actors: {totals.actors}")
    return 0


def ask_page(node: NodeDescriptor, after: Cursor | None, count: int) -> StatusPage:
    """Return one page of a node's workers and actors; see `actorrt.node.daemon.listing.page_of`."""
    return asyncio.run(inquire(node, AskStatus(after=after, count=count)))
