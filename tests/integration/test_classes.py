"""Classes of `__main__`, of modules beside the script and of notebook cells, and the exceptions that they raise."""

from __future__ import annotations

import sys
import types

import pytest

import actorrt as art
from tests.running import run_script

MODES = {"node": "cpus=2", "local": "mode='local'"}


@pytest.fixture(params=MODES.values(), ids=MODES)
def options(request):
    return request.param


def printed(code, folder):
    """Return the lines that a script prints. It must succeed and print no warnings."""
    script = run_script(code, folder)
    complaints = [line for line in script.stderr.splitlines() if not line.startswith("actorrt: waiting for")]
    assert (script.process.returncode, complaints) == (0, [])
    return script.output.splitlines()


def test_script_class_raises_an_exception_that_the_script_can_catch_by_its_type(tmp_path, options):
    code = f"""
    import actorrt as art

    class Mine(Exception):
        def __init__(self, code):
            super().__init__(code)
            self.code = code

    FACTOR = 3

    def triple(n):
        return FACTOR * n

    class Actor(art.Actor):
        def triple(self, n):
            return triple(n)
        def fail(self, code):
            raise Mine(code)
        def raise_it(self, error):
            raise error

    art.init({options})
    actor = Actor.spawn().result(10)
    print(actor.triple(4).result(10))
    for call in (lambda: actor.fail(5), lambda: actor.raise_it(Mine(6))):
        try:
            call().result(10)
        except Mine as error:
            print("caught", error.code, type(error) is Mine)
    """
    assert printed(code, tmp_path) == ["12", "caught 5 True", "caught 6 True"]


def test_traceback_of_a_script_class_shows_its_file_and_source(tmp_path, options):
    code = f"""
    import actorrt as art

    class Actor(art.Actor):
        def look_up(self, key):
            return {{}}[key]

    art.init({options})
    try:
        Actor.spawn().result(10).look_up("missing").result(10)
    except KeyError as error:
        print(*error.__notes__[0].splitlines()[-4:-1], sep="\\n")
    """
    where, source, _ = printed(code, tmp_path)
    assert where.endswith('.py", line 6, in look_up')
    assert str(tmp_path) in where
    assert source.strip() == "return {}[key]"


def test_script_needs_no_main_guard_under_run(tmp_path, options):
    code = f"""
    import actorrt as art

    print("top")

    class Actor(art.Actor):
        def value(self):
            return 1

    async def main():
        return await (await Actor.spawn()).value()

    print(art.run(main, {options}))
    """
    assert printed(code, tmp_path) == ["top", "1"]


def test_class_of_a_module_beside_the_script_is_spawned_and_its_exception_can_be_caught(tmp_path, options):
    (tmp_path / "beside.py").write_text(
        "import actorrt as art\n"
        "class Trouble(Exception):\n    pass\n"
        "class Actor(art.Actor):\n"
        "    def where(self):\n        return __name__\n"
        "    def fail(self):\n        raise Trouble('t')\n"
    )
    code = f"""
    import actorrt as art
    import beside

    art.init({options})
    actor = beside.Actor.spawn().result(10)
    print(actor.where().result(10))
    try:
        actor.fail().result(10)
    except beside.Trouble:
        print("caught")
    """
    assert printed(code, tmp_path) == ["beside", "caught"]


def test_module_beside_the_script_is_found_from_another_directory(tmp_path, options):
    (tmp_path / "beside.py").write_text(
        "import actorrt as art\nclass Actor(art.Actor):\n    def one(self):\n        return 1\n"
    )
    code = f"""
    import os, tempfile
    os.chdir(tempfile.gettempdir())
    import actorrt as art
    from beside import Actor

    art.init({options})
    print(Actor.spawn().result(10).one().result(10))
    """
    assert printed(code, tmp_path) == ["1"]


def test_instance_of_a_script_class_travels_both_ways(tmp_path, options):
    code = f"""
    from dataclasses import dataclass
    import actorrt as art

    @dataclass
    class Point:
        x: int

    class Actor(art.Actor):
        def move(self, point):
            return Point(point.x + 1), isinstance(point, Point)

    art.init({options})
    point, was_point = Actor.spawn().result(10).move(Point(1)).result(10)
    print(point, type(point) is Point, was_point)
    """
    assert printed(code, tmp_path) == ["Point(x=2) True True"]


