"""Turns any Python value into bytes and out-of-band buffers, and back.

The C pickler serialises ordinary values, once. Values that it refuses, and everything defined in `__main__` or in a
module registered with `cloudpickle.register_pickle_by_value`, are sent by value with cloudpickle, so that a process
without that `__main__` can load them. A class sent by value is fixed when it is first sent. The process that defined it
gets its own class back and never a copy, so `except` and `isinstance` hold over any number of hops. The code of the
class keeps its file and lines (`actorrt.store.values.code`).

The data is a plain pickle (which begins with 0x80), or `_PACKED`, a table of buffer lengths, the pickle, and the
buffers that are too small to be sent separately.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import accumulate
from types import CodeType
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast
from weakref import WeakKeyDictionary, WeakValueDictionary

from actorrt.errors import SerializationError
from actorrt.interrupts import let_through
from actorrt.store.values.carrier import Carrier, carrying, current_carrier
from actorrt.store.values.code import reduce_code
from actorrt.store.values.pickle_diagnosis import find_culprit
from actorrt.texts import in_words

if TYPE_CHECKING:
    import numpy as np
    import torch

Buffer = bytes | bytearray | memoryview

INLINE_BUFFER_BYTES: Final = 8 * 1024
_MAPPED_TENSOR_BYTES: Final = 256 * 1024  # below, a copy costs less than a mapping
_PROTOCOL: Final = 5
_PACKED: Final = 0x01
_OUT_OF_BAND: Final = (1 << 64) - 1
_PACK_ALIGNMENT: Final = 16
_REFUSALS: Final = (pickle.PicklingError, TypeError, AttributeError)
_MAIN: Final = b"__main__"
_COPIED_ARRAY: Final = b"_reconstruct"  # numpy: an array that is not contiguous, pickled in band

Reduced = tuple[Any, ...]

_explain_missing: Callable[[ModuleNotFoundError], None] | None = None


def dumps(
    value: Any, carrier: Carrier | None = None, *, root: str | tuple[str, ...] = "value", apart_count: int = 0
) -> tuple[bytes, list[memoryview]]:
    """Serialise a value for one message or object.

    Args:
        value: anything that pickle or cloudpickle accepts.
        carrier: gathers the refs inside the value; None for the current carrier of this thread.
        root: the name of the value in errors; a tuple names the elements of a value that is a tuple.
        apart_count: up to so many buffers stay separate, even small ones.

    Returns:
        The data, and the large buffers: flat views of the *sender's* memory, valid for as long as they are held,
        to be copied or sent before the sender may change them.

    Raises:
        SerializationError: the message names the path of the part that can't be sent; the carrier is unchanged.
    """
    if carrier is None:
        return _dump(value, root, apart_count)
    with carrying(carrier):
        return _dump(value, root, apart_count)


def _dump(value: Any, root: str | tuple[str, ...], apart_count: int) -> tuple[bytes, list[memoryview]]:
    buffers: list[pickle.PickleBuffer] = []
    carrier = current_carrier()
    mark = carrier.mark() if carrier is not None else None
    try:
        data = _pickle(value, buffers, carrier, mark)
    # The value's own __reduce__ and __getstate__ ran: they may raise anything.
    except BaseException as error:
        let_through(error)
        message = find_culprit(value, root, error, _why_not_picklable)
        if carrier is not None and mark is not None:
            carrier.rewind(mark)
        raise SerializationError(message) from error
    if carrier is not None:
        carrier.begin_transits()
    if len(buffers) > apart_count:
        return _pack(data, buffers)
    return data, [buffer.raw() for buffer in buffers]


def is_bare(data: Buffer) -> bool:
    """Whether the data of `dumps` contains no buffers, so that the rebuilt value does not refer to it."""
    return data[0] != _PACKED


def loads(data: Buffer, buffers: Sequence[Buffer] = (), carrier: Carrier | None = None) -> Any:
    """Rebuild a value from the result of `dumps`.

    Arrays and other views of the buffers are read-only, and keep the buffers alive.

    Raises:
        SerializationError: the value's own code raised an exception that is not an `Exception`, such as SystemExit.
        Exception: any other error of importing and rebuilding the value's classes.
    """
    try:
        if carrier is None:
            return _load(data, buffers)
        with carrying(carrier):
            return _load(data, buffers)
    except ModuleNotFoundError as error:
        if _explain_missing is not None:
            _explain_missing(error)
        raise
    except Exception:
        raise
    except BaseException as error:
        raise not_opened(error) from error


def explain_missing_modules(explain: Callable[[ModuleNotFoundError], None]) -> None:
    """Have a function improve the message, when `loads` finds that this process lacks a module."""
    global _explain_missing
    _explain_missing = explain


def not_opened(error: BaseException) -> SerializationError:
    """Return the SerializationError for an exception that is not an `Exception`; lets Ctrl-C pass."""
    let_through(error)
    return SerializationError(f"a value can't be opened: its own code raised {in_words(error)}")


def _load(data: Buffer, buffers: Sequence[Buffer]) -> Any:
    if is_bare(data):
        return pickle.loads(data, buffers=map(_read_only, buffers)) if buffers else pickle.loads(data)
    pickled, unpacked = _unpack(memoryview(data), iter(buffers))
    return pickle.loads(pickled, buffers=unpacked)


def _pickle(
    value: Any, buffers: list[pickle.PickleBuffer], carrier: Carrier | None, mark: tuple[int, int] | None
) -> bytes:
    """Pickle with the C pickler; fall back to cloudpickle if the result would not load in other processes."""
    if "torch" not in sys.modules:
        try:
            data = pickle.dumps(value, _PROTOCOL, buffer_callback=buffers.append)
        except _REFUSALS:  # cloudpickle decides; its error is raised
            data = _MAIN
        if _MAIN not in data and _COPIED_ARRAY not in data and not _names_by_value(data):
            return data
        buffers.clear()
        if carrier is not None and mark is not None:
            carrier.rewind(mark)
    file = io.BytesIO()
    _pickler_class()(file, buffers.append).dump(value)
    return file.getvalue()


def _names_by_value(data: bytes) -> bool:
    """Whether the pickle names a module that the user registered to be pickled by value."""
    cloudpickle = sys.modules.get("cloudpickle")
    if cloudpickle is None:
        return False
    return any(module.encode() in data for module in cloudpickle.list_registry_pickle_by_value())


def _why_not_picklable(value: Any) -> BaseException | None:
    """Return the error of pickling a value, or None if it can be pickled."""
    try:
        _pickler_class()(io.BytesIO(), lambda _: None).dump(value)
    except BaseException as error:  # the value's own code ran, as in a dump
        let_through(error)
        return error
    return None


def _read_only(buffer: Buffer) -> memoryview:
    return memoryview(buffer).toreadonly()


def _aligned(offset: int) -> int:
    return -(-offset // _PACK_ALIGNMENT) * _PACK_ALIGNMENT


def _pack(data: bytes, buffers: list[pickle.PickleBuffer]) -> tuple[bytes, list[memoryview]]:
    """Append the small buffers to the pickle; large ones stay separate."""
    views: list[memoryview] = [buffer.raw() for buffer in buffers]
    large = [view for view in views if view.nbytes > INLINE_BUFFER_BYTES]
    if len(large) == len(views):
        return data, large
    lengths = [_OUT_OF_BAND if view.nbytes > INLINE_BUFFER_BYTES else view.nbytes for view in views]
    head = struct.pack(f"<B3xIQ{len(views)}Q", _PACKED, len(views), len(data), *lengths)
    pieces: list[Buffer] = [head, data, *(view for view in views if view.nbytes <= INLINE_BUFFER_BYTES)]
    return b"".join(_padded(pieces)), large


def _padded(pieces: Iterable[Buffer]) -> Iterable[Buffer]:
    for piece in pieces:
        yield piece
        yield bytes(_aligned(len(piece)) - len(piece))


def _unpack(packed: memoryview, large: Any) -> tuple[memoryview, list[memoryview]]:
    _, count, pickle_bytes = struct.unpack_from("<B3xIQ", packed)
    lengths = struct.unpack_from(f"<{count}Q", packed, 16)
    packed = packed.toreadonly()
    start = _aligned(16 + 8 * count)
    inline = [length for length in lengths if length != _OUT_OF_BAND]
    starts = iter(accumulate(map(_aligned, inline), initial=start + _aligned(pickle_bytes)))
    buffers = [
        _read_only(next(large)) if length == _OUT_OF_BAND else packed[(at := next(starts)) : at + length]
        for length in lengths
    ]
    return packed[start : start + pickle_bytes], buffers


# Classes that travel by value

_class_by_id: WeakValueDictionary[bytes, type] = WeakValueDictionary()
_sent_by_class: WeakKeyDictionary[type, tuple[bytes, bytes]] = WeakKeyDictionary()
"""The identity and pickle of every class that this process sent or received by value."""
_new_identity: Callable[[int], bytes] = os.urandom


@contextmanager
def no_classes_sent(new_identity: Callable[[int], bytes]) -> Iterator[None]:
    """Let this process be one that has sent and received no class by value, while the body runs.

    Args:
        new_identity: returns a number of bytes that name nothing yet.
    """
    global _class_by_id, _sent_by_class, _new_identity
    before = _class_by_id, _sent_by_class, _new_identity
    _class_by_id, _sent_by_class, _new_identity = WeakValueDictionary(), WeakKeyDictionary(), new_identity
    try:
        yield
    finally:
        _class_by_id, _sent_by_class, _new_identity = before


def _rebuild_class(identity: bytes, pickled: bytes) -> type:
    """Return the class of that identity: this process's own if there is one, else a copy that is made once."""
    known = _class_by_id.get(identity)
    if known is not None:
        return known
    made = pickle.loads(pickled)
    known = _class_by_id.setdefault(identity, made)
    _sent_by_class.setdefault(known, (identity, pickled))
    return known


