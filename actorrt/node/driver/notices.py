"""Notices of long waits: what takes longer than a second says what it waits for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import Final, TypeVar

T = TypeVar("T")

NOTICE_AFTER_S: Final = 1.0


async def saying(what: str, awaitable: Awaitable[T]) -> T:
    """Await; after a second, print what is awaited."""
    timer = asyncio.get_running_loop().call_later(
        NOTICE_AFTER_S, lambda: print(f"actorrt: waiting for {what} ...", file=sys.stderr, flush=True)
    )
    try:
        return await awaitable
    finally:
        timer.cancel()
