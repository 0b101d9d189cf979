"""The form of a value inside an object of the store.

An object is a head (`_HEAD`, then msgpack), padded to the alignment, followed by the value's buffers. Each buffer is
aligned, so that arrays are read in place:

    bytes    the bytes                                   array    shape, dtype and order in the head; the raw elements
    arrow    an IPC stream                               pickle   the pickle, then its out-of-band buffers
    plain    a short pickle without buffers and without objects of this package, such as refs

The values of messages have another form; see `pickling`.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

import msgpack
import numpy as np

from actorrt.config import KIB
from actorrt.errors import SerializationError
from actorrt.store.memory.arena import align
from actorrt.store.values.carrier import Carrier
from actorrt.store.values.dlpack import from_dlpack
from actorrt.store.values.pickling import Buffer, dumps, is_bare, loads, not_opened

if TYPE_CHECKING:
    import pyarrow as pa

_MAGIC: Final = b"AO"
_VERSION: Final = 1
_HEAD: Final = struct.Struct("<2sBBI")
_PLAIN_OFFSET: Final = 16
_PLAIN_BYTES: Final = 8 * KIB
_COPIED_AT_ONCE_BYTES: Final = 8 * KIB
_APART_COUNT: Final = 4  # up to this number, buffers are stored separately, even small ones
_OWN_PACKAGE: Final = __name__.partition(".")[0].encode()
_PLAIN_KINDS: Final = "?biufcmM"


class ObjectFormat(IntEnum):
    """The format of an object."""

    BYTES = 1
    ARRAY = 2
    ARROW = 3
    PICKLE = 4
    PLAIN = 5


_PLAIN_HEAD: Final = _HEAD.pack(_MAGIC, _VERSION, ObjectFormat.PLAIN, 0).ljust(_PLAIN_OFFSET, b"\0")


@dataclass(slots=True)
class Encoded:
    """A value, ready to be written into an object.

    Attributes:
        length_bytes: the object's length.
        head: its first bytes; all of them, if nothing is left to write.
    """

    length_bytes: int
    head: bytes
    _writers: Sequence[tuple[int, int, Callable[[memoryview], None]]] = ()

    @classmethod
    def of_bytes(cls, data: memoryview) -> Encoded:
        """Return an object from its bytes."""
        return cls(data.nbytes, b"", [(0, data.nbytes, _copier(data))])

    @property
    def is_plain(self) -> bool:
        """Whether `head` is the whole object, in the format that `decode_plain` reads."""
        return not self._writers

    def to_bytes(self) -> bytes:
        """Return the object as bytes."""
        if self.is_plain:
            return self.head
        target = bytearray(self.length_bytes)
        self.write(memoryview(target))
        return bytes(target)

    def write(self, target: memoryview) -> None:
        """Write the object; large buffers are copied without the interpreter lock."""
        target[: len(self.head)] = self.head
        for offset, length, write in self._writers:
            write(target[offset : offset + length])


def encode(value: Any, carrier: Carrier) -> Encoded:
    """Return a value as an object. It refers to the value's memory, which must not change until the object is written.

    Raises:
        SerializationError: the value can't be stored; the message names the path of the part at fault.
    """
    if type(value) is np.ndarray and _is_plain(value.dtype):
        return _encode_array(value)
    if type(value) in (bytes, bytearray):
        return _assemble(ObjectFormat.BYTES, [type(value).__name__], [(len(value), _copier(value))])
    if type(value).__module__.startswith("pyarrow."):
        encoded = _encode_arrow(value)
        if encoded is not None:
            return encoded
    try:
        return encode_pickled(*dumps(value, carrier, apart_count=_APART_COUNT))
    except SerializationError:
        array = from_dlpack(value)
        if array is None:
            raise
        return _encode_array(array)


def encode_pickled(data: Buffer, buffers: Sequence[Buffer]) -> Encoded:
    """Return the result of `dumps` as an object."""
    if not buffers and len(data) <= _PLAIN_BYTES and is_bare(data) and _OWN_PACKAGE not in data:
        plain = _PLAIN_HEAD + data
        return Encoded(len(plain), plain)
    parts = [memoryview(part) for part in (data, *buffers)]
    return _assemble(
        ObjectFormat.PICKLE, [part.nbytes for part in parts], [(part.nbytes, _copier(part)) for part in parts]
    )


def decode(view: memoryview, carrier: Carrier) -> Any:
    """Read a value from an object.

    Args:
        view: the object's bytes, read-only. Arrays refer to it while they live.
        carrier: rebuilds the refs inside.

    Raises:
        ValueError: the bytes are not an object.
        Exception: any error of the code that rebuilds a pickled value.
    """
    magic, version, kind, head_bytes = _HEAD.unpack_from(view)
    if kind == ObjectFormat.PLAIN and version == _VERSION:
        return decode_plain(view)
    if magic != _MAGIC or version != _VERSION:
        raise ValueError(f"the bytes begin with {bytes(view[:4])!r}: this is not an object of version {_VERSION}")
    head = msgpack.unpackb(view[_HEAD.size : _HEAD.size + head_bytes])
    body_offset = align(_HEAD.size + head_bytes)
    match kind:
        case ObjectFormat.ARRAY:
            return _decode_array(head, view, body_offset)
        case ObjectFormat.BYTES:
            return (bytes if head[0] == "bytes" else bytearray)(view[body_offset : body_offset + head[1]])
        case ObjectFormat.ARROW:
            return _decode_arrow(head, view[body_offset:])
    return _decode_pickled(head, view, body_offset, carrier)


def decode_plain(view: memoryview) -> Any:
    """Read a value from a plain object, which needs no carrier."""
    try:
        return pickle.loads(view[_PLAIN_OFFSET:])
    except Exception:
        raise
    except BaseException as error:  # as in `loads`
        raise not_opened(error) from error


def _assemble(kind: ObjectFormat, head: list[Any], parts: list[tuple[int, Callable[[memoryview], None]]]) -> Encoded:
    if kind is ObjectFormat.BYTES:
        head = [*head, parts[0][0]]
    packed = msgpack.packb(head)
    offset = align(_HEAD.size + len(packed))
    writers = []
    for length, write in parts:
        writers.append((offset, length, write))
        offset += align(length)
    return Encoded(offset, _HEAD.pack(_MAGIC, _VERSION, kind, len(packed)) + packed, writers)


def _copier(source: Buffer) -> Callable[[memoryview], None]:
    def copy(target: memoryview) -> None:
        if len(target) <= _COPIED_AT_ONCE_BYTES:
            target[:] = memoryview(source)
        else:
            # numpy copies without the interpreter lock; assigning to a slice of a memoryview holds it.
            np.copyto(np.frombuffer(target, np.uint8), np.frombuffer(source, np.uint8))

    return copy


def _decode_pickled(lengths: list[int], view: memoryview, offset: int, carrier: Carrier) -> Any:
    parts = []
    for length in lengths:
        parts.append(view[offset : offset + length])
        offset += align(length)
    return loads(parts[0], parts[1:], carrier)


# numpy


def _is_plain(dtype: np.dtype[Any]) -> bool:
    """Whether `dtype.str` describes the dtype: it has no fields, objects, strings of numpy 2, or metadata."""
    return dtype.kind in _PLAIN_KINDS and dtype.metadata is None


def array_head(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[bytes, int, int]:
    """Return the head of an object for a C-ordered array, the array's offset, and the object's length in bytes.

    Raises:
        TypeError: elements of this dtype can't be written in place.
    """
    if not _is_plain(dtype):
        raise TypeError(f"arrays of dtype {dtype} can't be written in place: put() takes them")
    length = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    head, offset = _array_head(dtype.str, shape, "C")
    return head, offset, offset + align(length)


@lru_cache(maxsize=256)
def _array_head(dtype: str, shape: tuple[int, ...], order: str) -> tuple[bytes, int]:
    """Return the head of an array's object and the offset of the elements; cached, because the same forms recur."""
    packed = msgpack.packb([dtype, list(shape), order])
    return _HEAD.pack(_MAGIC, _VERSION, ObjectFormat.ARRAY, len(packed)) + packed, align(_HEAD.size + len(packed))


