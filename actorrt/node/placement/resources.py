"""The resources of a node, and the reservations of its actors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from actorrt.actors.policy.options import ActorOptions
from actorrt.errors import ActorStartError, PlacementError
from actorrt.ids import ActorId, PeerId
from actorrt.node.placement.devices import Devices
from actorrt.node.processes.limits import VISIBLE_GPUS

logger = logging.getLogger(__name__)

GPUS: Final = "gpus"


class Resources:
    """Counts reservations of CPUs, GPUs and other resources of a node.

    Args:
        cpu_count, gpu_count: the CPUs and GPUs of the node.
        gpu_ids: the names of the GPUs; None: their numbers.
        memory_bytes: the memory that tasks can reserve.
        custom: further resources, with their amounts.
        may_exceed: whether reservations may add up to more than the node has; one warning says so.

    Attributes:
        watchers: called when a reservation was made or released.
    """

    def __init__(
        self,
        cpu_count: int,
        gpu_count: int,
        memory_bytes: int = 0,
        custom: Mapping[str, float] | None = None,
        gpu_ids: Sequence[str] | None = None,
        *,
        may_exceed: bool,
    ) -> None:
        self.cpu_count = cpu_count
        self.gpu_count = gpu_count
        self.memory_bytes = memory_bytes
        self._total = {**(custom or {}), "cpus": cpu_count, "gpus": gpu_count}
        self.devices = Devices([str(number) for number in range(gpu_count)] if gpu_ids is None else gpu_ids)
        self.may_exceed = may_exceed
        self.watchers: list[Callable[[], None]] = []
        self._has_said_so = False
        self._reserved: dict[ActorId, dict[str, float]] = {}  # of actors that reserve something
        self._of_guests: dict[PeerId, dict[str, float]] = {}
        self._sums: dict[str, float] = {}

    def reserved(self, name: str) -> float:
        """Return how much of one resource is reserved."""
        return self._sums.get(name, 0.0)

    def sums(self) -> Mapping[str, float]:
        """Return how much of each resource is reserved."""
        return self._sums

    @property
    def total(self) -> Mapping[str, float]:
        """How much of each resource the node has."""
        return self._total

    def free(self) -> dict[str, float]:
        """Return how much of each resource is not reserved, and 0 where reservations exceed it."""
        return {name: max(0.0, amount - self.reserved(name)) for name, amount in self._total.items()}

    def has_room(self, actor_id: ActorId, need: Mapping[str, float]) -> bool:
        """Return whether the need of an actor fits here, in place of its reservation; nothing does without CPUs."""
        reserved = self.reserved_by(actor_id)
        if not self.cpu_count or not self.devices.fits(need.get(GPUS, 0.0), actor_id):
            return False
        return all(
            amount <= self._total.get(name, 0) - self.reserved(name) + reserved.get(name, 0.0)
            for name, amount in need.items()
        )

    def reserved_by(self, actor_id: ActorId) -> Mapping[str, float]:
        """Return what an actor has reserved, by resource."""
        return self._reserved.get(actor_id, {})

    def gpu_variables(self, holder: ActorId | PeerId) -> dict[str, str]:
        """Return the environment variables by which the process of a holder sees its GPUs, and no others."""
        granted = self.devices.granted(holder)
        return {VISIBLE_GPUS: ",".join(granted)} if granted else {}

    def reserving(self) -> Collection[ActorId]:
        """Return the actors that have reserved anything."""
        return self._reserved.keys()

    def reserve(self, actor_id: ActorId, label: str, options: ActorOptions) -> None:
        """Reserve the resources in an actor's options. They replace an earlier reservation of the actor.

        Raises:
            PlacementError: the node has nothing of a resource, so there is nothing to share.
            ActorStartError: there is not enough left, and reservations may not exceed the resources.
        """
        self.release(actor_id)
        amounts = amounts_of(options)
        for name, amount in amounts.items():
            wanted, total = self.reserved(name) + amount, self._total.get(name, 0)
            if wanted > total:
                self._exceed(label, name, wanted, total)
        if amounts:
            self._reserved[actor_id] = amounts
            self.devices.grant(actor_id, amounts.get(GPUS, 0.0))
            self._add(amounts, 1)

    def reserve_for_guest(self, worker: PeerId, label: str, amounts: Mapping[str, float]) -> str:
        """Reserve amounts for a worker of another node's actors, if they are free; return what is lacking, in words.

        Raises:
            PlacementError: the node has nothing of a resource.
        """
        lacks = []
        for name, amount in amounts.items():
            total, free = self._total.get(name, 0), self._total.get(name, 0) - self.reserved(name)
            if not total:
                raise _has_none(label, name)
            if amount > free:
                lacks.append(f"{max(free, 0.0):g} of {total:g} {name} free")
        if not lacks and not self.devices.fits(amounts.get(GPUS, 0.0)):
            lacks.append("the free parts of gpus are on several devices")
        if not lacks and amounts:
            self._of_guests[worker] = dict(amounts)
            self.devices.grant(worker, amounts.get(GPUS, 0.0))
            self._add(amounts, 1)
        return " and ".join(lacks)

    def release_for_guest(self, worker: PeerId) -> None:
        """Release what was reserved for a worker of another node's actors. Idempotent."""
        self.devices.release(worker)
        self._add(self._of_guests.pop(worker, {}), -1)

    def _exceed(self, label: str, name: str, wanted: float, total: float) -> None:
        if not total:
            raise _has_none(label, name)
        if not self.may_exceed:
            raise ActorStartError(
                f"{label} did not start: with it {wanted:g} {name} would be reserved, and the node has {total:g}; stop "
                f"other actors, or start the node with more"
            )
        if not self._has_said_so:
            self._has_said_so = True
            logger.warning("%g %s are reserved on a node that has %g: actors share them", wanted, name, total)

    def release(self, actor_id: ActorId) -> None:
        """Release the reservation of an actor. Idempotent."""
        self.devices.release(actor_id)
        self._add(self._reserved.pop(actor_id, {}), -1)

    def _add(self, amounts: Mapping[str, float], sign: int) -> None:
        for name, amount in amounts.items():
            # Rounded, so that many fractions that are added and subtracted leave exactly 0.
            self._sums[name] = round(self.reserved(name) + sign * amount, 9)
        if amounts:
            for watcher in self.watchers:
                watcher()


def amounts_of(options: ActorOptions) -> dict[str, float]:
    """Return how much an actor reserves, by resource."""
    counts = {"cpus": options.cpus, "gpus": options.gpus, **options.resources}
    return {name: count for name, count in counts.items() if count}


def _has_none(label: str, name: str) -> PlacementError:
    return PlacementError(
        f"{label} did not start: it reserves {name}, and the node has none; leave the reservation out, or start the "
        "actor on a node that has some"
    )
