"""Clusters on hosts of the tests' own network, and what their nodes think of each other."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from actorrt.node.daemon.node_directory import DESCRIPTOR, NodeDescriptor
from actorrt.node.inspect.inquiry import inquire
from actorrt.protocol.cluster.members import AskMembers, Member
from tests.fault.networks.network import Host, Network, network
from tests.integration.cluster.drivers import Script
from tests.integration.cluster.machines import Machine, machines_in_a_short_place

POLL_S = 0.02
VIEW_TIMEOUT_S = 15.0

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

    def __init__(self, made: Network, hosts: Mapping[str, Host], machines: Sequence[Machine]) -> None:
        self.network = made
        self.hosts = hosts
        self.machines = dict(zip(hosts, machines, strict=True))

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
def hosted_cluster(*names: str, options: Mapping[str, Sequence[str]] | None = None) -> Iterator[HostedCluster]:
    """Run a cluster of one node on each of these hosts; `options` are those of nodes, by name.

    At the end all faults are taken back, and nodes that run are stopped in order.
    """
    with network(*names) as (made, hosts):
        prefixes = {name: host.prefix for name, host in hosts.items()}
        with machines_in_a_short_place(*names, prefixes=prefixes) as machines:
            cluster = HostedCluster(made, hosts, machines)
            try:
                cluster.start(options or {})
                yield cluster
            finally:
                made.heal()
