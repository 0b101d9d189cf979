"""Values of every kind, made from recipes: a recipe gives equal values at any time and in any process.

A recipe is plain data, `(kind, ...)`. `build` makes the value, `differences` describes how another value differs from
it, and `disturb` changes every mutable part in place.
"""

from __future__ import annotations

import datetime
import enum
import struct
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

Recipe = tuple[Any, ...]

LARGE_COUNT = 70_000  # elements; as bytes beyond what rides in a message


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Whole(int):
    """An int of a user's own."""


class Word(str):
    """A str of a user's own."""


class Settings(dict):  # type: ignore[type-arg]
    """A dict of a user's own."""


Point = namedtuple("Point", "x y")


@dataclass
class Sample:
    """A user's class."""

    name: str
    parts: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Fixed:
    """A user's class that can't be changed."""

    part: Any


class Slotted:
    """A user's class without a dict."""

    __slots__ = ("part",)

    def __init__(self, part: Any) -> None:
        self.part = part


CONSTANTS: dict[str, Callable[[], Any]] = {
    "ellipsis": lambda: ...,
    "class": lambda: Sample,
    "function": lambda: struct.calcsize,
    "enum": lambda: Colour.RED,
    "int enum": lambda: Level.HIGH,
    "int subclass": lambda: Whole(7),
    "str subclass": lambda: Word("seven"),
    "minus zero": lambda: -0.0,
    "not a number": lambda: float("nan"),
    "true": lambda: True,
    "range": lambda: range(3, 30, 4),
    "date": lambda: datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC),
    "decimal": lambda: Decimal("1.10"),
    "complex": lambda: complex(-0.0, float("inf")),
    "numpy float": lambda: np.float32(1.5),
    "numpy int": lambda: np.int64(-3),
    "numpy bool": lambda: np.bool_(True),
    "numpy date": lambda: np.datetime64("NaT"),
    "numpy str": lambda: np.str_("x"),
    "numpy dtype": lambda: np.dtype([("a", "<i4"), ("b", ">f8")]),
    "arrow array": lambda: pa.array([1, None, 3]).slice(1),
    "arrow strings": lambda: pa.array(["a", None] * 10_000),
    "arrow table": lambda: pa.table({"x": pa.chunked_array([[1, 2], [3]])}),
    "arrow batch": lambda: pa.record_batch([pa.array([[1.0], []])], names=["x"]),
    "large text": lambda: "x" * LARGE_COUNT,
    "large wide text": lambda: "\u00e4" * 2000,
    "large bytes": lambda: bytes(LARGE_COUNT),
    "large bytearray": lambda: bytearray(LARGE_COUNT),
    "large list": lambda: list(range(LARGE_COUNT)),
    "masked array": lambda: np.ma.masked_array([1.0, 2.0], [True, False]),
    "record array": lambda: np.rec.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
}


def _itself(item: Any) -> list[Any]:
    items = [item]
    items.append(items)
    return items


CONTAINERS: dict[str, Callable[..., Any]] = {
    "list": lambda *items: list(items),
    "tuple": lambda *items: items,
    "dict": lambda *items: dict(enumerate(items)),
    "dict by words": lambda *items: {Word(number): item for number, item in enumerate(items)},
    "ordered dict": lambda *items: OrderedDict(enumerate(items)),
    "dict subclass": lambda *items: Settings(enumerate(items)),
    "dataclass": lambda *items: Sample("sample", list(items)),
    "frozen": lambda *items: Fixed(items),
    "slotted": lambda *items: Slotted(list(items)),
    "named tuple": lambda *items: Point(items, len(items)),
    "objects": lambda *items: np.array([*items, None], dtype=object)[:-1],
    "twice": lambda *items: (lambda one: [one, {"again": one}])(list(items)),
    "itself": lambda *items: _itself(list(items)),
}


def build(recipe: Recipe) -> Any:
    """Return a new value that shares no part with another one."""
    kind, *given = recipe
    if kind == "plain":
        return given[0]
    if kind == "constant":
        return CONSTANTS[given[0]]()
    if kind == "array":
        return _array(*given)
    if kind == "set":
        return given[0](given[1])
    if kind == "buffer":
        return given[0](given[1])
    if kind == "view":
        return memoryview(bytearray(given[0]) if given[1] else given[0])
    return CONTAINERS[kind](*map(build, given))


def _array(form: str, shape: tuple[int, ...], layout: str) -> np.ndarray[Any, Any]:
    dtype = np.dtype(form)
    count = int(np.prod(shape, dtype=int))
    values = np.arange(1, count + 1).reshape(shape)
    array = np.asarray(values.astype(str).astype(dtype) if dtype.kind in "SU" else values.astype(dtype))
    match layout:
        case "transposed":
            array = array.T
        case "reversed":
            array = array[::-1] if array.ndim else array
        case "strided":
            array = array[..., ::2] if array.ndim else array
        case "fortran":
            array = np.asfortranarray(array)
        case "spread":
            array = np.broadcast_to(array, (2, *array.shape))
        case "fixed":
            array.setflags(write=False)
    return array


