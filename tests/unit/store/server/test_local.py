"""A store within one process, and its disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actorrt.config import MIB
from actorrt.errors import ObjectStoreFullError
from actorrt.ids import IdSource
from actorrt.machine.clock import MonotonicClock
from actorrt.machine.surroundings import Surroundings
from actorrt.store.client.client import StoreClient
from actorrt.store.memory.disk import SpillDisk
from actorrt.store.server.local import LocalStore


def test_spill_files_of_a_local_store_never_exceed_the_quota(tmp_path: Path) -> None:
    store = LocalStore(8 * MIB, MonotonicClock(), disk=SpillDisk(str(tmp_path), 1 * MIB))
    peer = IdSource().peer()
    client = StoreClient(store.open_channel(peer, 7), peer, Surroundings.of_process())
    try:
        ref = client.put(np.zeros(5 * MIB, np.uint8))
        with pytest.raises(ObjectStoreFullError, match="0 of 1 MiB of the spill quota are used"):
            client.put(np.zeros(5 * MIB, np.uint8))
        assert ref.get().nbytes == 5 * MIB
    finally:
        client.close()
        store.close()
