"""Tests in this folder make networks, and are skipped where none can be made."""

from __future__ import annotations

import pytest

from tests.fault.networks.network import why_missing


@pytest.fixture(scope="session", autouse=True)
def networks_can_be_made() -> None:
    if (why := why_missing()) is not None:
        pytest.skip(why)
