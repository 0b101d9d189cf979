"""`actorrt bury`: write a node dead that is off, when the others are too few to do so."""

from __future__ import annotations

import argparse

from actorrt.node.inspect import member_choice
from actorrt.protocol.cluster.members import BuryNode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    member_choice.add_arguments(parser)
    parser.add_argument(
        "--it-is-off",
        action="store_true",
        help="confirms that the machine is off: if it still runs, actors may run twice until it notices",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the node dead; return the exit status."""
    if not arguments.it_is_off:
        raise ValueError(f"make sure that the machine of {arguments.node} is off, and add --it-is-off")
    print(f"node {member_choice.ask_about(arguments, lambda node: BuryNode(node=node))} is written dead")
    return 0
