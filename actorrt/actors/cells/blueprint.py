"""What a host makes an actor from: the same for all actors of a group, and for all incarnations of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorrt.actors.api.actor import Actor
from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.refs.spec import open_spec
from actorrt.actors.wire.interface import of_class
from actorrt.actors.wire.payload import has_objects
from actorrt.actors.wire.plain_values import is_plain
from actorrt.ids import JobId, PeerAddress
from actorrt.protocol.hosts import HostActor

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import System


class Blueprint:
    """A class to make instances of, and how each is to be kept.

    Args:
        system: hosts the actors.
        spec: the pickled class and constructor's arguments.
        options: as they travelled, without classes.
        authority: who decides on failures.
        job, namespace: whose they are, and where names live that their code uses.
        is_supervisor: whether they supervise others.
        is_detached: whether they, and what they spawn, outlive their driver.

    Attributes:
        cls, interface, parent_ref, options: what was read from these.
        is_child_here: whether the authority is this endpoint's own.
        starts_at_once: whether a start never waits: for no object among the arguments, and in no `on_start`.
        stops_at_once: whether `on_stop` does nothing.
    """

    __slots__ = (
        "_args",
        "_spec",
        "_system",
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

    def __init__(
        self,
        system: System,
        spec: list[Any],
        options: ActorOptions,
        authority: PeerAddress,
        job: JobId,
        namespace: str,
        is_supervisor: bool,
        is_detached: bool,
    ) -> None:
        opened = open_spec(spec, system.store, system)
        self._system = system
        self._spec = spec
        self._args = opened.args if is_plain(opened.args) and not opened.kwargs else None
        self.cls: Any = opened.cls
        self.interface = of_class(opened.cls)
        self.parent_ref = opened.parent
        self.options = options.replaced({"crash_on": opened.crash_on}) if opened.crash_on else options
        self.authority = authority
        self.is_child_here = authority.peer == system.peers.own_peer
        self.job = job
        self.namespace = namespace
        self.is_supervisor = is_supervisor
        self.is_detached = is_detached
        cls: type[Actor] = opened.cls
        is_new = options.snapshot_dir is None  # else it may begin with what an earlier one left
        self.starts_at_once = is_new and cls.on_start is Actor.on_start and not has_objects(opened.args, opened.kwargs)
        self.stops_at_once = cls.on_stop is Actor.on_stop and options.snapshot_every is None

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the constructor's arguments, a copy for each instance."""
        if self._args is not None:
            return self._args, {}
        opened = open_spec(self._spec, self._system.store, self._system)
        return opened.args, opened.kwargs


def ordered_blueprint(order: HostActor, system: System) -> Blueprint:
    """Make the blueprint that an authority elsewhere orders an incarnation to be made from."""
    return Blueprint(
        system,
        order.spec,
        ActorOptions.from_data(order.options),
        order.authority,
        order.job,
        order.namespace,
        order.is_supervisor,
        order.is_detached,
    )
