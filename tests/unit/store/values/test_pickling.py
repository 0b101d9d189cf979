"""The message codec: what travels by value, what is shared, and what errors say."""

from __future__ import annotations

import linecache
import random
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

from actorrt.errors import SerializationError
from actorrt.store.values.pickling import dumps, loads


class Lockful:
    """Holds what can't be sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()


class Holder:
    """Holds anything."""

    def __init__(self, **parts: Any) -> None:
        self.__dict__.update(parts)


class Slotted:
    """Keeps its part in a slot."""

    __slots__ = ("part",)

    def __init__(self, part: Any) -> None:
        self.part = part


def test_an_ordinary_value_is_a_plain_pickle_without_buffers() -> None:
    data, buffers = dumps(((1, "two"), {"three": 3.0}))
    assert data[0] == 0x80
    assert buffers == []
    assert loads(data) == ((1, "two"), {"three": 3.0})


def test_large_buffers_are_views_of_the_senders_memory() -> None:
    array = np.zeros(100_000)
    _, (buffer,) = dumps({"weights": array})
    array[0] = 7
    assert np.frombuffer(buffer)[0] == 7


def test_small_buffers_travel_in_the_data_and_are_fixed() -> None:
    array = np.zeros(10)
    data, buffers = dumps([array])
    array[0] = 7
    assert buffers == []
    (back,) = loads(data)
    assert back.tolist() == [0.0] * 10
    assert not back.flags.writeable


def test_arrays_from_writable_buffers_arrive_read_only() -> None:
    data, buffers = dumps(np.arange(10_000))
    back = loads(data, [bytearray(buffer) for buffer in buffers])
    assert not back.flags.writeable
    assert back.tolist() == list(range(10_000))


def test_an_array_that_is_not_contiguous_travels_out_of_band() -> None:
    data, (buffer,) = dumps(np.arange(100_000).reshape(100, 1000)[:, ::2])
    assert len(data) < 500
    assert loads(data, [buffer]).tolist() == np.arange(100_000).reshape(100, 1000)[:, ::2].tolist()


def test_classes_and_functions_defined_inside_functions_travel_by_value() -> None:
    class Local:
        def double(self, x: int) -> int:
            return 2 * x

    back, function = loads(dumps((Local(), lambda x: x + 1))[0])
    assert back.double(4) == 8
    assert type(back) is Local
    assert function(1) == 2


_HOP = """
import sys
from actorrt.store.values.pickling import dumps, loads
error = loads(sys.stdin.buffer.read())
assert type(error).__module__ == sys.argv[1] and sys.argv[1] not in sys.modules or sys.argv[1] == "__main__"
assert error.own_class() is type(error)
error.hops += 1
data, buffers = dumps(error)
assert buffers == []
sys.stdout.buffer.write(data)
"""


def through_another_process(data: bytes, module: str) -> bytes:
    return subprocess.run([sys.executable, "-c", _HOP, module], input=data, stdout=subprocess.PIPE, check=True).stdout


def test_an_exception_class_of_main_returns_to_its_process_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    source = (
        "class Failure(Exception):\n"
        "    made = 0\n"
        "    def __init__(self, hops): super().__init__(hops); self.hops = hops\n"
        "    def own_class(self): return Failure\n"
    )
    exec(source, namespace)
    failure = namespace["Failure"]
    monkeypatch.setattr(sys.modules["__main__"], "Failure", failure, raising=False)
    method = failure.own_class
    sent, _ = dumps(failure(1))
    failure.made = 1
    back = loads(through_another_process(through_another_process(sent, "__main__"), "__main__"))
    assert type(back) is failure
    assert back.hops == 3
    assert failure.made == 1
    assert failure.own_class is method


def test_a_module_registered_by_value_needs_not_exist_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "beside_the_script.py").write_text(
        "class Failure(Exception):\n"
        "    def __init__(self, hops): super().__init__(hops); self.hops = hops\n"
        "    def own_class(self): return Failure\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import beside_the_script  # type: ignore[import-not-found]

    cloudpickle.register_pickle_by_value(beside_the_script)
    try:
        back = loads(through_another_process(dumps(beside_the_script.Failure(1))[0], "beside_the_script"))
    finally:
        cloudpickle.unregister_pickle_by_value(beside_the_script)
        del sys.modules["beside_the_script"]
    assert type(back) is beside_the_script.Failure
    assert back.hops == 2


def test_two_classes_that_name_each_other_travel() -> None:
    class Left:
        def other(self) -> type:
            return Right

    class Right:
        def other(self) -> type:
            return Left

    assert type(loads(dumps(Left())[0])) is Left
    assert loads(dumps(Right())[0]).other() is Left


@pytest.mark.parametrize(
    ("value", "root", "path"),
    [
        (((Holder(env=Lockful()),), {}), ("args", "kwargs"), "args[0].env._lock"),
        (((), {"by": [1, {"x": Lockful()}]}), ("args", "kwargs"), "kwargs['by'][1]['x']._lock"),
        (Slotted(threading.Lock()), "result", "result.part"),
        (threading.Lock(), "result", "result"),
    ],
)
def test_errors_name_the_path_of_the_part_that_can_not_be_sent(value: Any, root: Any, path: str) -> None:
    with pytest.raises(SerializationError) as caught:
        dumps(value, root=root)
    assert str(caught.value).startswith(f"{path} can't be sent: cannot pickle '_thread.lock' object")
    assert caught.value.executed == "no"


def test_errors_name_the_variable_that_a_function_captured() -> None:
    held = threading.Lock()
    with pytest.raises(SerializationError, match=r"value\.<closure>\.held can't be sent"):
        dumps(lambda: held)


def test_a_reduce_that_raises_is_an_error_with_its_path() -> None:
    class Rude:
        def __getstate__(self) -> object:
            raise OSError("not now")

    with pytest.raises(SerializationError, match=r"value\[1\] can't be sent: not now \(it is a .*Rude\)"):
        dumps([1, Rude()])


def test_a_value_too_deep_to_pickle_is_an_error() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(SerializationError, match="recursion"):
        dumps(value)
    while value:  # taken apart step by step: freeing it at once would recurse, too
        value = value.pop()


MAIN = """\
def outer(key):
    def inner():
        return {"a": 1}[key]
    return inner()
