"""A store in this process, and two clients of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actorrt.config import MIB
from actorrt.ids import IdSource
from actorrt.machine.clock import MonotonicClock
from actorrt.machine.surroundings import Surroundings
from actorrt.store.client.client import StoreClient
from actorrt.store.server.local import LocalStore

IDS = IdSource()


@pytest.fixture
def store() -> Iterator[LocalStore]:
    store = LocalStore(64 * MIB, MonotonicClock())
    yield store
    store.close()


def connect(store: LocalStore) -> StoreClient:
    peer = IDS.peer()
    return StoreClient(store.open_channel(peer, 7), peer, Surroundings.of_process())


@pytest.fixture
def client(store: LocalStore) -> Iterator[StoreClient]:
    client = connect(store)
    yield client
    client.close()


@pytest.fixture
def other(store: LocalStore) -> Iterator[StoreClient]:
    client = connect(store)
    yield client
    client.close()
