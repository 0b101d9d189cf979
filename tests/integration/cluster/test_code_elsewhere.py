"""Code of a driver on a machine that does not have it: here the other node can't see the driver's folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster.drivers import Script
from tests.integration.cluster.machines import Machine, machines_in_a_short_place

HIDES: bool = (
    shutil.which("unshare") is not None
    and subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
)
pytestmark = pytest.mark.skipif(not HIDES, reason="hiding a folder from a node takes a mount namespace, and so root")

FILES = {
    "shop/__init__.py": "PRICE = 7",
    "shop/parts.py": """
        import dataclasses
        import actorrt as art
        from shop import PRICE
        from tools import double

        class OutOfStock(Exception):
            pass

        @dataclasses.dataclass
        class Part:
            name: str
            count: int = 1

        class Shop(art.Actor):
            def price(self, part):
                import late
                return late.named(part.name, double(PRICE * part.count))

            def sell(self, part):
                raise OutOfStock(part.name)

            def part(self):
                return Part("bolt", 3)

            async def total(self, counts):
                return [await ref for ref in [cost.submit(count) for count in counts]]

            def folder(self):
                import os
                return os.getcwd()

            def needs(self, module):
                import importlib
                return importlib.import_module(module).__name__

        @art.task
        def cost(count):
            return double(PRICE * count)
    """,
    "tools.py": "def double(number): return 2 * number",
    "late.py": "def named(name, number): return f'{name}: {number}'",
    "bare/inside.py": "VALUE = 1",
    "stale.py": "VALUE = 'of the driver'",
}
BEGIN = """
    import sys
    import actorrt as art
    from shop.parts import OutOfStock, Part, Shop
    art.init(address="auto")
    shop = Shop.options(placement=art.node(sys.argv[1]), cpus=1).spawn().result(30)
"""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Machine, Machine, Path]]:
    """Two nodes, and the folder of a driver on the first one, which the second does not have."""
    folder = tmp_path / "hidden" / "project"
    for name, source in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
    there = tmp_path / "there"
    there.mkdir()
    (there / "stale.py").write_text("VALUE = 'of the other machine'")
    with machines_in_a_short_place("a", "b") as (first, second):
        first.start("--listen=127.0.0.1")
        hidden = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{folder.parent}" && exec "$@"', "sh"]
        second.start(f"--join={first.token()}", prefix=hidden, folder=there)
        yield first, second, folder


def run(pair: tuple[Machine, Machine, Path], code: str) -> str:
    first, second, folder = pair
    root = str(Path(__file__).parents[3])
    paths = {"PYTHONPATH": f"{folder}{os.pathsep}{root}"}
    return Script(first, BEGIN, code, arguments=(second.node(),), folder=folder, variables=paths).end()


def test_classes_values_and_errors_of_the_drivers_modules_are_the_same_elsewhere(
    pair: tuple[Machine, Machine, Path],
) -> None:
    out = run(
        pair,
        """
        print(shop.price(Part("nut", 2)).result(30))
        print(type(shop.part().result(30)) is Part, shop.part().result(30))
        try:
            shop.sell(Part("nut")).result(30)
        except OutOfStock as error:
            print("out of stock:", error)
        """,
    )
    assert out == "nut: 28\nTrue Part(name='bolt', count=3)\nout of stock: nut\n"


def test_functions_of_tasks_travel_too_when_an_actor_elsewhere_submits_them(
    pair: tuple[Machine, Machine, Path],
) -> None:
    assert run(pair, "    print(shop.total([1, 2, 3]).result(60))\n") == "[14, 28, 42]\n"


def test_a_worker_begins_in_the_folder_of_its_daemon_if_the_drivers_is_missing(
    pair: tuple[Machine, Machine, Path], tmp_path: Path
) -> None:
    out = run(
        pair,
        """
        print(shop.folder().result(30))
        print(shop.needs("bare.inside").result(30))
        """,
    )
    assert out == f"{tmp_path / 'there'}\nbare.inside\n"


def test_what_the_driver_has_counts_where_both_have_a_module_of_one_name(pair: tuple[Machine, Machine, Path]) -> None:
    out = run(
        pair,
        """
        import stale
        class Tells(art.Actor):
            def value(self):
                import stale
                return stale.VALUE
        tells = Tells.options(placement=art.node(sys.argv[1])).spawn().result(30)
        print(tells.value().result(30))
        """,
    )
    assert out == "of the driver\n"


def test_a_module_that_neither_machine_has_is_named_with_both(pair: tuple[Machine, Machine, Path]) -> None:
    first, second, _ = pair
    out = run(
        pair,
        """
        import types
        gone = types.ModuleType("only_in_memory")
        exec("import actorrt as art\\nclass Lost(art.Actor): pass", gone.__dict__)
        sys.modules["only_in_memory"] = gone
        try:
            gone.Lost.options(placement=art.node(sys.argv[1])).spawn().result(30)
        except art.ActorStartError as error:
            print(str(error).splitlines()[0])
        """,
    )
    assert "No module named 'only_in_memory' on node " in out, out
    assert second.node()[:8] in out
    assert first.node()[:8] in out
    assert "install it on both" in out
