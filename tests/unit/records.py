"""Records of actors that nobody hosts."""

from __future__ import annotations

from actorrt.actors.authority.order import Order
from actorrt.actors.authority.record import ActorRecord
from actorrt.ids import IdSource
from actorrt.protocol.authorities import ActorOrder

IDS = IdSource()


def actor_order(parent, **changes):
    """Return the order, as it travels, of a light child of that actor; None: of an actor alone.

    `changes` are to its fields.
    """
    fields = {
        "spec": [],
        "card": b"",
        "options": {},
        "class_name": "Child",
        "job": IDS.job(),
        "namespace": "default",
        "parent": parent,
        "supervisor": None,
        "child_id": None,
        "share": None,
        "is_supervisor": False,
        "is_detached": False,
        "is_beside": False,
        "objects": [],
    }
    return ActorOrder(**{**fields, **changes})


def order_of(parent, **changes):
    """Return the order of an actor as its authority has it; see `actor_order`."""
    return Order(actor_order(parent, **changes))


def record_of(supervisor):
    """Return a record of another child of that supervisor; None: of an actor alone."""
    return ActorRecord(IDS.actor(), order_of(supervisor), supervisor)


def crashed(error):
    """For scopes: nothing here may crash."""
    raise error
