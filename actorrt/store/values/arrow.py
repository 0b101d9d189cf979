"""Values of the store as Arrow data, for pyarrow and for libraries that use Arrow's C interfaces.

Arrow refers to the memory if it can, and nothing is copied: tables stay as they are; arrays of numbers become flat
arrays, or fixed-size lists of their shape. A mapping of names to columns becomes a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def to_arrow(value: Any) -> Any:
    """Return a value as Arrow data.

    Args:
        value: Arrow data, which stays as it is; a numpy array or torch CPU tensor, whose rows become fixed-size lists;
            bytes, which become numbers of 8 bits; a mapping of names to columns of one length, which becomes a table.

    Raises:
        TypeError: the value is none of these.
    """
    if type(value).__module__.startswith("pyarrow."):
        return value
    if isinstance(value, Mapping):
        return to_table(value)
    if isinstance(value, bytes | bytearray):
        value = np.frombuffer(value, np.uint8)
    if hasattr(value, "detach"):  # a torch tensor, without importing torch for it
        value = value.detach().numpy()
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        raise TypeError(f"a {type(value).__name__} is neither tabular nor numeric: it has no Arrow form")
    return _array(value)


def _array(array: np.ndarray[Any, Any]) -> pa.Array:
    import pyarrow as pa

    try:
        made: pa.Array = pa.array(array.reshape(-1))
    except pa.ArrowException as error:
        raise TypeError(f"an array of dtype {array.dtype} has no Arrow form: {error}") from error
    for length in reversed(array.shape[1:]):
        if length == 0:
            raise TypeError(f"an array of shape {array.shape} has no Arrow form: its rows are empty")
        made = pa.FixedSizeListArray.from_arrays(made, length)
    return made


def to_table(value: Any) -> pa.Table:
    """Return a tabular value as a table; a single column is called "values".

    Raises:
        TypeError: the value is not tabular.
    """
    import pyarrow as pa

    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    if isinstance(value, Mapping):
        try:
            return pa.table({str(name): to_arrow(column) for name, column in value.items()})
        except pa.ArrowInvalid as error:
            raise TypeError(f"the columns {list(value)} make no table: {error}") from error
    return pa.table({"values": to_arrow(value)})


def to_batch_or_array(value: Any) -> pa.RecordBatch | pa.Array:
    """Return a value as one array or one batch, for Arrow's C data interface; a table's pieces are joined.

    Raises:
        TypeError: the value is neither tabular nor numeric.
    """
    import pyarrow as pa

    value = to_arrow(value)
    if isinstance(value, pa.Table):
        batches = value.combine_chunks().to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=value.schema)
    return value.combine_chunks() if isinstance(value, pa.ChunkedArray) else value