@cache
def _pickler_class() -> Callable[..., pickle.Pickler]:
    """Make the careful pickler when it is first needed: cloudpickle takes 25 ms to import."""
    import cloudpickle

    inherited = cloudpickle.Pickler.dispatch_table

    class CarefulPickler(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table: ClassVar = ChainMap({CodeType: partial(reduce_code, reduce=inherited[CodeType])}, inherited)

        def __init__(
            self, file: io.BytesIO, buffer_callback: Callable[[Any], Any] | None, within: tuple[type, ...] = ()
        ) -> None:
            super().__init__(file, protocol=_PROTOCOL, buffer_callback=buffer_callback)
            self._within = within  # the classes whose own pickles are being made

        def reducer_override(self, obj: Any) -> Any:
            name = type(obj).__name__
            if name == "ndarray" and type(obj).__module__ == "numpy":
                return _reduce_array(obj)
            if name == "Tensor" and type(obj).__module__ == "torch":
                return _reduce_tensor(obj)
            if name == "Tensor" and type(obj).__module__ == "pyarrow.lib":
                return _reduce_arrow_tensor(obj)
            if type(obj) is memoryview:
                return _reduce_view(obj)
            if isinstance(obj, type) and obj not in self._within:
                sent = _sent_by_class.get(obj)
                return self._reduce_class(obj) if sent is None else (_rebuild_class, sent)
            return super().reducer_override(obj)

        def _reduce_class(self, cls: type) -> Any:
            reduced = super().reducer_override(cls)
            # Six parts: built anew with a state. Fewer: found by name, or one of Python's own.
            if not isinstance(reduced, tuple) or len(reduced) != 6:
                return reduced
            file = io.BytesIO()
            type(self)(file, None, (*self._within, cls)).dump(cls)
            sent = (_new_identity(16), file.getvalue())
            # Two classes that name each other: the inner one's pickle has part of the outer one in it.
            if not self._within:
                _class_by_id[sent[0]] = cls
                _sent_by_class[cls] = sent
            return (_rebuild_class, sent)

    return cast("Callable[..., pickle.Pickler]", CarefulPickler)


# Arrays and tensors


def _reduce_array(array: np.ndarray[Any, Any]) -> Any:
    """Send an array out of band if numpy would not: it is not contiguous, or its elements are dates."""
    import numpy as np

    dtype = array.dtype
    if dtype.hasobject or dtype.itemsize == 0:
        return NotImplemented
    if (array.flags.c_contiguous or array.flags.f_contiguous) and _is_exportable(array):
        return NotImplemented
    # numpy's pickle of a dtype of dates forgets its byte order, which its string keeps.
    form = dtype.str if dtype.kind in "mM" else dtype
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return _rebuild_array, (pickle.PickleBuffer(flat.data), form, array.shape)


def _is_exportable(array: np.ndarray[Any, Any]) -> bool:
    try:
        memoryview(array.data)
    except ValueError:
        return False
    return True


def _rebuild_array(data: Buffer, form: str | np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.ndarray(shape, np.dtype(form), data)


def _reduce_view(view: memoryview) -> Any:
    """Send a memoryview as a memoryview, out of band; cloudpickle would turn it into bytes."""
    import numpy as np

    array = np.asarray(view)
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return _rebuild_view, (pickle.PickleBuffer(flat.data), array.dtype, array.shape)


def _rebuild_view(data: Buffer, dtype: np.dtype[Any], shape: tuple[int, ...]) -> memoryview:
    return _rebuild_array(data, dtype, shape).data.toreadonly()


def _reduce_tensor(tensor: torch.Tensor) -> Any:
    """Send a plain CPU tensor as an array; torch's own pickle copies it through a file format."""
    import torch

    is_plain = tensor.device.type == "cpu" and tensor.layout == torch.strided and not tensor.requires_grad
    if not is_plain or tensor.is_conj() or tensor.is_neg() or tensor.is_quantized:
        return NotImplemented
    data = tensor.contiguous().flatten().view(torch.uint8) if tensor.numel() else torch.empty(0, dtype=torch.uint8)
    return _rebuild_tensor, (pickle.PickleBuffer(data.numpy().data), tensor.dtype, tuple(tensor.shape))


def _reduce_arrow_tensor(tensor: Any) -> Any:
    """Send an Arrow tensor, which can't be pickled, as Arrow's message for it."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    pa.ipc.write_tensor(tensor, sink)
    return _rebuild_arrow_tensor, (pickle.PickleBuffer(sink.getvalue()),)


def _rebuild_arrow_tensor(data: Buffer) -> Any:
    import pyarrow as pa

    return pa.ipc.read_tensor(pa.BufferReader(pa.py_buffer(data)))


def _rebuild_tensor(data: Buffer, dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    """Rebuild a tensor that can be written: torch has no read-only memory, and writing to it would end the process.

    Memory of the store is mapped privately: only this tensor sees the writes, and only written pages are copied.
    """
    import torch

    from actorrt.store.memory.views import private_copy

    if not len(data):
        return torch.empty(shape, dtype=dtype)
    view = memoryview(data)
    own = private_copy(view) if view.nbytes >= _MAPPED_TENSOR_BYTES else None
    return torch.frombuffer(bytearray(view) if own is None else own, dtype=dtype).reshape(shape)
