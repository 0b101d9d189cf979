"""The `actorrt` command, and the table of its subcommands.

The exit status is 0; 1 after a failure and 2 for wrong arguments, with one line on stderr and no traceback; 130 after
Ctrl-C.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import logging
import os
import select
import signal as signals
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeVar

from actorrt import errors
from actorrt.config import VERSION

if TYPE_CHECKING:
    from actorrt.node.clustering.cluster_setting import ClusterSetting

T = TypeVar("T")

STOP_TIMEOUT_S: Final = 15.0
EXIT_FAILURE, EXIT_INTERRUPTED = 1, 130


@dataclass(frozen=True)
class Command:
    """One subcommand.

    Attributes:
        summary: its line in the list of commands.
        add_arguments: adds its arguments to a parser. It may set the default `hint`: a function that takes the
            parsed arguments and those that the parser does not know, and returns what to give instead, or no text.
        run: runs it, and returns the exit status.
    """

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    atexit.register(gc.freeze)  # otherwise a search for cycles at the exit takes a tenth of a second
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="actorrt", description="An actor runtime for reinforcement learning.")
    parser.add_argument("--version", action="version", version=f"actorrt {VERSION}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.summary, description=command.summary)
        if name in arguments[:1]:
            command.add_arguments(subparser)
    chosen, unknown = parser.parse_known_args(arguments)
    if unknown:
        hint = chosen.hint(chosen, unknown) if "hint" in chosen else ""
        subparsers.choices[chosen.command].error(f"unrecognized arguments: {' '.join(unknown)}{hint and f'; {hint}'}")
    try:
        return COMMANDS[chosen.command].run(chosen)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of the output is gone: drop the rest of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    except (errors.ActorRtError, OSError, ValueError) as error:
        sys.stderr.write(f"actorrt {chosen.command}: {error}\n")
        return getattr(error, "exit_status", EXIT_FAILURE)


# node


def _node_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cpus", type=_count, help="CPUs that actors can reserve; 0: drivers only (default: those of the machine)"
    )
    parser.add_argument("--gpus", type=_count, help="GPUs that actors can reserve (default: those of the machine)")
    parser.add_argument(
        "--store-bytes",
        type=_size,
        metavar="SIZE",
        help="bound on shared memory, such as 2GiB (default: 30%% of the machine's memory, at most what is free)",
    )
    parser.add_argument("--verbose", action="store_true", help="log debug messages too")
    cluster = parser.add_argument_group("many machines", "one of these makes the node part of a cluster")
    cluster.add_argument(
        "--listen",
        type=_host_and_port,
        metavar="HOST[:PORT]",
        help="an address of this machine that other nodes reach (with --join: the one that reaches them)",
    )
    cluster.add_argument("--join", metavar="TOKEN", help="join the cluster that `actorrt token` gave the token for")
    cluster.add_argument("--state-dir", metavar="DIR", help="keys and control store (default: ~/.local/state/actorrt)")
    cluster.add_argument(
        "--control",
        type=_database_url,
        metavar="URL",
        help="postgresql://..., a database for the control store (default: a file in the state directory of the first "
        "node); nodes that join learn of it",
    )
    cluster.add_argument("--advertise", metavar="HOST[:PORT]", help="the address that others use, if it is another one")
    cluster.add_argument("--ports", type=_port_range, metavar="LOW-HIGH", help="ports of the node's processes")
    cluster.add_argument(
        "--label", type=_pair, action="append", default=[], metavar="NAME=VALUE", help="a label that placement compares"
    )
    cluster.add_argument(
        "--resource", type=_amount, action="append", default=[], metavar="NAME=AMOUNT", help="a custom resource"
    )


def _node(arguments: argparse.Namespace) -> int:
    from actorrt.node.processes.limits import check_endpoint

    check_endpoint()
    from actorrt.node.daemon.boot import main  # imported after the check: it needs modules that only Linux has
    from actorrt.node.daemon.node_setting import NodeSetting

    setting = NodeSetting(arguments.cpus, arguments.gpus, arguments.store_bytes, cluster=_cluster_setting(arguments))
    return main(setting, log_level=logging.DEBUG if arguments.verbose else logging.INFO)


def _cluster_setting(arguments: argparse.Namespace) -> ClusterSetting | None:
    """Return the part of the options that is about a cluster; None if there is none of it."""
    if arguments.listen is None and arguments.join is None and arguments.state_dir is None:
        given = [name for name in ("control", "advertise", "ports", "label", "resource") if getattr(arguments, name)]
        if given:
            raise ValueError(f"--{given[0]} is for a node of a cluster: give --listen HOST or --join TOKEN with it")
        return None
    from actorrt.node.clustering.cluster_setting import ClusterSetting

    host, port = arguments.listen or ("", 0)
    return ClusterSetting(
        state_directory=arguments.state_dir or "",
        host=host,
        port=port,
        advertised=arguments.advertise or "",
        ports=arguments.ports,
        token=arguments.join,
        control=arguments.control,
        labels=dict(arguments.label),
        resources=dict(arguments.resource),
    )


# down


def _down_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--address", help="stop only this node (default: all nodes of this user on this machine)")


def _down(arguments: argparse.Namespace) -> int:
    from actorrt.node.daemon.node_directory import find_nodes
    from actorrt.node.driver.finding import find_node

    nodes = (
        [n for n in find_nodes() if not n.is_embedded] if arguments.address is None else [find_node(arguments.address)]
    )
    if not nodes:
        print("no node runs")
    pidfds = [_terminated(node.pid) for node in nodes]
    status = 0
    for node, pidfd in zip(nodes, pidfds, strict=True):
        ended = pidfd is None or select.select([pidfd], [], [], STOP_TIMEOUT_S)[0]
        print(f"node {node.url} (process {node.pid}) {'stopped' if ended else 'is still stopping'}")
        status = status if ended else EXIT_FAILURE
        if pidfd is not None:
            os.close(pidfd)
    return status


def _terminated(pid: int) -> int | None:
    """Send SIGTERM to a process; return its pidfd, or None if the process has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    with suppress(ProcessLookupError):
        signals.pidfd_send_signal(pidfd, signals.SIGTERM)
    return pidfd


