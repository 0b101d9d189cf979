"""Pure: which GPUs of a node belong to which actor.

A whole number of GPUs is so many devices that nobody else has. A fraction shares one device with other fractions: the
fullest one where it fits, so that whole devices stay free.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import floor

_DIGITS = 9
"""Sums are rounded, so that many fractions that are added and subtracted leave exactly 0."""


class Devices:
    """The GPUs of one node.

    Args:
        ids: their names in `CUDA_VISIBLE_DEVICES`: UUIDs, or numbers where no device was found.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self._used: dict[str, float] = dict.fromkeys(ids, 0.0)
        self._granted: dict[Hashable, dict[str, float]] = {}

    def fits(self, amount: float, holder: Hashable = None) -> bool:
        """Return whether an amount fits in what is free, or was granted to the holder before."""
        return self._chosen(amount, self._granted.get(holder, {})) is not None

    def grant(self, holder: Hashable, amount: float) -> list[str]:
        """Give a holder devices, in place of those that it had; the least used ones are shared if none is free."""
        self.release(holder)
        if not amount:
            return []
        chosen = self._chosen(amount, {})
        if chosen is None:
            by_use = sorted(self._used, key=self._used.__getitem__)
            chosen = {device: min(1.0, amount) for device in by_use[: max(1, floor(amount))]}
        for device, part in chosen.items():
            self._used[device] = round(self._used[device] + part, _DIGITS)
        self._granted[holder] = chosen
        return list(chosen)

    def largest_part(self, holder: Hashable = None) -> float:
        """Return the largest part of one device that is free, or was granted to the holder before."""
        own = self._granted.get(holder, {})
        return max((1.0 - use + own.get(device, 0.0) for device, use in self._used.items()), default=0.0)

    def granted(self, holder: Hashable) -> list[str]:
        """Return the devices that a holder has."""
        return list(self._granted.get(holder, ()))

    def release(self, holder: Hashable) -> None:
        """Take the devices of a holder back. Idempotent."""
        for device, part in self._granted.pop(holder, {}).items():
            self._used[device] = round(self._used[device] - part, _DIGITS)

    def _chosen(self, amount: float, own: Mapping[str, float]) -> dict[str, float] | None:
        """Return the parts of devices for an amount; None if it does not fit."""
        used = {device: round(use - own.get(device, 0.0), _DIGITS) for device, use in self._used.items()}
        whole_count, part = floor(amount), round(amount - floor(amount), _DIGITS)
        idle = [device for device, use in used.items() if not use]
        if len(idle) < whole_count:
            return None
        chosen = dict.fromkeys(idle[:whole_count], 1.0)
        if part:
            shared = [device for device in used if device not in chosen and used[device] + part <= 1.0]
            if not shared:
                return None
            chosen[max(shared, key=used.__getitem__)] = part
        return chosen

    def check_invariants(self) -> None:
        """Raise AssertionError if the uses do not add up."""
        for device, use in self._used.items():
            granted = sum(parts.get(device, 0.0) for parts in self._granted.values())
            assert abs(granted - use) < 1e-6, f"device {device} is used to {use}, and {granted} is granted"
