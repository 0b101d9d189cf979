"""The end of a worker's life, without a process of its own."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from actorrt.node.worker import serving


@pytest.mark.parametrize("waits", [False, True], ids=["nothing waits", "a receiver has no room"])
async def test_worker_leaves_when_all_it_sent_has_left_or_after_a_while(
    waits: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving, "FLUSH_TIMEOUT_S", 0.01)

    async def drained() -> None:
        if waits:
            await asyncio.Event().wait()

    endpoint: Any = SimpleNamespace(routes=SimpleNamespace(drained=drained))
    await serving._send_waiting_messages(endpoint)
    assert caplog.messages == ["a worker ended with messages for which their receivers had no room"] * waits