FORMS = ("?", "i1", "<i4", ">i4", "u8", "f2", "f4", ">f8", "c16", "M8[s]", "m8[ns]", "S3", "U2")
LAYOUTS = ("as it is", "transposed", "reversed", "strided", "fortran", "spread", "fixed")
SHAPES = st.sampled_from([(), (0,), (1,), (5,), (3, 0), (2, 3), (4, 3, 2), (3000,), (90, 100)])

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**63 - 2, 2**64 + 1),
    st.floats(),
    st.text(st.characters(exclude_categories=()), max_size=6),
    st.binary(max_size=6),
)
LEAVES = st.one_of(
    SCALARS.map(lambda value: ("plain", value)),
    st.sampled_from(sorted(CONSTANTS)).map(lambda name: ("constant", name)),
    st.tuples(st.just("array"), st.sampled_from(FORMS), SHAPES, st.sampled_from(LAYOUTS)),
    st.tuples(st.just("set"), st.sampled_from([set, frozenset]), st.lists(st.integers(), max_size=3)),
    st.tuples(st.just("buffer"), st.just(bytearray), st.binary(max_size=5)),
    st.tuples(st.just("view"), st.binary(max_size=5), st.booleans()),
)
RECIPES: st.SearchStrategy[Recipe] = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda kind, items: (kind, *items), st.sampled_from(sorted(CONTAINERS)), st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


def differences(wanted: Any, found: Any) -> list[str]:
    """Return the differences of the value that arrived from the value that was sent; empty if the rules are kept."""
    return list(_differences(wanted, found, "value", {}))


def _differences(wanted: Any, found: Any, path: str, seen: dict[int, Any]) -> Iterator[str]:
    if id(wanted) in seen:
        if seen[id(wanted)] is not found:
            yield f"{path} is not the same object as where it was met before"
    elif type(wanted) is not type(found):
        yield f"{path} is a {type(found).__name__}, not a {type(wanted).__name__}"
    elif isinstance(wanted, np.ndarray):
        yield from _array_differences(wanted, found, path, seen)
    elif (wanted_parts := _parts(wanted)) is None:
        if _essence(wanted) != _essence(found):
            yield f"{path}: {found!r}, not {wanted!r}"
        elif isinstance(found, memoryview) and not found.readonly:
            yield f"{path} can be written"
    else:
        if not isinstance(wanted, tuple):
            seen[id(wanted)] = found
        found_parts = _parts(found) or {}
        if _essence(list(wanted_parts)) != _essence(list(found_parts)):
            yield f"{path} has the parts {list(found_parts)}, not {list(wanted_parts)}"
            return
        for name, part in wanted_parts.items():
            yield from _differences(part, found_parts[name], f"{path}[{name!r}]", seen)


def _essence(value: Any) -> Any:
    """Return a key that is equal only for values that are equal in every bit."""
    if isinstance(value, memoryview):
        return value.format, value.shape, value.tobytes()
    if isinstance(value, float | complex | np.generic):
        return repr(value), getattr(value, "dtype", None)
    return [(type(name), name) for name in value] if isinstance(value, list) else value


def _array_differences(wanted: Any, found: Any, path: str, seen: dict[int, Any]) -> Iterator[str]:
    if (wanted.dtype, wanted.shape) != (found.dtype, found.shape):
        yield f"{path} is of {found.dtype} {found.shape}, not {wanted.dtype} {wanted.shape}"
    elif wanted.dtype.hasobject:
        for number, (one, other) in enumerate(zip(wanted.flat, found.flat, strict=True)):
            yield from _differences(one, other, f"{path}.flat[{number}]", seen)
    elif np.asarray(wanted).tobytes() != np.asarray(found).tobytes():
        yield f"{path}: {found!r}"
    elif type(found) is np.ndarray and found.flags.writeable:
        yield f"{path} can be written"


def _parts(value: Any) -> dict[Any, Any] | None:
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    if isinstance(value, dict):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    return {"part": value.part} if isinstance(value, Slotted) else None


def disturb(value: Any, seen: set[int] | None = None) -> None:
    """Change every mutable part in place."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        for part in value.flat:
            disturb(part, seen)
    for part in list((_parts(value) or {}).values()):
        disturb(part, seen)
    _change(value)


def _change(value: Any) -> None:
    match value:
        case list():
            value.append("disturbed")
        case dict():
            value["disturbed"] = True
        case set():
            value.add("disturbed")
        case bytearray():
            value[:] = bytes(len(value))
        case memoryview() if not value.readonly:
            value[:] = bytes(len(value))
        case np.ndarray() if value.flags.writeable:
            value[...] = np.zeros((), value.dtype)
        case Sample():
            value.name = "disturbed"
        case Slotted():
            value.part = "disturbed"
