"""Pure: what a host does with the packets of other hosts, as text for nftables."""

from __future__ import annotations

from dataclasses import dataclass, replace

TABLE = "faults"


@dataclass(frozen=True)
class PacketRules:
    """Addresses whose packets are dropped, answered by a reset, or dropped if they begin a connection."""

    dropped: frozenset[str] = frozenset()
    reset: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()

    def dropping(self, address: str) -> PacketRules:
        return replace(self, dropped=self.dropped | {address})

    def resetting(self, address: str) -> PacketRules:
        return replace(self, reset=self.reset | {address})

    def closing(self, address: str) -> PacketRules:
        return replace(self, closed=self.closed | {address})

    def text(self) -> str:
        """Return what `nft -f` reads to replace all rules by these in one step."""
        lines = [f"ip saddr {address} drop" for address in sorted(self.dropped)]
        lines += [f"ip saddr {address} meta l4proto tcp reject with tcp reset" for address in sorted(self.reset)]
        lines += [f"ip saddr {address} ct state new drop" for address in sorted(self.closed)]
        rules = "\n".join(f"    {line}" for line in ("type filter hook input priority 0", *lines))
        table = f"table inet {TABLE}"
        return f"{table}\ndelete {table}\n{table} {{\n  chain input {{\n{rules}\n  }}\n}}\n"
