"""Values of the store as Arrow data and as tensors, for other libraries and from them."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import nanoarrow
import numpy as np
import pyarrow as pa
import pytest

from actorrt.config import MIB
from actorrt.errors import SerializationError
from actorrt.ids import IdSource
from actorrt.machine.clock import MonotonicClock
from actorrt.machine.surroundings import Surroundings
from actorrt.store.client.client import StoreClient
from actorrt.store.server.local import LocalStore

IDS = IdSource()


@pytest.fixture
def client() -> Iterator[StoreClient]:
    store = LocalStore(64 * MIB, MonotonicClock())
    peer = IDS.peer()
    client = StoreClient(store.open_channel(peer, 7), peer, Surroundings.of_process())
    yield client
    client.close()
    store.close()


def test_an_array_is_read_by_arrow_where_it_lies(client: StoreClient) -> None:
    ref = client.put(np.arange(1000, dtype=np.int64))
    address = ref.get().__array_interface__["data"][0]
    array = ref.to_arrow()
    assert array.buffers()[1].address == address
    assert array.to_pylist() == list(range(1000))


def test_rows_of_an_array_are_fixed_size_lists(client: StoreClient) -> None:
    array = client.put(np.arange(12, dtype=np.float32).reshape(2, 3, 2)).to_arrow()
    assert array.type == pa.list_(pa.list_(pa.float32(), 2), 3)
    assert array.to_pylist() == np.arange(12.0).reshape(2, 3, 2).tolist()


def test_a_mapping_of_columns_is_a_table_to_any_reader_of_streams(client: StoreClient) -> None:
    ref = client.put({"reward": np.array([0.5, 1.5]), "action": np.array([[1, 2], [3, 4]])})
    table = pa.table(ref)
    assert table.to_pydict() == {"reward": [0.5, 1.5], "action": [[1, 2], [3, 4]]}
    assert ref.to_arrow() == table


def test_another_library_reads_a_table_through_the_c_stream_interface(client: StoreClient) -> None:
    ref = client.put(pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]}))
    stream = nanoarrow.ArrayStream(ref)
    assert [row for array in stream for row in array.iter_py()] == [
        {"a": 1, "b": "x"},
        {"a": 2, "b": None},
        {"a": 3, "b": "z"},
    ]


def test_another_library_reads_an_array_where_it_lies_through_the_c_data_interface(client: StoreClient) -> None:
    ref = client.put(np.arange(1000.0))
    array = nanoarrow.c_array(ref)
    assert (array.schema.format, array.length) == ("g", 1000)  # double
    read = np.asarray(array.view().buffer(1))
    assert read.tolist() == list(range(1000))
    assert np.shares_memory(read, ref.get())


def test_batches_and_tables_in_pieces_go_through_the_c_data_interface(client: StoreClient) -> None:
    pieces = pa.concat_tables([pa.table({"a": [1, 2]}), pa.table({"a": [3]})])
    for value in (pieces, pieces.combine_chunks().to_batches()[0]):
        assert nanoarrow.Array(client.put(value)).to_pylist() == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert pa.array(client.put(pieces["a"])).to_pylist() == [1, 2, 3]
    assert pa.schema(client.put(pieces)) == pieces.schema


def test_arrow_tensors_are_views_of_the_store(client: StoreClient) -> None:
    array = np.arange(100_000.0).reshape(1000, 100)
    tensor = pa.Tensor.from_numpy(array, dim_names=["row", "column"])
    ref = client.put(tensor)
    read = ref.get()
    assert read.equals(tensor)
    assert read.dim_names == ["row", "column"]
    assert np.shares_memory(read.to_numpy(), ref.get().to_numpy())
    inside = client.put({"tensors": [tensor]}).get()["tensors"][0]
    assert inside.equals(tensor)


def test_arrays_go_to_other_libraries_through_dlpack_and_are_safe_from_them(client: StoreClient) -> None:
    torch = pytest.importorskip("torch")
    for count in (10, 1_000_000):
        ref = client.put(np.arange(count))
        tensor = torch.from_dlpack(ref)
        tensor += 1  # without a mapping of its own, this would end the process
        assert tensor[-1] == count
        assert ref.get()[-1] == count - 1
    assert np.from_dlpack(client.put(np.ones((2, 3)))).tolist() == [[1, 1, 1], [1, 1, 1]]
    with pytest.raises(TypeError, match="no DLPack form"):
        np.from_dlpack(client.put({"a": 1}))


def test_a_value_that_can_not_be_pickled_but_supports_dlpack_is_stored_as_an_array(client: StoreClient) -> None:
    class Foreign:
        def __init__(self, device: int) -> None:
            self.array, self.device = np.arange(12.0).reshape(3, 4), device

        def __reduce__(self) -> str:
            raise TypeError("no pickle")

        def __dlpack__(self, **options: object) -> object:
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self) -> tuple[int, int]:
            return self.device, 0

    assert client.put(Foreign(1)).get().tolist() == np.arange(12.0).reshape(3, 4).tolist()
    with pytest.raises(SerializationError, match="no pickle"):
        client.put(Foreign(2))  # on another device


@pytest.mark.parametrize("value", ["text", np.float64(1), np.array("text"), np.zeros((2, 0)), {"a": [1]}, [1, 2]])
def test_a_value_without_an_arrow_form_is_a_type_error(client: StoreClient, value: object) -> None:
    with pytest.raises(TypeError, match="no Arrow form"):
        client.put(value).to_arrow()


def test_a_large_tensor_lies_in_the_store_and_is_written_to_by_its_reader_alone(client: StoreClient) -> None:
    torch = pytest.importorskip("torch")
    ref = client.put({"weights": torch.arange(200_000)})
    first, second = ref.get()["weights"], ref.get()["weights"]
    first += 1
    assert first[:3].tolist() == [1, 2, 3]
    assert second[:3].tolist() == [0, 1, 2]
    del ref, first
    gc.collect()
    assert client.stats()["objects_count"] == 1
    assert second.sum() == sum(range(200_000))
    del second
    gc.collect()
    assert client.stats()["objects_count"] == 0
