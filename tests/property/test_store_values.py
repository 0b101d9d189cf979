"""Values pass through the codec and the store unchanged."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import hypothesis.extra.numpy as npst
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from actorrt.store.values.carrier import Carrier
from actorrt.store.values.encoding import decode, encode
from actorrt.store.values.pickling import dumps, loads

SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)
DTYPES = st.one_of(
    npst.scalar_dtypes(),
    npst.byte_string_dtypes(),
    npst.unicode_string_dtypes(),
    npst.array_dtypes(),
    st.just(np.dtype(object)),
)
ARRAYS = DTYPES.flatmap(lambda dtype: npst.arrays(dtype, SHAPES) if dtype.kind != "O" else OBJECT_ARRAYS)
OBJECT_ARRAYS = npst.arrays(np.dtype(object), SHAPES, elements=st.one_of(st.integers(), st.text(max_size=3)))
LAYOUTS = st.sampled_from(["as it is", "transposed", "reversed", "strided", "fortran"])


@dataclass
class Sample:
    """A user's class."""

    name: str
    parts: list[Any] = field(default_factory=list)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())
VALUES = st.recursive(
    st.one_of(SCALARS, npst.arrays(npst.scalar_dtypes(), SHAPES)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=4), inner, max_size=4),
        st.tuples(inner, inner),
        st.builds(Sample, st.text(), st.lists(inner, max_size=3)),
    ),
    max_leaves=8,
)


def laid_out(array: np.ndarray[Any, Any], layout: str) -> np.ndarray[Any, Any]:
    match layout:
        case "transposed":
            return array.T
        case "reversed":
            return array[::-1] if array.ndim else array
        case "strided":
            return array[..., ::2] if array.ndim else array
        case "fortran":
            return np.asfortranarray(array)
    return array


def through_the_store(value: Any) -> Any:
    encoded = encode(value, Carrier(copies_count=0))
    target = memoryview(bytearray(encoded.length_bytes))
    encoded.write(target)
    return decode(target.toreadonly(), Carrier(copies_count=0))


def through_a_message(value: Any) -> Any:
    data, buffers = dumps(value)
    return loads(data, [bytes(buffer) for buffer in buffers])


def same(left: Any, right: Any) -> bool:
    if isinstance(left, np.ndarray):
        is_alike = left.dtype == right.dtype and left.shape == right.shape and type(left) is type(right)
        return is_alike and all(same(a, b) for a, b in zip(left.ravel(), right.ravel(), strict=True))
    if isinstance(left, np.void):
        return left.tobytes() == right.tobytes()
    if isinstance(left, float | complex | np.inexact) and np.isnan(left):
        return bool(np.isnan(right))
    if isinstance(left, np.datetime64 | np.timedelta64) and np.isnat(left):
        return bool(np.isnat(right))
    if isinstance(left, list | tuple):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, Sample):
        return left.name == right.name and same(left.parts, right.parts)
    return bool(left == right) and type(left) is type(right)


@settings(max_examples=150, deadline=None)
@given(ARRAYS, LAYOUTS)
def test_arrays_of_every_dtype_shape_and_layout(array: np.ndarray[Any, Any], layout: str) -> None:
    array = laid_out(array, layout)
    for way in (through_the_store, through_a_message):
        back = way(array)
        assert same(array, back)
        if not array.dtype.hasobject:
            assert not back.flags.writeable


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_nested_structures(value: Any) -> None:
    assert same(value, through_the_store(value))
    assert same(value, through_a_message(value))


COLUMNS = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=20),
    st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=20),
    st.lists(st.lists(st.floats(allow_nan=False), max_size=3), max_size=10),
)


@settings(max_examples=60, deadline=None)
@given(COLUMNS, st.integers(0, 5))
def test_arrow_arrays_batches_and_tables(column: list[Any], start: int) -> None:
    array = pa.array(column).slice(start)
    batch = pa.record_batch([array], names=["x"])
    chunked = pa.chunked_array([array, array])
    for value in (array, batch, chunked, pa.table({"x": chunked})):
        back = through_the_store(value)
        assert type(back) is type(value)
        assert back.equals(value)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 20_000), max_size=8))
def test_buffers_of_every_size_keep_their_order_and_contents(sizes: list[int]) -> None:
    arrays = [np.full(size, index, np.uint8) for index, size in enumerate(sizes)]
    back = through_a_message(arrays)
    assert [array.tobytes() for array in back] == [array.tobytes() for array in arrays]
    data, large = dumps(arrays)
    assert [len(buffer) for buffer in large] == [size for size in sizes if size > 8192]
    assert len(data) < 1000 + sum(size + 64 for size in sizes if size <= 8192)
    assert math.prod(len(buffer) > 8192 for buffer in large) == 1
