"""Pure: finds few faults that are enough for a failure, by leaving out ever smaller groups of them (delta debugging).

Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE Transactions on Software Engineering
28(2), 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def fewest(numbers: Sequence[int], fails: Callable[[frozenset[int]], bool], runs_count: int) -> frozenset[int]:
    """Return a part of the numbers with which it still fails.

    Args:
        numbers: the numbers of the faults of a failing run.
        fails: runs with these faults only; whether it fails in the same way.
        runs_count: how often `fails` is called, at most.

    Returns:
        A subset; if there were runs enough, none of its numbers can be left out.
    """
    kept, size = list(numbers), max(1, len(numbers) // 2)
    while kept and runs_count > 0:
        has_shrunk, first = False, 0
        while first < len(kept) and runs_count > 0:
            rest = kept[:first] + kept[first + size :]
            runs_count -= 1
            if fails(frozenset(rest)):
                kept, has_shrunk = rest, True
            else:
                first += size
        if size > 1:
            size //= 2
        elif not has_shrunk:
            break
    return frozenset(kept)
