"""Which address of this machine other nodes can reach."""

from __future__ import annotations

import socket
from collections.abc import Sequence


def own_host_towards(addresses: Sequence[str]) -> str | None:
    """Return the address of this machine from which the first of these, each `host:port`, would be reached.

    Nothing is sent. None: none of them has a route.
    """
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
        except (OSError, ValueError):
            continue
        for family, kind, protocol, _, place in found:
            with socket.socket(family, kind, protocol) as probe:
                try:
                    probe.connect(place)
                except OSError:
                    continue
                own: str = probe.getsockname()[0]
                return own
    return None