# Commands in other modules, which are imported when the command runs


def _elsewhere(summary: str, module: str) -> Command:
    return Command(
        summary,
        lambda parser: import_module(module).add_arguments(parser),
        lambda arguments: int(import_module(module).run(arguments)),
    )


# Arguments


def _positive(text: str) -> int:
    value = _count(text)
    if value == 0:
        raise argparse.ArgumentTypeError("give 1 or more")
    return value


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a count: give a whole number")
    return int(text)


_UNITS: Final = {
    "KIB": 1 << 10,
    "MIB": 1 << 20,
    "GIB": 1 << 30,
    "TIB": 1 << 40,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "B": 1,
}


def _host_and_port(text: str) -> tuple[str, int]:
    from actorrt.node.clustering.cluster_setting import host_and_port

    return _or_argument_error(host_and_port, text)


def _port_range(text: str) -> tuple[int, int]:
    from actorrt.node.clustering.cluster_setting import port_range

    return _or_argument_error(port_range, text)


def _database_url(text: str) -> str:
    from actorrt.node.clustering.cluster_setting import database_url

    return _or_argument_error(database_url, text)


def _pair(text: str) -> tuple[str, str]:
    from actorrt.node.clustering.cluster_setting import pair

    return _or_argument_error(pair, text)


def _amount(text: str) -> tuple[str, float]:
    name, value = _pair(text)
    try:
        amount = float(value)
    except ValueError:
        amount = 0.0
    if not 0 < amount < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: give NAME=AMOUNT with a number above 0")
    return name, amount


def _or_argument_error(read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _size(text: str) -> int:
    number = text.upper().strip()
    unit = 1
    for name, size in _UNITS.items():
        if number.endswith(name):
            number, unit = number.removesuffix(name).strip(), size
            break
    try:
        value = int(float(number) * unit)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write 500MiB or 2GiB") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give more than 0 bytes")
    return value


COMMANDS: Final = {
    "node": Command("run a node in the foreground; Ctrl-C stops the node", _node_arguments, _node),
    "status": _elsewhere("show the resources of the nodes, and what is reserved", "actorrt.node.inspect.status"),
    "tree": _elsewhere("show the supervision tree of the nodes", "actorrt.node.inspect.tree"),
    "ps": _elsewhere("list the processes and actors of the nodes", "actorrt.node.inspect.ps"),
    "mem": _elsewhere("list the objects in the stores of the nodes, the largest first", "actorrt.node.inspect.mem"),
    "token": _elsewhere("make a token by which other machines join the cluster", "actorrt.node.inspect.token"),
    "nodes": _elsewhere("list the nodes of the cluster, and whether they answer", "actorrt.node.inspect.nodes"),
    "bury": _elsewhere("write a node of the cluster dead that is off", "actorrt.node.inspect.bury"),
    "revoke": _elsewhere("refuse a node of the cluster from now on", "actorrt.node.inspect.revoke"),
    "down": Command("stop the nodes of this machine", _down_arguments, _down),
    "train": _elsewhere("train a policy on a Gymnasium environment", "actorrt.rl.cli.train"),
    "bench": _elsewhere("measure this machine, and print the table", "actorrt.bench.command"),
}


if __name__ == "__main__":
    sys.exit(main())
