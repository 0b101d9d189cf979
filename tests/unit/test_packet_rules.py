"""The text that nftables reads for a host of the tests' own network."""

from __future__ import annotations

from tests.fault.networks.packet_rules import PacketRules

FRAME = """table inet faults
delete table inet faults
table inet faults {{
  chain input {{
    type filter hook input priority 0{}
  }}
}}
"""


def test_a_host_without_faults_has_no_rules() -> None:
    assert PacketRules().text() == FRAME.format("")


def test_each_fault_is_one_rule_and_drops_come_first() -> None:
    rules = PacketRules().closing("10.0.0.3").resetting("10.0.0.2").dropping("10.0.0.9").dropping("10.0.0.1")
    lines = (
        "ip saddr 10.0.0.1 drop",
        "ip saddr 10.0.0.9 drop",
        "ip saddr 10.0.0.2 meta l4proto tcp reject with tcp reset",
        "ip saddr 10.0.0.3 ct state new drop",
    )
    assert rules.text() == FRAME.format("".join(f"\n    {line}" for line in lines))
