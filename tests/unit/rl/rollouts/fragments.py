"""Fragments and collectors for the tests of `fragment_collector`."""

from __future__ import annotations

import numpy as np

from actorrt.rl.rollouts.fragment_collector import FragmentCollector
from actorrt.rl.rollouts.trajectory import Fragment

EMPTY = np.zeros((0,))


def fragment(simulator=0, sequence=0, version=0, *, incarnation=1, steps=4):
    rows = np.zeros((steps, 1), np.float32)
    flags = np.zeros((steps, 1), bool)
    return Fragment(
        rows, rows, rows, flags, flags, ~flags, rows, rows, rows, rows[0], EMPTY, EMPTY, EMPTY, EMPTY, EMPTY,
        policy_version=version, simulator=simulator, incarnation=incarnation, sequence=sequence, process_id=1,
    )  # fmt: skip


def make_collector(count=2, **options):
    return FragmentCollector(count, **{"steps": 8, "fragments": None, "max_lag": 0, "order": "completion", **options})


def ask(collector, now=0.0):
    indices = collector.to_ask(now)
    for index in indices:
        collector.asked(index, now)
    return indices


def keys(batch):
    return [item.key for item in batch.fragments]
