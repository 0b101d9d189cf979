"""How a supervisor speaks to the authority of its children, with a control that keeps what is sent."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from actorrt.actors.supervisors.child_authority import ChildAuthority
from actorrt.completion import Completion
from actorrt.ids import IdSource, PeerAddress
from actorrt.protocol.authorities import AwaitEnd, DelayChild, ForgetChild, Spawn, StopChild
from actorrt.protocol.manner import Manner
from actorrt.protocol.nodes import RestartChildren, StopChildren
from actorrt.scopes import Scope
from tests.unit.records import crashed

IDS = IdSource()
NODE = PeerAddress(IDS.peer(), "memory://node")


class Control:
    """Keeps what is sent, and answers at once."""

    def __init__(self):
        self.sent = []

    def notify(self, to, notice):
        self.sent.append(type(notice))

    def request(self, to, request):
        self.notify(to, request)
        answer = Completion()
        answer.set_value(None)
        return answer


async def test_stop_in_the_step_in_which_a_child_is_spawned_goes_behind_the_order_to_spawn_it():
    control, scope = Control(), Scope("test", crashed)

    async def send():
        control.sent.append(Spawn)

    def spawn(*_, **__):  # as any endpoint does: a task sends the order
        scope.start(send(), "spawn")

    child = SimpleNamespace(actor_class=None, options=None, args=(), kwargs={})
    soon = asyncio.get_running_loop().call_soon
    authority = ChildAuthority(NODE, control, soon, SimpleNamespace(spawn=spawn), None, IDS.actor())
    actor_id = IDS.actor()
    authority.spawn(actor_id, child, "child", None)
    authority.stop(actor_id, kill=False, manner=Manner.ORDERLY)
    await authority.end_of(actor_id)
    assert control.sent == [Spawn, StopChild, AwaitEnd]
    await scope.close()


async def test_orders_about_a_child_leave_in_the_order_in_which_they_were_given():
    """A restart that overtook a stop would have the next incarnation stopped, and so the whole group again."""
    control = Control()
    authority = ChildAuthority(NODE, control, asyncio.get_running_loop().call_soon, None, None, IDS.actor())
    actor_id = IDS.actor()
    authority.stop(actor_id, kill=False, manner=Manner.FOR_RESTART)
    authority.stop_in_turn([actor_id], Manner.FOR_RESTART)
    authority.delay(actor_id, 0.0)
    authority.restart([actor_id])
    authority.forget(actor_id, None)
    await authority.end_of(actor_id)
    assert control.sent == [StopChild, StopChildren, DelayChild, RestartChildren, ForgetChild, AwaitEnd]
