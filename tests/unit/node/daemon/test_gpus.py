"""The GPUs that a node finds."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from actorrt.node.daemon import gpus
from actorrt.node.daemon.gpus import gpu_ids


class NVMLError(Exception):
    """The error of NVIDIA's library."""


class Library(ModuleType):
    """Stands for `pynvml`, on a machine with these devices."""

    NVMLError = NVMLError

    def __init__(self, uuids: list[str | bytes], error: Exception | None = None) -> None:
        super().__init__("pynvml")
        self.uuids, self.error, self.opened_count = uuids, error, 0

    def nvmlInit(self) -> None:
        if self.error is not None:
            raise self.error
        self.opened_count += 1

    def nvmlShutdown(self) -> None:
        self.opened_count -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.uuids)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetUUID(self, handle: int) -> str | bytes:
        return self.uuids[handle]


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library(["GPU-a1", b"GPU-b2"])
    monkeypatch.setitem(sys.modules, "pynvml", made)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return made


def test_devices_are_known_by_their_uuids_and_those_that_are_only_counted_by_numbers(library: Library) -> None:
    assert gpu_ids(None) == ["GPU-a1", "GPU-b2"]
    assert gpu_ids(1) == ["GPU-a1"]
    assert gpu_ids(4) == ["GPU-a1", "GPU-b2", "2", "3"]
    assert gpu_ids(0) == []
    assert library.opened_count == 0


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("1", ["GPU-b2"]), ("GPU-b", ["GPU-b2"]), ("1,0", ["GPU-b2", "GPU-a1"]), ("", []), ("7", []), ("-1", [])],
)
def test_only_devices_that_the_environment_allows_are_found(
    monkeypatch: pytest.MonkeyPatch, visible: str, expected: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_ids(None) == expected


def test_without_the_library_devices_have_numbers(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gpus, "gpu_count", lambda: 2)
    library.error = NVMLError("no driver")
    assert gpu_ids(None) == ["0", "1"]
    assert "known by their numbers only: no driver" in caplog.text
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu_ids(3) == ["0", "1", "2"]
