"""Logs each call that has waited long, once, with the reason.

A call without a deadline may wait for ever, but not in silence. Calls are numbered in the order in which they were
made, so the highest number is noted every few seconds: the calls up to an old note have waited long. A call that ends
soon costs nothing here.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorrt.actors.refs.waiting import wait
from actorrt.background import in_background
from actorrt.config import CALL_REPORT_AFTER_S
from actorrt.protocol.authorities import ActorState, AskState
from actorrt.protocol.hosts import CallState, ExplainCall
from actorrt.protocol.nodes import ExplainSilence, SilenceReport
from actorrt.protocol.verb import Request

if TYPE_CHECKING:
    from actorrt.actors.calling.call_table import CallTable
    from actorrt.actors.calling.routes import Routes
    from actorrt.actors.calling.streams import Streams
    from actorrt.actors.refs.reply import Reply
    from actorrt.actors.wire.control import Control
    from actorrt.actors.wire.peers import Peers
    from actorrt.ids import PeerAddress
    from actorrt.scopes import Scope

A = TypeVar("A")

logger = logging.getLogger(__name__)

LOOKS_COUNT: Final = 4
"""How often calls are looked at in the time after which they are reported."""
REPORTS_AT_ONCE: Final = 5
ANSWER_TIMEOUT_S: Final = 1.0
STATE_WORDS: Final = {
    "starting": "being started",
    "failed": "being restarted",
    "deciding": "being restarted",
    "restarting": "being restarted",
    "ending": "at its end",
}
"""What cells and records call their states, for people."""


class SlowCalls:
    """Watches the pending calls of one endpoint, while there are any.

    Args:
        pending: the calls.
        streams: the calls that yield.
        routes: know where the calls were sent.
        control: asks their receivers, their authorities and the node.
        peers: knows the node.
        scope: owns the timers and the questions.
        report_after_s: after how long a call is reported.

    Attributes:
        report_after_s: may be changed while no call is pending.
    """

    def __init__(
        self,
        pending: CallTable,
        streams: Streams,
        routes: Routes,
        control: Control,
        peers: Peers,
        scope: Scope,
        report_after_s: float = CALL_REPORT_AFTER_S,
    ) -> None:
        self._pending = pending
        self._streams = streams
        self._routes = routes
        self._control = control
        self._peers = peers
        self._scope = scope
        self.report_after_s = report_after_s
        self._marks: list[int] = []  # the highest number at each look, oldest look first
        self._reported_id = 0
        pending.begin_watch = self._watch

    def _watch(self) -> None:
        """Called when there are pending calls: look at them from time to time."""
        self._pending.is_watched = True
        in_background(self._scope.after, self.report_after_s / LOOKS_COUNT, self._look_again)

    def _look_again(self) -> None:
        if not len(self._pending):
            self._pending.is_watched = False
            self._marks.clear()
            return
        self.look()
        self._watch()

    def look(self) -> None:
        """Report the calls that were pending already `LOOKS_COUNT` looks ago."""
        self._marks.append(self._pending.newest_id)
        if len(self._marks) > LOOKS_COUNT:
            self._report(self._marks.pop(0))

    def _report(self, newest_id: int) -> None:
        """Report the calls up to that number, once each."""
        calls, streams = self._pending.up_to(newest_id), self._streams
        due = [call for call in calls if call.call_id > self._reported_id and not streams.is_open(call)]
        self._reported_id = max(self._reported_id, newest_id)
        self._explain_all([*due, *streams.overdue(self.report_after_s)])

    def _explain_all(self, due: list[Reply[Any]]) -> None:
        for call in due[:REPORTS_AT_ONCE]:
            self._scope.start(self._explain(call), "explain a call")
        if len(due) > REPORTS_AT_ONCE:
            logger.warning("%d more calls have waited for over %g s", len(due) - REPORTS_AT_ONCE, self.report_after_s)

    async def _explain(self, call: Reply[Any]) -> None:
        why = await self._why(call)
        if not call.done():
            what = "has waited for an item" if self._streams.is_open(call) else "has waited"
            logger.warning("%s.%s() %s for over %g s: %s", call.label, call.method, what, self.report_after_s, why)

    async def _why(self, call: Reply[Any]) -> str:
        seen = self._routes.sighting(call.ref._actor_id)
        if seen is None:
            state = await self._ask(call.ref._authority, AskState(actor=call.ref._actor_id))
            return "the authority of its actor does not answer" if state is None else describe_state(state)
        if call.peer is None:
            ahead = self._routes.waiting_before(call)
            return f"behind {ahead} others that wait here: the actor's mailbox is full"
        waits = await self._ask(seen.peer_address, ExplainCall(actor=call.ref._actor_id, call=call.call_id))
        if waits is not None:
            return describe(waits)
        silence = await self._ask(self._peers.node, ExplainSilence(peer=seen.peer_address.peer))
        return "neither its process answers nor the node" if silence is None else describe_silence(silence)

    async def _ask(self, peer_address: PeerAddress, request: Request[A]) -> A | None:
        """Return the answer of an endpoint if it comes soon: a slow endpoint may be too slow to say why."""
        answer = self._control.request(peer_address, request)
        await wait([answer], timeout_s=ANSWER_TIMEOUT_S)
        return None if not answer.done() or answer.error() is not None else answer.value()


def describe_silence(report: SilenceReport) -> str:
    """Put into words what the node says of a process that does not answer."""
    if report.silence == "stopped":
        return f"its process ({report.pid}) is stopped by a signal; SIGCONT continues it"
    if report.silence is None:
        return "its process does not answer yet"
    what = "computes" if report.silence == "busy" else "is blocked"
    return f"the loop of its process ({report.pid}) {what}, for {report.silent_s:.0f} s now"


def describe_state(state: ActorState) -> str:
    """Put into words what an authority says of an actor that is nowhere."""
    words = STATE_WORDS.get(state.state, "on its way")
    return f"{words} ({state.reason})" if state.reason else words


def describe(waits: CallState) -> str:
    """Put into words what a host says of a call."""
    if waits.state == "running":
        return f"running since {waits.seconds:.0f} s"
    if waits.state == "queued":
        others = f"behind {waits.ahead} others" if waits.ahead else "next in line"
        return f"{others}; {STATE_WORDS.get(waits.in_hand, waits.in_hand)}"
    return "on its way"
