"""Finds the running node that a script connects to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from actorrt.errors import AuthenticationError, PeerUnreachableError
from actorrt.node.daemon.node_directory import NodeDescriptor, find_nodes, runtime_directory


def find_node(address: str) -> NodeDescriptor:
    """Return the running node that a script wants to use. It is never the embedded node of another script.

    Args:
        address: `"auto"` for the newest node of this user on this machine, or a node's URL.

    Raises:
        ValueError: the address has another form.
        PeerUnreachableError: there is no such node, or it is the embedded node of another script.
    """
    if address == "auto":
        nodes = [node for node in find_nodes() if not node.is_embedded]
        if not nodes:
            raise PeerUnreachableError(
                "no node runs on this machine for this user: start one with `actorrt node`, or call "
                "actorrt.init() without an address"
            )
        return nodes[0]
    node = node_at(address)
    if node.is_embedded:
        raise PeerUnreachableError(
            f"the node at {address} belongs to {owner_of(node)}, and nobody else can use it: start one with "
            "`actorrt node`"
        )
    return node


def node_at(address: str) -> NodeDescriptor:
    """Return the running node with this URL.

    Raises:
        ValueError: the address has another form.
        PeerUnreachableError: there is no such node.
    """
    if urlsplit(address).scheme not in ("tcp", "unix"):
        raise ValueError(
            f"address={address!r}: give 'auto', a join token, or the URL that `actorrt node` printed, such as "
            f"'unix://{runtime_directory()}/2e73214e'"
        )
    for node in find_nodes():
        if node.url == address:
            return node
    raise PeerUnreachableError(
        f"no node answers at {address}: start one with `actorrt node`, or check the address that it printed"
    )


def node_of_cluster(token: str) -> NodeDescriptor | None:
    """Return a running node of this user on this machine that belongs to the cluster of a token; None if none does.

    Raises:
        AuthenticationError: the text is no token.
    """
    from actorrt.cluster.joining.join import read_token  # scripts without a cluster do without keys

    cluster = read_token(token).fingerprint.hex()
    return next((node for node in find_nodes() if node.cluster == cluster and not node.is_embedded), None)


async def refuse_without_token(address: str) -> NoReturn:
    """Refuse an address `tcp://host:port` that comes without a token.

    Raises:
        AuthenticationError: something listens there.
        PeerUnreachableError: nothing does.
    """
    from actorrt.cluster.joining.dialling import dial

    try:
        (await dial(address.removeprefix("tcp://").rstrip("/"))).close()
    except PeerUnreachableError as error:
        raise PeerUnreachableError(
            f"no node answers at {address}: {error}; start one with `actorrt node --listen HOST`"
        ) from None
    raise AuthenticationError(
        f"a cluster lets nobody in without a token: run `actorrt token` on the machine of {address}, and give what it "
        "prints as actorrt.init(address=TOKEN)"
    )


def token_at(token: str, address: str | None) -> str:
    """Return a token that names another entry node of its cluster, `tcp://host:port`; None leaves it as it is.

    Raises:
        AuthenticationError: the text is no token.
        ValueError: the address has another form.
    """
    if address is None:
        return token
    from actorrt.cluster.joining.join import read_token

    place = address.removeprefix("tcp://").rstrip("/")
    try:
        return replace(read_token(token), addresses=(place,)).text()
    except ValueError as error:
        raise ValueError(f"address={address!r}: {error}") from None


def owner_of(node: NodeDescriptor) -> str:
    """Describe the script that a node belongs to."""
    try:
        words = Path(f"/proc/{node.owner_pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return f"a script (process {node.owner_pid})"
    command = b" ".join(words).decode(errors="replace")
    return f"a script (process {node.owner_pid}: {command if len(command) <= 60 else command[:59] + '…'})"
