"""Lookups at the side of those who ask: which authority is asked, and what refs come of the answers."""

from __future__ import annotations

from actorrt.ids import ActorId, PeerAddress, PeerId
from actorrt.protocol.authorities import FindSibling
from actorrt.protocol.nodes import LookUp
from tests.unit.actors.calling.fakes import NODE
from tests.unit.actors.endpoint.asking import PARENT, Asking, card, inside


async def test_name_is_looked_up_in_the_namespace_of_the_code_that_asks(side: Asking) -> None:
    outside = side.lookups.by_name("sim", 2.0)
    (await side.asked(1)).set_value(card(PARENT, "sim"))
    with inside():
        side.lookups.by_name("sim", 0.0)
    await side.asked(2)
    side.lookups.by_name("sim", 0.0, "elsewhere")
    await side.asked(3)
    assert [(asked.to, asked.request) for asked in side.control.asked] == [
        (NODE, LookUp(namespace="default", name="sim", timeout_s=2.0)),
        (NODE, LookUp(namespace="theirs", name="sim", timeout_s=0.0)),
        (NODE, LookUp(namespace="elsewhere", name="sim", timeout_s=0.0)),
    ]
    ref = await outside
    assert (ref._name, ref._authority, ref._actor_id) == ("sim", NODE, PARENT)


async def test_sibling_is_asked_of_the_actors_authority(side: Asking) -> None:
    authority = PeerAddress(PeerId(b"x" * 16), "memory://authority")
    with inside() as cell:
        cell.blueprint.authority = authority
    finding = side.lookups.sibling(cell, "other")
    asked = await side.asked()
    assert (asked.to, asked.request) == (authority, FindSibling(actor=PARENT, id="other"))
    asked.set_value(card(ActorId(b"s" * 16)))
    assert (await finding)._authority == authority