def test_actors_of_script_classes_call_each_other(tmp_path, options):
    code = f"""
    import actorrt as art

    class Leaf(art.Actor):
        def value(self):
            return 5

    class Root(art.Actor):
        async def on_start(self):
            self.leaf = await Leaf.spawn()
            self.own = await Leaf.options(isolation="process").spawn()
        async def values(self):
            return await self.leaf.value() + await self.own.value()

    art.init({options})
    print(Root.spawn().result(10).values().result(10))
    """
    assert printed(code, tmp_path) == ["10"]


def test_script_class_survives_a_restart(tmp_path):
    code = """
    import os, signal
    import actorrt as art

    class Actor(art.Actor):
        def pid(self):
            return os.getpid()

    art.init(cpus=2)
    actor = Actor.options(isolation="process", restart="permanent").spawn().result(10)
    pid = actor.pid().result(10)
    os.kill(pid, signal.SIGKILL)
    print(actor.pid.options(retries=3)().result(10) != pid)
    """
    assert run_script(code, tmp_path).output.splitlines() == ["True"]


@pytest.fixture
def notebook():
    """A function that executes cells in one namespace, which is `__main__`, as in a kernel."""
    before = sys.modules["__main__"]
    kernel = types.ModuleType("__main__")
    sys.modules["__main__"] = kernel

    def cell(code):
        exec(compile(code, "<cell>", "exec"), kernel.__dict__)
        return kernel

    yield cell
    sys.modules["__main__"] = before


CELL = """
import actorrt as art

class Greeter(art.Actor):
    def greet(self):
        return "{greeting}"
"""


async def test_class_of_a_notebook_cell_is_spawned(runtime, notebook):
    kernel = notebook(CELL.format(greeting="hello"))
    greeter = await kernel.Greeter.spawn()
    assert await greeter.greet() == "hello"


async def test_class_redefined_in_a_cell_has_the_new_code_and_running_actors_keep_the_old_code(runtime, notebook):
    kernel = notebook(CELL.format(greeting="hello"))
    old = await kernel.Greeter.spawn()
    notebook(CELL.format(greeting="goodbye"))
    new = await kernel.Greeter.spawn()
    assert (await old.greet(), await new.greet()) == ("hello", "goodbye")


async def test_class_defined_in_a_function_is_spawned_with_its_closure(runtime):
    word = "closed over"

    class Closure(art.Actor):
        def word(self):
            return word

    assert await (await Closure.spawn()).word() == "closed over"


async def test_class_made_by_inheritance_has_the_methods_of_all_its_bases(runtime):
    from tests.integration.cast import Counter

    class Doubling(Counter):
        def add(self, by=1):
            return super().add(2 * by)

        @staticmethod
        def constant():
            return 7

    doubling = await Doubling.spawn(1)
    assert await doubling.add(3) == 7
    assert await doubling.value() == 7
    assert await doubling.constant() == 7


async def test_static_methods_and_class_methods_are_called_like_other_methods(runtime):
    class Tools(art.Actor):
        @staticmethod
        def add(a, b=2):
            return a + b

        @staticmethod
        async def add_async(a, b):
            return a + b

        @staticmethod
        def count(limit):
            yield from range(limit)

        @classmethod
        def name(cls, end):
            return cls.__name__ + end

    tools = await Tools.spawn()
    assert (await tools.add(1), await tools.add(1, b=3), await tools.add_async(1, 2)) == (3, 4, 3)
    assert [i async for i in tools.count(3)] == [0, 1, 2]
    assert await tools.name("!") == "Tools!"
    with pytest.raises(TypeError, match=r"Tools\.add\(a, b=\.\.\.\): too many positional arguments"):
        tools.add(1, 2, 3)


def test_module_that_workers_cannot_import_is_named_in_the_start_error(tmp_path):
    code = """
    import sys, types
    import actorrt as art

    module = types.ModuleType("nowhere")
    exec("import actorrt as art\\nclass Lost(art.Actor):\\n    def one(self): return 1", module.__dict__)
    sys.modules["nowhere"] = module

    art.init(cpus=1)
    try:
        print(module.Lost.spawn().result(10).one().result(10))
    except (art.ActorStartError, art.SerializationError) as error:
        print("nowhere" in str(error), "\\n" not in str(error))
    """
    assert printed(code, tmp_path) in (["1"], ["True True"])
