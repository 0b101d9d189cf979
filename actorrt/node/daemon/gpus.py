"""Finds the GPUs of the machine: by their UUIDs through `nvidia-ml-py` (the extra `gpu`), else by their numbers."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from actorrt.node.processes.limits import VISIBLE_GPUS, gpu_count

logger = logging.getLogger(__name__)


def gpu_ids(count: int | None) -> list[str]:
    """Return the names of the GPUs that actors can reserve, as `CUDA_VISIBLE_DEVICES` takes them.

    Args:
        count: the number that the node was told; None for all that this process sees. GPUs that are counted and not
            found have numbers.
    """
    found = _visible(_found(), os.environ.get(VISIBLE_GPUS))
    if count is None:
        return found
    return [*found, *map(str, range(len(found), count))][:count]


def _visible(found: Sequence[str], visible: str | None) -> list[str]:
    """Return those devices that the environment of this process lets it see: numbers, or beginnings of UUIDs."""
    if visible is None:
        return list(found)
    seen: list[str] = []
    for word in filter(None, map(str.strip, visible.split(","))):
        named = [found[int(word)]] if word.isdigit() and int(word) < len(found) else []
        seen += named or [device for device in found if not word.isdigit() and device.startswith(word)]
    return seen


def _found() -> list[str]:
    try:
        import pynvml
    except ImportError:
        return [str(number) for number in range(gpu_count())]
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        count = gpu_count()
        if count:
            logger.warning("the GPUs of this machine are known by their numbers only: %s", error)
        return [str(number) for number in range(count)]
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        return [_text(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    finally:
        pynvml.nvmlShutdown()


def _text(uuid: str | bytes) -> str:
    return uuid.decode() if isinstance(uuid, bytes) else uuid
