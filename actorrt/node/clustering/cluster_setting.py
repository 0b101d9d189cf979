"""Pure: the options by which a node begins a cluster, or joins one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class ClusterSetting:
    """The part of a node's options that is about its cluster.

    Attributes:
        state_directory: where the node keeps its keys and, if it has it, the control store; empty: the default place.
        host, port: what its TLS port binds, and the host of all its other ports; empty: the address that reaches the
            cluster; port 0: the last one, or any.
        advertised: the host that other nodes connect to, if it is another one; with `:port` if that of the TLS port
            differs, too. All other ports have the same numbers there.
        ports: the lowest and the highest port of its processes; None: the system chooses.
        token: by which it joins; None: it goes on in its cluster, or begins one.
        control: the URL of the database with the control store; None: the last one, or a file of the first node.
        is_driver: whether the node runs a driver only, and is no member.
        labels, resources: what placement compares, and custom resources.
    """

    state_directory: str
    host: str = ""
    port: int = 0
    advertised: str = ""
    ports: tuple[int, int] | None = None
    token: str | None = field(default=None, repr=False)
    control: str | None = field(default=None, repr=False)
    is_driver: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, float] = field(default_factory=dict)

    @property
    def advertised_host(self) -> str:
        """The host that other nodes connect to, without a port; empty: the one that is bound."""
        host, mark, port = self.advertised.rpartition(":")
        return host if mark and port.isdigit() and (host.count(":") == 0 or host.endswith("]")) else self.advertised


def host_and_port(text: str) -> tuple[str, int]:
    """Split `HOST` or `HOST:PORT`; an IPv6 address stands in brackets if a port follows.

    Raises:
        ValueError: the text is neither.
    """
    host, mark, port = text.rpartition(":")
    if not mark or (":" in host and not host.endswith("]")):
        host, port = text, "0"
    if not host or not port.isdigit() or int(port) >= 1 << 16:
        raise ValueError(f"{text!r} is no address to listen at: give HOST or HOST:PORT, such as 10.0.0.1:7400")
    return host.strip("[]"), int(port)


def port_range(text: str) -> tuple[int, int]:
    """Read `LOW-HIGH`.

    Raises:
        ValueError: the text is no range of ports.
    """
    low, _, high = text.partition("-")
    if not low.isdigit() or not high.isdigit() or not 0 < int(low) <= int(high) < 1 << 16:
        raise ValueError(f"{text!r} is no range of ports: give LOW-HIGH, such as 7500-7600")
    return int(low), int(high)


def database_url(text: str) -> str:
    """Read the URL of a database.

    Raises:
        ValueError: the text is none of a kind that a control store can be in.
    """
    scheme, mark, place = text.partition("://")
    if scheme not in ("postgresql", "postgres") or not mark or not place:
        raise ValueError(
            f"{scheme or text!r} is no database for the control store: give postgresql://USER:PASSWORD@HOST/DATABASE, "
            "or leave --control out for a file on the first node"
        )
    return text


def pair(text: str) -> tuple[str, str]:
    """Read `NAME=VALUE`.

    Raises:
        ValueError: the text is no such pair.
    """
    name, mark, value = text.partition("=")
    if not name or not mark:
        raise ValueError(f"{text!r}: give NAME=VALUE")
    return name, value
