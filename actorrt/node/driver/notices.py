"""Notices of long waits, which name what the process waits for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import Final, TypeVar

T = TypeVar("T")

NOTICE_AFTER_S: Final = 1.0


async def saying(what: str, awaitable: Awaitable[T]) -> T:
    """Await; print a notice that names `what` when the wait takes longer than `NOTICE_AFTER_S`."""
    timer = asyncio.get_running_loop().call_later(
        NOTICE_AFTER_S, lambda: print(f"actorrt: waiting for {what} ...", file=sys.stderr, flush=True)
    )
    try:
        return await awaitable
    finally:
        timer.cancel()
