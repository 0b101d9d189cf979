"""The blueprint from which a host makes an actor, shared by a group and by all incarnations of an actor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.refs.spec import open_spec
from actorrt.actors.wire.definition import DEFAULT_HOOK
from actorrt.actors.wire.interface import of_class
from actorrt.actors.wire.payload import has_objects
from actorrt.actors.wire.plain_values import is_plain
from actorrt.ids import JobId, PeerAddress, PeerId
from actorrt.protocol.hosts import HostActor

if TYPE_CHECKING:
    from actorrt.store.client.client import StoreClient


class SpecBinding(NamedTuple):
    """The store and the endpoint that the refs in a spec are bound to when it is opened.

    Attributes:
        store: for refs to objects.
        owner: the endpoint, for refs to actors.
        own_peer: that endpoint's id.
    """

    store: StoreClient | None
    owner: object
    own_peer: PeerId


class StartOrder(Protocol):
    """The part of a spawn's order from which a blueprint is made.

    Attributes:
        spec: the pickled class and constructor's arguments.
        options: the options as they were sent, without classes.
        job, namespace: the job of the actors, and the namespace of the names in their code.
        is_supervisor: whether they supervise others.
        is_detached: whether they, and what they spawn, outlive their driver.
    """

    spec: list[Any]
    options: ActorOptions
    job: JobId
    namespace: str
    is_supervisor: bool
    is_detached: bool


@dataclass(slots=True)
class DistantOrder:
    """A `StartOrder` that came from another process."""

    spec: list[Any]
    options: ActorOptions
    job: JobId
    namespace: str
    is_supervisor: bool
    is_detached: bool


class Blueprint:
    """A class to make instances of, with its arguments and options.

    Args:
        binding: what opened specs are bound to.
        order: the order of the spawn.
        authority: the authority that decides on failures.

    Attributes:
        cls, interface, parent_ref, options: read from the spec and the order.
        is_child_here: whether the authority is this endpoint's own.
        starts_at_once: whether a start never waits, neither for objects among the arguments nor in `on_start`.
        stops_at_once: whether `on_stop` does nothing.
    """

    __slots__ = (
        "_args",
        "_binding",
        "_spec",
        "authority",
        "cls",
        "interface",
        "is_child_here",
        "is_detached",
        "is_supervisor",
        "job",
        "namespace",
        "options",
        "parent_ref",
        "starts_at_once",
        "stops_at_once",
    )

    def __init__(self, binding: SpecBinding, order: StartOrder, authority: PeerAddress) -> None:
        opened = open_spec(order.spec, binding.store, binding.owner)
        self._binding = binding
        self._spec = order.spec
        self._args = opened.args if is_plain(opened.args) and not opened.kwargs else None
        cls: Any = opened.cls
        self.cls = cls
        self.interface = of_class(opened.cls)
        self.parent_ref = opened.parent
        options = order.options
        self.options = options.replaced({"crash_on": opened.crash_on}) if opened.crash_on else options
        self.authority = authority
        self.is_child_here = authority.peer == binding.own_peer
        self.job = order.job
        self.namespace = order.namespace
        self.is_supervisor = order.is_supervisor
        self.is_detached = order.is_detached
        is_new = options.snapshot_dir is None  # else it may begin with the state of an earlier actor
        on_start, on_stop = cls.on_start, cls.on_stop
        has_no_start = getattr(on_start, DEFAULT_HOOK, None) is on_start
        self.starts_at_once = is_new and has_no_start and not has_objects(opened.args, opened.kwargs)
        self.stops_at_once = getattr(on_stop, DEFAULT_HOOK, None) is on_stop and options.snapshot_every is None

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the constructor's arguments, a copy for each instance."""
        if self._args is not None:
            return self._args, {}
        opened = open_spec(self._spec, self._binding.store, self._binding.owner)
        return opened.args, opened.kwargs


def ordered_blueprint(asked: HostActor, binding: SpecBinding) -> Blueprint:
    """Make the blueprint for an order to start that came from another process."""
    options = ActorOptions.from_data(asked.options)
    order = DistantOrder(asked.spec, options, asked.job, asked.namespace, asked.is_supervisor, asked.is_detached)
    return Blueprint(binding, order, asked.authority)
