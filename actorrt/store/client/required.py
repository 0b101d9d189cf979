"""The error of an endpoint that was made without an object store, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorrt.errors import RuntimeStateError

if TYPE_CHECKING:
    from actorrt.store.client.client import StoreClient


def required(store: StoreClient | None) -> StoreClient:
    """Return the store.

    Raises:
        RuntimeStateError: this process has none.
    """
    if store is None:
        raise RuntimeStateError(
            "this process has no object store, so no object can be put, read or kept: connect it to a node, as "
            "actorrt.init() does"
        )
    return store