def _encode_array(array: np.ndarray[Any, Any]) -> Encoded:
    flags = array.flags
    order: Literal["C", "F"] = "F" if flags.f_contiguous and not flags.c_contiguous else "C"

    def copy(target: memoryview) -> None:
        np.copyto(np.ndarray(array.shape, array.dtype, target, order=order), array)

    head, offset = _array_head(array.dtype.str, array.shape, order)
    length = array.nbytes
    return Encoded(offset + align(length), head, ((offset, length, copy),))


def _decode_array(head: list[Any], view: memoryview, offset: int) -> np.ndarray[Any, Any]:
    dtype, shape, order = head
    return np.ndarray(tuple(shape), np.dtype(dtype), view, offset, order=order)


# Arrow: every value is stored as a stream of record batches and read as its own type


def _encode_arrow(value: Any) -> Encoded | None:
    import pyarrow as pa

    table: pa.Table | pa.RecordBatch
    if isinstance(value, pa.Tensor):
        return _assemble(
            ObjectFormat.ARROW,
            ["Tensor"],
            [(pa.ipc.get_tensor_size(value), lambda target: _fill_tensor(value, target))],
        )
    if isinstance(value, pa.Table | pa.RecordBatch):
        table = value
    elif isinstance(value, pa.ChunkedArray):
        table = pa.table([value], names=["values"])
    elif isinstance(value, pa.Array):
        table = pa.record_batch([value], names=["values"])
    else:
        return None
    length = _write_arrow(table, pa.MockOutputStream())
    kind = next(cls.__name__ for cls in (pa.Table, pa.RecordBatch, pa.ChunkedArray, pa.Array) if isinstance(value, cls))
    return _assemble(ObjectFormat.ARROW, [kind], [(length, lambda target: _fill_arrow(table, target))])


def _write_arrow(table: pa.Table | pa.RecordBatch, sink: pa.NativeFile) -> int:
    import pyarrow as pa

    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    length: int = sink.size() if isinstance(sink, pa.MockOutputStream) else sink.tell()
    return length


def _fill_arrow(table: pa.Table | pa.RecordBatch, target: memoryview) -> None:
    import pyarrow as pa

    _write_arrow(table, pa.FixedSizeBufferWriter(pa.py_buffer(target)))


def _fill_tensor(tensor: pa.Tensor, target: memoryview) -> None:
    import pyarrow as pa

    pa.ipc.write_tensor(tensor, pa.FixedSizeBufferWriter(pa.py_buffer(target)))


def _decode_arrow(head: list[Any], body: memoryview) -> Any:
    import pyarrow as pa

    if head[0] == "Tensor":
        return pa.ipc.read_tensor(pa.BufferReader(pa.py_buffer(body)))
    with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
        table = reader.read_all()
    match head[0]:
        case "Table":
            return table
        case "ChunkedArray":
            return table.column(0)
    batches = table.to_batches()
    batch = batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
    return batch if head[0] == "RecordBatch" else batch.column(0)
