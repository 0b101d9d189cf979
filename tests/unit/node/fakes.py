"""Stand-ins for what a node speaks with: they note what they are asked and told, and answer when the test says so."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from actorrt.actors.cells.crash_notes import Notes
from actorrt.completion import Completion
from actorrt.ids import IdSource, PeerAddress, PeerId
from actorrt.protocol.nodes import JobSetting
from actorrt.protocol.verb import Handler, Request

IDS = IdSource()
SETTING = JobSetting(namespace="default", sys_path=[], cwd="/", env_vars={}, log_level=30)


class Asked(Completion[Any]):
    """A request that waits for the test to answer it."""

    def __init__(self, to: PeerAddress, request: Request[Any]) -> None:
        super().__init__()
        self.to, self.request = to, request


class FakeControl:
    """Control conversations of which nothing leaves the process."""

    def __init__(self) -> None:
        self.handlers: dict[type, Callable[[PeerId, Any], Any]] = {}
        self.asked: list[Asked] = []
        self.told: list[tuple[PeerAddress, Request[None]]] = []

    def handle(self, handler: Handler) -> None:
        self.handlers[handler.request] = handler.handle

    def request(self, to: PeerAddress, request: Request[Any]) -> Asked:
        self.asked.append(asked := Asked(to, request))
        return asked

    def notify(self, to: PeerAddress, notice: Request[None], *, may_wait: bool = True) -> bool:
        self.told.append((to, notice))
        return True

    def serve(self, peer: PeerId, request: Request[Any]) -> Any:
        """Have a handler answer, as if `peer` had asked."""
        return self.handlers[type(request)](peer, request)


class FakeFactory:
    """Makes workers without processes; the test says when they are ready, and when they end."""

    def __init__(self) -> None:
        self.launched: list[Any] = []
        self.killed: list[Any] = []
        self.noted: dict[Any, Notes] = {}
        self.preloaded: list[tuple[list[str], Any]] = []
        self.on_launch: Callable[[Any], Coroutine[Any, Any, None]] | None = None

    def new_peer_address(self, ids: IdSource) -> PeerAddress:
        peer = ids.peer()
        return PeerAddress(peer, f"memory://{peer.hex()}")

    def preload(self, modules: list[str], job: Any, *, apart: bool) -> None:
        self.preloaded.append((modules, job, apart))

    async def launch(self, worker: Any) -> None:
        self.launched.append(worker)
        worker.pid = len(self.launched)
        if self.on_launch is not None:
            await self.on_launch(worker)

    def kill(self, worker: Any) -> None:
        self.killed.append(worker)

    def notes(self, worker: Any) -> Notes:
        return self.noted.get(worker, Notes([], 0))


class NoKeeper:
    """Keeps no objects: specs in tests refer to none."""

    def hold(self, object_ids: Any, tokens: Any) -> None:
        assert not object_ids

    def release(self, object_ids: Any) -> None:
        assert not object_ids

    def check_invariants(self) -> None:
        """There is nothing to contradict."""
