"""The functions that a worker has loaded: each once, as long as a submitter may send tasks of it, or one is in hand."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary, ref

from actorrt.config import MIB
from actorrt.ids import PeerId
from actorrt.interrupts import let_through
from actorrt.store.values import pickling
from actorrt.store.values.carrier import Carrier
from actorrt.tasks.policy.task import FunctionCost

if TYPE_CHECKING:
    from actorrt.store.client.client import StoreClient
    from actorrt.tasks.submitting.functions import PickledFunction

COLLECT_BYTES: Final = 32 * MIB
"""How much memory forgotten functions may take that refer to themselves, before Python looks for it."""


class LoadedFunction:
    """A function that has arrived, or the reason why it can't be loaded here.

    Attributes:
        name: for people.
        size_bytes: the size of its pickle.
        function: the function; None while it can't be loaded.
        error: why it can't be loaded.
        is_async: whether it is a coroutine function.
        cost: how long its tasks take here.
        calls_count: how many of its tasks have begun here.
    """

    __slots__ = (
        "__weakref__",
        "_max_calls",
        "calls_count",
        "cost",
        "error",
        "function",
        "is_async",
        "name",
        "size_bytes",
    )

    def __init__(self, name: str, size_bytes: int, load: Callable[[], Any], max_calls: int | None) -> None:
        self.name = name
        self.size_bytes = size_bytes
        self._max_calls = max_calls
        self.calls_count = 0
        self.cost = FunctionCost()
        self.function: Callable[..., Any] | None = None
        self.error: BaseException | None = None
        self.is_async = False
        try:
            function: Callable[..., Any] = load().function
        except BaseException as error:  # whatever the import of its module raises: each of its tasks is told
            let_through(error)
            self.error = error
        else:
            self.function = function
            self.is_async = inspect.iscoroutinefunction(function)

    @property
    def is_worn_out(self) -> bool:
        """Whether the process has run as many of its tasks as it may."""
        return self._max_calls is not None and self.calls_count >= self._max_calls


class LoadedFunctions:
    """The functions of one worker.

    Args:
        store, owner: what refs inside functions are bound to.
    """

    def __init__(self, store: StoreClient | None, owner: object) -> None:
        self._store = store
        self._owner = owner
        self._loaded: WeakValueDictionary[bytes, LoadedFunction] = WeakValueDictionary()
        self._sent: dict[PeerId, dict[bytes, LoadedFunction]] = {}
        self._kept_bytes = 0

    def __len__(self) -> int:
        """How many functions are loaded."""
        return len(self._loaded)

    def came(
        self, peer: PeerId, key: bytes, name: str, body: bytes, buffers: Sequence[Any], max_calls: int | None
    ) -> None:
        """Called when a FUNCTION has arrived. Several submitters may send the same one."""
        self._sent.setdefault(peer, {})[key] = self._load(key, name, body, buffers, max_calls)

    def here(self, function: PickledFunction) -> LoadedFunction:
        """Return a function that this process itself submits. It is kept as long as that may be."""
        loaded: LoadedFunction | None = function.loaded
        if loaded is None:
            of = function
            loaded = of.loaded = self._load(of.key, of.name, of.data, of.buffers, of.max_calls)
        return loaded

    def _load(
        self, key: bytes, name: str, body: bytes, buffers: Sequence[Any], max_calls: int | None
    ) -> LoadedFunction:
        known = self._loaded.get(key)
        if known is not None and known.function is not None:
            return known

        def load() -> Any:
            return pickling.loads(body, buffers, Carrier(self._store, copies_count=0, owner=self._owner))

        size_bytes = len(body) + sum(map(len, buffers))
        loaded = self._loaded[key] = LoadedFunction(name, size_bytes, load, max_calls)
        return loaded

    def sent(self, peer: PeerId, key: bytes) -> LoadedFunction:
        """Return a function that a submitter has sent."""
        return self._sent[peer][key]

    def forget(self, peer: PeerId, key: bytes) -> None:
        """Called when a submitter sends no more tasks of a function, unless it sends the function anew.

        A function that refers to itself, as one does that submits itself, is freed by Python's collector only. The
        collector does not count the memory of arrays, so it is called when forgotten functions may take much.
        """
        loaded = self._sent.get(peer, {}).pop(key, None)
        if loaded is None or loaded.function is None:
            return
        size_bytes = loaded.size_bytes
        try:
            function = ref(loaded.function)
        except TypeError:  # a function in C, which refers to nothing
            return
        del loaded
        if function() is not None:
            self._kept_bytes += size_bytes
        if self._kept_bytes >= COLLECT_BYTES:
            self._kept_bytes = 0
            gc.collect()

    def peer_gone(self, peer: PeerId) -> None:
        """Called when a submitter is gone."""
        for key in list(self._sent.get(peer, ())):
            self.forget(peer, key)
        self._sent.pop(peer, None)
