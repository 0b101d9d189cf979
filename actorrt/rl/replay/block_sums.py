"""Pure: weights with the sums of blocks of them, for draws in proportion to the weights (Schaul et al. 2016).

A sum tree takes a dozen operations on arrays for each of its levels. Here the sums of all blocks are added up for each
batch of draws, which NumPy does faster up to millions of weights. Each sum is computed from its block whenever one of
its weights changes, so rounding errors do not add up.
"""

from __future__ import annotations

import numpy as np

from actorrt.rl.spaces.array_spaces import Array

BLOCK = 32


class BlockSums:
    """`capacity` weights, zero at first, all changed and found in batches."""

    def __init__(self, capacity: int) -> None:
        self._blocks = np.zeros((-(-capacity // BLOCK), BLOCK))
        self._weights = self._blocks.reshape(-1)
        self._sums = np.zeros(len(self._blocks))

    @property
    def total(self) -> float:
        """The sum of all weights."""
        return float(self._sums.sum())

    def weights(self, indexes: Array) -> Array:
        """Return the weights at these indexes."""
        weights: Array = self._weights[indexes]
        return weights

    def update(self, indexes: Array, weights: Array) -> None:
        """Replace weights; of several for one index the last one counts."""
        self._weights[indexes] = weights
        blocks = indexes // BLOCK
        self._sums[blocks] = self._blocks[blocks].sum(axis=1)

    def find(self, shares: Array) -> Array:
        """Return the index in which each share of the total lies, if the weights are laid end to end.

        Args:
            shares: of the total, at least 0 and less than 1; uniform ones find each index with the probability weight /
                total. The total is positive.
        """
        ends = np.cumsum(self._sums)
        values = shares * ends[-1]
        blocks = _first_beyond(ends, np.searchsorted(ends, values, side="right"))
        values -= ends[blocks] - self._sums[blocks]
        within = np.cumsum(self._blocks[blocks], axis=1)
        # Rounding may leave a value at or above the sum of its block: the last weight that is not 0 has it then.
        places = np.minimum((within <= values[:, None]).sum(axis=1), (within < within[:, -1:]).sum(axis=1))
        indexes: Array = blocks * BLOCK + places
        return indexes


def _first_beyond(ends: Array, found: Array) -> Array:
    """Return the blocks that were found; beyond the last one, the last one whose sum is not 0."""
    if found.max() < len(ends):
        return found
    blocks: Array = np.minimum(found, np.searchsorted(ends, ends[-1]))
    return blocks
