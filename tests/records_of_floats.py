"""Records of results that a seed determines, so that a change of the code can't change them unnoticed.

Floats differ a little between versions of NumPy and kinds of CPU. So a record holds, beside the digest of each result,
a few of its values. On the platform that the record was made on, the digest has to be the same; on any other, the
values have to be close.

A change that changes results on purpose makes the records anew, and its commit says why:

    RENEW_RECORDS=1 python -m pytest tests/unit/rl/algorithms/test_recorded_updates.py \
        tests/integration/test_rl_recorded_runs.py
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PACKAGES = ("numpy", "gymnasium", "torch")
VALUE_COUNT = 8
RELATIVE, ABSOLUTE = 1e-2, 1e-3  # differences of rounding grow from update to update


@functools.cache
def platform() -> dict[str, Any]:
    """Return what the last bits of results depend on: versions, and the instructions that NumPy uses."""
    installed = {each.name: each.version for each in importlib.metadata.distributions() if each.name in PACKAGES}
    found: dict[str, Any] = {name: installed.get(name) for name in PACKAGES}
    shown: Any = np.show_config(mode="dicts")
    return found | {"instructions": shown["SIMD Extensions"]["found"]}


class Record:
    """The recorded results of one test module, in a JSON file beside it."""

    def __init__(self, module: str) -> None:
        self._path = Path(module).with_name(Path(module).stem.removeprefix("test_") + ".json")

    def check(self, name: str, result: Any) -> None:
        """Compare a result with the recorded one, or record it if `RENEW_RECORDS` is set."""
        made = self._entry(np.asarray(result))
        if os.environ.get("RENEW_RECORDS"):
            self._renew(name, made)
            pytest.skip("recorded anew")
        recorded = self._load()
        expected = recorded["results"][name]
        assert made["shape"] == expected["shape"]
        np.testing.assert_allclose(made["values"], expected["values"], rtol=RELATIVE, atol=ABSOLUTE)
        if recorded["platform"] == platform():
            assert made["digest"] == expected["digest"], f"{name} changed: see {__name__} if that is on purpose"

    def _entry(self, result: Any) -> dict[str, Any]:
        every = np.linspace(0, result.size - 1, VALUE_COUNT).astype(np.int64)
        values = [float(f"{value:.6g}") for value in result.ravel()[every]]
        digest = hashlib.sha256(result.tobytes()).hexdigest()[:16]
        return {"shape": list(result.shape), "digest": digest, "values": values}

    def _load(self) -> dict[str, Any]:
        stored: dict[str, Any] = json.loads(self._path.read_text())
        return stored

    def _renew(self, name: str, made: dict[str, Any]) -> None:
        recorded: dict[str, Any] = self._load() if self._path.exists() else {}
        if recorded.get("platform") != platform():
            recorded = {"platform": platform(), "results": {}}
        recorded["results"][name] = made
        results = sorted(recorded["results"].items())
        entries = (f"    {json.dumps(each)}: {json.dumps(entry)}" for each, entry in results)
        lines = ["{", f'  "platform": {json.dumps(recorded["platform"])},', '  "results": {']
        self._path.write_text("\n".join([*lines, ",\n".join(entries), "  }", "}"]) + "\n")
