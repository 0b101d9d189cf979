"""A network of the tests' own: each host is a network namespace, and one more namespace has the bridge between them.

No host has a route to the machine, so no address collides with one of the machine or of a test that runs beside this
one. The names of the namespaces say which process made them. Whoever makes a network first removes what killed runs
have left: their namespaces, and the processes in these.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.fault.networks.packet_rules import PacketRules
from tests.running import wait_until_none_runs

PREFIX: Final = "art"
_NAME: Final = re.compile(rf"{PREFIX}-(\d+)-(\d+)-\d+-\w+")
_COMMAND_TIMEOUT_S: Final = 20.0
_END_TIMEOUT_S: Final = 10.0
_TOOLS: Final = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables"}
_SWITCH: Final = "switch"
_numbers = itertools.count()


def why_missing() -> str | None:
    """Return why no network can be made here; None if one can."""
    if os.geteuid() != 0:
        return "network namespaces are made by root only"
    missing = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool) is None})
    if missing:
        return f"network namespaces need more tools; on Debian and Ubuntu: apt-get install {' '.join(missing)}"
    try:
        with network("a", "b") as (made, hosts):
            made.reset(hosts["a"], hosts["b"])
            made.slow_down(hosts["a"], bits_per_s=1_000_000)
    except subprocess.CalledProcessError as error:
        return f"this kernel lacks what networks of tests need: {' '.join(error.cmd)}: {error.stderr.strip()}"
    return None


class Host:
    """One namespace, with one address.

    Attributes:
        name: for people.
        namespace: its name for `ip netns`.
        address: at which the others reach it.
    """

    def __init__(self, name: str, namespace: str, address: str) -> None:
        self.name = name
        self.namespace = namespace
        self.address = address

    @property
    def prefix(self) -> Sequence[str]:
        """What makes a command run on this host when it is written before it. The process keeps its id."""
        return ("ip", "netns", "exec", self.namespace)


class Network:
    """Hosts on one bridge, and what is wrong between them.

    All faults stay until they are taken back; connections that exist feel them, too.
    """

    def __init__(self, hosts: Sequence[Host]) -> None:
        self._hosts = hosts
        self._rules = {host.address: PacketRules() for host in hosts}

    def cut(self, sender: Host, receiver: Host) -> None:
        """Drop all packets from one host to another. The other direction is not affected."""
        self._set(receiver, self._rules[receiver.address].dropping(sender.address))

    def cut_both(self, one: Host, other: Host) -> None:
        """Drop all packets between two hosts."""
        self.cut(one, other)
        self.cut(other, one)

    def part(self, ones: Sequence[Host], others: Sequence[Host]) -> None:
        """Drop all packets between two sets of hosts."""
        for one, other in itertools.product(ones, others):
            self.cut_both(one, other)

    def silence(self, host: Host) -> None:
        """Drop all packets from and to a host, as if it had no power."""
        self.part([host], [one for one in self._hosts if one is not host])

    def reset(self, sender: Host, receiver: Host) -> None:
        """Answer each TCP packet from one host to another by a reset, as if nothing listened there."""
        self._set(receiver, self._rules[receiver.address].resetting(sender.address))

    def close(self, sender: Host, receiver: Host) -> None:
        """Drop what would begin a connection from one host to another, as a firewall does."""
        self._set(receiver, self._rules[receiver.address].closing(sender.address))

    def heal(self) -> None:
        """Take back all faults but slow links."""
        for host in self._hosts:
            if self._rules[host.address] != PacketRules():
                self._set(host, PacketRules())

    def slow_down(self, host: Host, bits_per_s: int) -> None:
        """Let a host send no more than so many bits a second, with a queue of 50 ms."""
        _run("tc", "-n", host.namespace, "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", f"{bits_per_s}bit",
             "burst", "64kb", "latency", "50ms")  # fmt: skip

    def _set(self, host: Host, rules: PacketRules) -> None:
        self._rules[host.address] = rules
        _run(*host.prefix, "nft", "-f", "-", typed=rules.text())


@contextmanager
def network(*names: str) -> Iterator[tuple[Network, dict[str, Host]]]:
    """Make a network with hosts of these names; at the end, remove it with all processes on its hosts."""
    remove_left()
    maker = f"{PREFIX}-{os.getpid()}-{_start_of(os.getpid())}-{next(_numbers)}"
    switch = f"{maker}-{_SWITCH}"
    hosts = {name: Host(name, f"{maker}-{name}", f"10.77.0.{10 + number}") for number, name in enumerate(names)}
    try:
        for namespace in (switch, *(host.namespace for host in hosts.values())):
            _run("ip", "netns", "add", namespace)
        _run("ip", "-n", switch, "-batch", "-", typed=_cabling(hosts.values()))
        for host in hosts.values():
            lines = ("link set lo up", "link set eth0 up", f"address add {host.address}/24 dev eth0")
            _run("ip", "-n", host.namespace, "-batch", "-", typed="\n".join(lines))
        yield Network([*hosts.values()]), hosts
    finally:
        _remove([switch, *(host.namespace for host in hosts.values())])


def _cabling(hosts: Iterable[Host]) -> str:
    lines = ["link add bridge type bridge", "link set bridge up"]
    for number, host in enumerate(hosts):
        lines.append(f"link add port{number} type veth peer name eth0 netns {host.namespace}")
        lines.append(f"link set port{number} master bridge up")
    return "\n".join(lines)


def remove_left() -> None:
    """Remove the networks of test runs that were killed."""
    left = [name for name in _namespaces() if (made := _NAME.fullmatch(name)) and _start_of(int(made[1])) != made[2]]
    _remove(left)


def _namespaces() -> list[str]:
    directory = Path("/run/netns")
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


def _remove(names: Sequence[str]) -> None:
    here = [name for name in names if name in _namespaces()]
    pids = [int(pid) for name in here for pid in _run_if_there("ip", "netns", "pids", name).split()]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until_none_runs(pids, _END_TIMEOUT_S)
    for name in here:
        _run_if_there("ip", "netns", "delete", name)


def _start_of(pid: int) -> str:
    """Return when a process started, in ticks since boot, which tells uses of an id apart; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _run(*command: str, typed: str = "") -> str:
    done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=True)
    return done.stdout


def _run_if_there(*command: str) -> str:
    """Run a command about a namespace, which another test run may remove at the same time."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False)
    return done.stdout
