"""How a supervisor speaks to the authority of its children, with a control that keeps what is sent."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from actorrt.actors.supervisors.child_authority import ChildAuthority
from actorrt.completion import Completion
from actorrt.ids import IdSource, PeerAddress
from actorrt.protocol.authorities import AwaitEnd, Spawn, StopChild
from actorrt.protocol.manner import Manner
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