"""


def function_of_main(name: str) -> Any:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(MAIN, name, "exec"), namespace)
    return namespace["outer"]


def traceback_of(function: Any) -> str:
    with pytest.raises(KeyError) as caught:
        function("b")
    return "".join(traceback.format_exception(caught.value))


def test_code_of_a_script_keeps_its_file_and_line(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(MAIN)
    arrived = loads(dumps(function_of_main(str(script)))[0])
    assert f'File "{script}", line 3, in inner\n    return {{"a": 1}}[key]\n' in traceback_of(arrived)


def test_code_of_a_script_does_not_carry_its_source(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(MAIN)
    assert b"return inner()" not in dumps(function_of_main(str(script)))[0]


@pytest.fixture
def cell() -> Iterator[str]:
    """The name of a cell, which is no file: only `linecache` knows its source."""
    name = f"/tmp/ipykernel_1/{random.randbytes(8).hex()}.py"
    yield name
    linecache.cache.pop(name, None)


def test_code_of_a_notebook_cell_brings_its_source_to_a_process_that_has_it_not(cell: str) -> None:
    linecache.cache[cell] = (len(MAIN), None, MAIN.splitlines(keepends=True), cell)
    data, _ = dumps(function_of_main(cell))
    del linecache.cache[cell]
    arrived = traceback_of(loads(data))
    assert f'File "{cell}", line 4, in outer\n    return inner()\n' in arrived
    assert f'File "{cell}", line 3, in inner\n    return {{"a": 1}}[key]\n' in arrived


def test_code_of_a_notebook_cell_that_comes_home_leaves_its_source_alone(cell: str) -> None:
    entry = linecache.cache[cell] = (len(MAIN), None, MAIN.splitlines(keepends=True), cell)
    loads(dumps(function_of_main(cell))[0])
    assert linecache.cache[cell] is entry


def test_code_whose_source_is_unknown_arrives_without_it(cell: str) -> None:
    assert f'File "{cell}", line 3, in inner\n' in traceback_of(loads(dumps(function_of_main(cell))[0]))
