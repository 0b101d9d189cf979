"""Shared by tests of the loops: a plan without an environment, a fake supervisor, a callback that records events."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from actorrt.rl.algorithms.a2c import A2CSettings
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.weights import Weights
from actorrt.rl.records.run_record import RunRecord
from actorrt.rl.records.selection import Selection
from actorrt.rl.runs.callbacks import Callback, Callbacks
from actorrt.rl.runs.plan import Plan
from actorrt.rl.spaces.array_spaces import Box, Discrete
from tests.unit.rl.fakes import FakeRef, FakeReply

SPEC = PolicySpec("", Box((1,), (0.0,), (1.0,)), Discrete(2), (4,))
WEIGHTS = Weights(0, np.zeros(2, np.float32))


def make_plan(**more: Any) -> Plan:
    settings = more.pop("settings", None) or A2CSettings.preset("", environments=2, horizon=4, evaluate_every=1_000)
    known = {"name": "run", "environment": "", "policy": SPEC, "weights": WEIGHTS, "settings": settings}
    return Plan(**{**known, "simulators": 2, "steps": 16, "seed": 0, **more})


class Told(Callback):
    """Notes events in order, and the progress of updates."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.progress: list[Any] = []

    def on_update(self, run: Any, progress: Any) -> None:
        self.events.append("update")
        self.progress.append(progress)

    def on_evaluation(self, run: Any, steps: int, evaluation: Any) -> None:
        self.events.append("evaluation")

    def on_restart(self, run: Any, progress: Any) -> None:
        self.events.append("restart")

    def on_checkpoint(self, run: Any, path: str) -> None:
        self.events.append("checkpoint")


class FakeSupervisor:
    """A supervisor class: spawning returns a ref whose children are given.

    Args:
        failures: errors of the first spawns.
        children: refs by child id.
    """

    def __init__(self, *failures: Exception, **children: FakeRef) -> None:
        self._failures = list(failures)
        self.ref = FakeRef("supervisor", child=lambda name: children[name.replace("-", "_")], stop=None)
        self.spawned: list[tuple[Plan, dict[str, Any]]] = []
        self._options: dict[str, Any] = {}

    def options(self, **options: Any) -> FakeSupervisor:
        self._options = options
        return self

    def spawn(self, plan: Plan) -> FakeReply:
        self.spawned.append((plan, self._options))
        return FakeReply.of(self._failures.pop(0) if self._failures else self.ref)


def make_loop(loop_class: Any, plan: Plan, supervisor: FakeSupervisor, directory: Any) -> tuple[Any, Told]:
    """Return a loop of this class under a fake supervisor, and what its callbacks are told."""
    told, record = Told(), RunRecord()
    selection = Selection(plan.settings.evaluate_every, plan.stop_return)
    if plan.checkpoint is not None:
        record.restore(plan.checkpoint["record"])
        selection.restore(plan.checkpoint["selection"])
    faked = type(f"Faked{loop_class.__name__}", (loop_class,), {"supervisor_class": supervisor})
    run = SimpleNamespace(progress=None, saved_steps=None, best_score=None, steps=0)
    return faked(plan, record, selection, str(directory), Callbacks(run, [told])), told
