"""Which source a worker imports: the driver's, or that of its own machine. One test for each row of the table."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module, invalidate_caches
from importlib.util import find_spec
from pathlib import Path

import pytest

from actorrt.ids import JobId
from actorrt.node.code.conversation import Told, packed, unpacked
from actorrt.node.code.importing import DriversModules
from actorrt.protocol.cluster.code import ModuleText
from actorrt.protocol.processes import CodeSource

SOURCE = CodeSource(socket="/nowhere", job=JobId(b"\x01" * 16), here="node here", there="node there")
NAMES = ("lib_a", "lib_b")


def text(
    source: bytes | None, *, origin: str = "/there/lib_a.py", package: bool = False, installed: bool = False
) -> Told:
    return ModuleText(origin=origin, source=source, is_package=package, is_installed=installed), ""


class Worker:
    """This process, as a worker whose driver has some modules; its own modules are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.there: dict[str, Told] = {}
        self.asked: list[str] = []
        self.finder = DriversModules(SOURCE, self._ask)

    def _ask(self, name: str) -> Told:
        self.asked.append(name)
        return self.there.get(name, (None, ""))

    def has(self, files: Mapping[str, str]) -> None:
        for name, source in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        invalidate_caches()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker(tmp_path / "here")
    made.folder.mkdir()
    sys.meta_path.insert(0, made.finder)
    sys.path.insert(0, str(made.folder))
    yield made
    sys.path.remove(str(made.folder))
    sys.meta_path.remove(made.finder)
    for name in [name for name in sys.modules if name.partition(".")[0] in NAMES]:
        del sys.modules[name]


def test_the_same_source_at_another_place_is_imported_from_this_machine(worker: Worker) -> None:
    worker.has({"lib_a.py": "VALUE = 1"})
    worker.there["lib_a"] = text(b"VALUE = 1")
    assert import_module("lib_a").__file__ == str(worker.folder / "lib_a.py")


def test_another_source_on_this_machine_gives_way_to_the_drivers(worker: Worker) -> None:
    worker.has({"lib_a.py": "VALUE = 1"})
    worker.there["lib_a"] = text(b"VALUE = 2")
    module = import_module("lib_a")
    assert (module.VALUE, module.__file__) == (2, "/there/lib_a.py")


def test_a_file_that_both_machines_see_is_imported_as_a_file(worker: Worker, tmp_path: Path) -> None:
    shared = tmp_path / "shared" / "lib_a.py"
    shared.parent.mkdir()
    shared.write_text("VALUE = 3")
    worker.there["lib_a"] = text(b"VALUE = 3", origin=str(shared))
    module = import_module("lib_a")
    assert (module.VALUE, type(module.__loader__).__name__) == (3, "SourceFileLoader")


def test_a_missing_package_comes_module_by_module(worker: Worker) -> None:
    worker.there["lib_a"] = text(b"from lib_a.inner.part import VALUE", origin="/there/lib_a/__init__.py", package=True)
    worker.there["lib_a.inner"] = text(None, origin="", package=True)
    worker.there["lib_a.inner.part"] = text(b"VALUE = 4", origin="/there/lib_a/inner/part.py")
    assert import_module("lib_a").VALUE == 4
    assert worker.asked == ["lib_a", "lib_a.inner", "lib_a.inner.part"]


def test_an_installed_package_of_this_machine_is_taken_whatever_the_driver_has(worker: Worker) -> None:
    worker.has({"site-packages/lib_a/__init__.py": "VALUE = 5", "site-packages/lib_a/part.py": "VALUE = 6"})
    sys.path.insert(0, str(worker.folder / "site-packages"))
    try:
        worker.there["lib_a"] = text(b"VALUE = 7", installed=True, package=True)
        assert import_module("lib_a.part").VALUE == 6
    finally:
        sys.path.remove(str(worker.folder / "site-packages"))
    assert worker.asked == ["lib_a"], "modules of an installed package are not asked for"


def test_an_installed_package_that_is_missing_here_comes_from_the_driver(worker: Worker) -> None:
    worker.there["lib_a"] = text(b"VALUE = 8", installed=True)
    assert import_module("lib_a").VALUE == 8


def test_what_the_driver_lacks_is_taken_from_this_machine(worker: Worker) -> None:
    worker.has({"lib_b.py": "VALUE = 9"})
    assert import_module("lib_b").VALUE == 9


def test_python_and_the_runtime_are_never_asked_for(worker: Worker) -> None:
    assert find_spec("colorsys") is not None
    assert find_spec("actorrt.a_module_that_is_not_there") is None
    assert worker.asked == []


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            (None, ""),
            "No module named 'lib_a' on node here, nor on node there, where the driver runs: install it on both",
        ),
        (
            (None, "it is dead"),
            "No module named 'lib_a' on node here, and node there, where the driver runs, could not be asked: "
            "it is dead",
        ),
        (
            text(None, origin="/there/lib_a.so"),
            "No module named 'lib_a' on node here: on node there, where the driver runs, it is /there/lib_a.so, which "
            "is no source that could be sent; install it on both",
        ),
    ],
)
def test_a_module_that_can_not_be_had_is_explained(worker: Worker, told: Told, message: str) -> None:
    worker.there["lib_a"] = told
    with pytest.raises(ModuleNotFoundError) as caught:
        import_module("lib_a")
    worker.finder.explain(caught.value)
    assert str(caught.value) == message


def test_looking_for_an_optional_module_finds_none_and_raises_nothing(worker: Worker) -> None:
    assert find_spec("lib_a") is None


def test_a_traceback_shows_the_drivers_source(worker: Worker) -> None:
    import traceback

    worker.there["lib_a"] = text(b"def fail():\n    raise ValueError('here')\n")
    with pytest.raises(ValueError, match="here") as caught:
        import_module("lib_a").fail()
    assert "    raise ValueError('here')" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("told", [(None, "why"), text(b"x = 1"), text(None)])
def test_an_answer_survives_its_way(told: Told) -> None:
    found, why = unpacked(packed(told))
    assert (found and found.pack(), why) == (told[0] and told[0].pack(), told[1])
