"""The host in `--advertise HOST[:PORT]`."""

from __future__ import annotations

import pytest

from actorrt.node.clustering.cluster_setting import ClusterSetting


@pytest.mark.parametrize(
    ("given", "host"),
    [("", ""), ("far", "far"), ("far:7", "far"), ("10.0.0.1:7", "10.0.0.1"), ("[::1]", "[::1]"), ("[::1]:7", "[::1]")],
)
def test_the_port_belongs_to_the_tls_port_alone(given: str, host: str) -> None:
    assert ClusterSetting(state_directory="", advertised=given).advertised_host == host
