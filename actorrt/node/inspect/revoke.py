"""`actorrt revoke`: refuse a node from now on."""

from __future__ import annotations

import argparse

from actorrt.node.inspect import member_choice
from actorrt.protocol.cluster.members import RevokeNode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    member_choice.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Revoke the node's key; return the exit status."""
    print(f"the key of node {member_choice.ask_about(arguments, lambda node: RevokeNode(node=node))} is revoked")
    return 0
