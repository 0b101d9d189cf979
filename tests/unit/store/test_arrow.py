"""Values of the store as Arrow data, and torch tensors on it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from actorrt.clock import MonotonicClock
from actorrt.config import MIB
from actorrt.ids import IdSource
from actorrt.store.client import StoreClient
from actorrt.store.local import LocalStore

IDS = IdSource()


@pytest.fixture
def client() -> Iterator[StoreClient]:
    store = LocalStore(64 * MIB, MonotonicClock())
    peer = IDS.peer()
    client = StoreClient(store.open_channel(peer), peer)
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


def test_polars_reads_a_table_through_the_c_stream_interface(client: StoreClient) -> None:
    polars = pytest.importorskip("polars")
    ref = client.put(pa.table({"a": [1, 2, 3]}))
    assert polars.DataFrame(ref).to_dict(as_series=False) == {"a": [1, 2, 3]}


@pytest.mark.parametrize("value", ["text", np.float64(1), np.array("text"), np.zeros((2, 0)), {"a": [1]}, [1, 2]])
def test_what_has_no_arrow_form_is_a_type_error(client: StoreClient, value: object) -> None:
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
