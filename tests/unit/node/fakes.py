"""Stand-ins for what a node speaks with: they note what they are asked and told, and answer when the test says so."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from actorrt.completion import Completion
from actorrt.ids import IdSource, PeerAddress, PeerId

IDS = IdSource()


class Asked(Completion[Any]):
    """A request that waits for the test to answer it."""

    def __init__(self, to: PeerAddress, verb: str, data: dict[str, Any]) -> None:
        super().__init__()
        self.to, self.verb, self.data = to, verb, data


class FakeControl:
    """Control conversations of which nothing leaves the process."""

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[[PeerId, Any], Any]] = {}
        self.asked: list[Asked] = []
        self.told: list[tuple[PeerAddress, str, dict[str, Any]]] = []

    def handle(self, verb: str, handler: Callable[[PeerId, Any], Any]) -> None:
        self.handlers[verb] = handler

    def request(self, to: PeerAddress, verb: str, data: dict[str, Any]) -> Asked:
        self.asked.append(asked := Asked(to, verb, data))
        return asked

    def notify(self, to: PeerAddress, verb: str, data: dict[str, Any], *, may_wait: bool = True) -> bool:
        self.told.append((to, verb, data))
        return True

    def serve(self, peer: PeerId, verb: str, data: dict[str, Any]) -> Any:
        """Have a handler answer, as if `peer` had asked."""
        return self.handlers[verb](peer, data)


class FakeFactory:
    """Makes workers without processes; the test says when they are ready, and when they end."""

    def __init__(self) -> None:
        self.launched: list[Any] = []
        self.killed: list[Any] = []
        self.preloaded: list[tuple[list[str], Any]] = []
        self.on_launch: Callable[[Any], Coroutine[Any, Any, None]] | None = None

    def endpoint(self, ids: IdSource) -> PeerAddress:
        peer = ids.peer()
        return PeerAddress(peer, f"memory://{peer.hex()}")

    def preload(self, modules: list[str], job: Any) -> None:
        self.preloaded.append((modules, job))

    async def launch(self, worker: Any) -> None:
        self.launched.append(worker)
        worker.pid = len(self.launched)
        if self.on_launch is not None:
            await self.on_launch(worker)

    def kill(self, worker: Any) -> None:
        self.killed.append(worker)


class NoKeeper:
    """Keeps no objects: specs in tests refer to none."""

    def hold(self, object_ids: Any, tokens: Any) -> None:
        assert not object_ids

    def release(self, object_ids: Any) -> None:
        assert not object_ids
