"""The order of a spawn. All actors of a group share it, and so do all incarnations of an actor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actorrt.actors.policy.options import ActorOptions
from actorrt.ids import ObjectId, PeerAddress
from actorrt.protocol.authorities import ActorOrder


class Order:
    """One spawn order.

    Attributes:
        spec: the pickled class and constructor's arguments; opaque here.
        card: the methods and the call options that refs know, pickled; opaque here.
        options: how it is placed, named and kept.
        class_name: its class's name, for people.
        job: the job that it belongs to.
        namespace: the namespace of its name.
        parent: the actor that spawned it, and that it never outlives.
        is_supervisor: whether it is a supervisor, which is placed apart from code that can crash.
        is_detached: whether it outlives its driver, by its options or because the actor that spawned it does.
        is_beside: whether it runs on its parent's loop.
        beside_peer_address: where that loop is, if it is in another process.
        child_id: its id among the children of its supervisor; None if it is no child of a supervisor.
        share: its place among the first light children of its supervisor, and their number.
        objects: the objects that its spec refers to; held for each actor for as long as its record lives.
        tokens: the transits that their ids came with.
        blueprint: the blueprint that its host made from this order; opaque here.
        is_withdrawn: whether the spawn was cancelled, or the parent has ended.
    """

    __slots__ = (
        "beside_peer_address",
        "blueprint",
        "card",
        "child_id",
        "class_name",
        "is_beside",
        "is_detached",
        "is_supervisor",
        "is_withdrawn",
        "job",
        "namespace",
        "objects",
        "options",
        "parent",
        "share",
        "spec",
        "tokens",
    )

    def __init__(self, ordered: ActorOrder) -> None:
        self.spec = ordered.spec
        self.card = ordered.card
        self.options = ActorOptions.from_data(ordered.options)
        self.class_name = ordered.class_name
        self.job = ordered.job
        self.namespace = ordered.namespace
        self.parent = ordered.parent
        self.is_supervisor = ordered.is_supervisor
        self.is_detached = ordered.is_detached
        self.is_beside = ordered.is_beside
        self.beside_peer_address: PeerAddress | None = None
        self.child_id = ordered.child_id
        self.share = ordered.share
        self.objects: Sequence[ObjectId] = ()
        self.tokens: Sequence[bytes] = ()
        if ordered.objects:
            self.objects, self.tokens = zip(*ordered.objects, strict=True)
        self.blueprint: Any = None
        self.is_withdrawn = False
