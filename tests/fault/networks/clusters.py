"""Clusters on hosts of the tests' own network, and what their nodes think of each other."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from actorrt.node.daemon.node_directory import DESCRIPTOR, NodeDescriptor
from actorrt.node.inspect.inquiry import inquire
from actorrt.protocol.cluster.members import AskMembers, Member
from tests.fault.networks.network import Host, Network, network
from tests.integration.cluster.drivers import Script
from tests.integration.cluster.machines import Machine, machines_in_a_short_place

POLL_S = 0.02
VIEW_TIMEOUT_S = 15.0
PROGRAM_TIMEOUT_S = 60.0

BEGIN = """
    import asyncio
    import os
    import sys
    import time
    import numpy as np
    import actorrt as art

    class Echo(art.Actor):
        def __init__(self):
            self.count = 0

        def say(self, value):
            return value

        def add(self):
            self.count += 1
            return self.count

        def ones(self, count):
            return np.ones(count, np.uint8)

        async def wait_for_ever(self):
            await asyncio.Event().wait()

    def on(node, **options):
        return Echo.options(placement=art.node(node), cpus=1, **options).spawn().result(30)

    art.init(address="auto")
"""
"""How drivers begin. `on(node)` makes an actor on that node."""


class HostedCluster:
    """A cluster of one node on each host. The first host's node has the control store.

    Attributes:
        network: between the hosts.
        hosts, machines: by name.
    """

    def __init__(self, made: Network, hosts: Mapping[str, Host], machines: Mapping[str, Machine]) -> None:
        self.network = made
        self.hosts = hosts
        self.machines = machines

    def start(self, options: Mapping[str, Sequence[str]]) -> None:
        """Start all nodes; return when each sees all."""
        first, *others = self.machines
        self.machines[first].start(f"--listen={self.hosts[first].address}", *options.get(first, ()))
        token = self.machines[first].token()
        with ThreadPoolExecutor(len(self.machines)) as threads:
            for name in others:
                threads.submit(self.machines[name].start, f"--join={token}", *options.get(name, ()))
        self.wait_until_whole()

    def view(self, name: str) -> dict[str, str]:
        """Return the status of each node as one of them knows it: of nodes that began again, that of the newest."""
        names = {machine.node(): name for name, machine in self.machines.items()}
        members = sorted(members_known_by(self.machines[name]), key=lambda one: one.status in ("alive", "joining"))
        return {names[member.node.hex()]: str(member.status) for member in members}

    def wait_for(self, name: str, expected: Mapping[str, str], within_s: float = VIEW_TIMEOUT_S) -> None:
        """Wait until a node knows these nodes by these statuses."""
        end = time.monotonic() + within_s
        while expected.items() - (seen := self.view(name)).items():
            assert time.monotonic() < end, (name, seen)
            time.sleep(POLL_S)  # polling interval, since a question shows the view of one moment

    def wait_until_whole(self) -> None:
        """Wait until each node knows all as alive."""
        for name in self.machines:
            self.wait_for(name, dict.fromkeys(self.machines, "alive"))

    def repair(self) -> None:
        """Take back all faults, and wait until the cluster is whole."""
        self.network.heal()
        self.wait_until_whole()

    def node(self, name: str) -> str:
        """Return the id of a node."""
        return self.machines[name].node()

    def script(self, name: str, code: str, *arguments: str) -> Script:
        """Run a driver on a host, which gets `arguments` in `sys.argv`."""
        return Script(self.machines[name], BEGIN, code, arguments=arguments)


def members_known_by(machine: Machine) -> list[Member]:
    """Return the members that a machine's node knows."""
    (path,) = machine.runtime.glob(f"*/{DESCRIPTOR}")
    return asyncio.run(inquire(NodeDescriptor(**json.loads(path.read_text())), AskMembers()))


@contextmanager
def hosted_cluster(
    *names: str, others: Sequence[str] = (), options: Mapping[str, Sequence[str]] | None = None
) -> Iterator[HostedCluster]:
    """Run a cluster of one node on each of these hosts.

    At the end all faults are taken back, and nodes that run are stopped in order.

    Args:
        names: of the hosts with nodes.
        others: names of hosts without.
        options: of nodes, by the names of their hosts.
    """
    with prepared_cluster(*names, others=others) as cluster:
        cluster.start(options or {})
        yield cluster


@contextmanager
def prepared_cluster(*names: str, others: Sequence[str] = ()) -> Iterator[HostedCluster]:
    """Make the same without starting the nodes."""
    with network(*names, *others) as (made, hosts):
        prefixes = {name: host.prefix for name, host in hosts.items()}
        with machines_in_a_short_place(*names, prefixes=prefixes) as machines:
            try:
                yield HostedCluster(made, hosts, dict(zip(names, machines, strict=True)))
            finally:
                made.heal()


class Program:
    """A module of this folder that runs on a host, and prints a line for each it reads.

    Args:
        host: where it runs.
        name: of the module.
        arguments: its arguments.
    """

    def __init__(self, host: Host, name: str, *arguments: str) -> None:
        command = [*host.prefix, sys.executable, str(Path(__file__).with_name(f"{name}.py")), *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self, typed: str = "") -> str:
        """Return the next line that it prints, after it has read `typed`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if typed:
            self._process.stdin.write(f"{typed}\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the program has ended"
        return line.strip()

    def end(self) -> list[str]:
        """Close its input; return the lines that it prints until its end, which must be a success."""
        out, _ = self._process.communicate(timeout=PROGRAM_TIMEOUT_S)
        assert self._process.returncode == 0
        return out.splitlines()
