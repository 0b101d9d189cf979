"""`actorrt token`: a token by which another machine joins the cluster."""

from __future__ import annotations

import argparse
import asyncio
import sys

from actorrt.node.inspect.inquiry import inquire
from actorrt.node.inspect.node_choice import add_address_argument, inspected_node
from actorrt.protocol.cluster.members import MintToken


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_address_argument(parser)
    parser.add_argument("--minutes", type=float, default=15.0, help="how long it is valid (default: 15)")
    parser.add_argument("--uses", type=int, help="how many machines may join by it (default: any number)")


def run(arguments: argparse.Namespace) -> int:
    """Print the token; return the exit status."""
    if arguments.uses is not None and arguments.uses < 1:
        raise ValueError(f"--uses {arguments.uses}: give 1 or more")
    node = inspected_node(arguments.address)
    print(asyncio.run(inquire(node, MintToken(minutes=arguments.minutes, uses=arguments.uses))))
    if sys.stdout.isatty():
        print(
            f"\non another machine, within {arguments.minutes:g} minutes:  actorrt node --join TOKEN", file=sys.stderr
        )
    return 0
