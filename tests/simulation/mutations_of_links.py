"""Mutations of what the transport and the object store are promised: each frame once and in order, no byte left."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutations import Mutation

LINKS: Final = (
    Mutation(
        "deliver a frame twice after a reconnect",
        "Frames that had arrived before a connection broke are delivered again.",
        "transport.links.inbound:Inbound._is_new",
        "return False",
        "return True",
    ),
    Mutation(
        "drop the tail after a reconnect",
        "Frames that were under way when a connection broke are not sent again.",
        "transport.frames.sequence:SendWindow.rewind",
        "self._handed_count = 0",
        "return",
    ),
    Mutation(
        "accept a gap",
        "A frame that arrives after a lost one is delivered.",
        "transport.links.inbound:Inbound._is_new",
        'raise BadFrameError(f"frame {sequence} where {connection.receipts.received} was due")',
        "return True",
    ),
    Mutation(
        "send before the answer to the HELLO",
        "A link sends on before it knows which frames have arrived.",
        "transport.links.queued_link:QueuedLink._lost_connection",
        "self._is_answer_due = True",
        "self._is_answer_due = False",
    ),
    Mutation(
        "acknowledge nothing",
        "The frames that a peer has received are kept, until the link is full.",
        "transport.frames.sequence:SendWindow.acknowledge",
        "if number > self.handed_below:\n        return False",
        "return number <= self.handed_below",
    ),
    Mutation(
        "answer a process that was given up",
        "A peer that this process has given up continues its link.",
        "transport.links.inbound:Inbound._begin",
        "if self._ended.is_over(key, hello.first):",
        "if False:",
    ),
    Mutation(
        "reconnect for nobody",
        "A connection that breaks is not replaced.",
        "transport.links.queued_link:QueuedLink._connection_broke",
        "self._reconnect(delay_s)",
        "return",
    ),
    Mutation(
        "keep what a message carried",
        "Objects in messages whose calls have ended stay in the store.",
        "actors.wire.transits:Transit.call_ended",
        "self._left_count -= 1",
        "pass",
    ),
    Mutation(
        "keep what was sent to a dead process",
        "Objects in tells to a process that has died stay in the store.",
        "actors.wire.transits:Transits.lost",
        "if tokens and self._store is not None:",
        "if False:",
    ),
    Mutation(
        "keep what a dead process had sent",
        "Objects in messages of a process that has died stay in the store.",
        "store.table.ref_transits:RefTransits.end_sender",
        "transit.ends_at = now + TRANSIT_GRACE_S",
        "continue",
    ),
    Mutation(
        "let go of what is under way",
        "The store deletes an object whose ref is on its way in a message.",
        "store.table.ref_transits:RefTransits.change",
        "return transit.balance_count > 0",
        "return False",
    ),
    Mutation(
        "wait for the answer of a lost process",
        "Requests to a process that has died never end.",
        "actors.wire.control:Control.peer_lost",
        "answer.set_error(error)",
        "pass",
    ),
    Mutation(
        "give up what waits for a full link",
        "Control envelopes that find a link at its bound are dropped.",
        "actors.wire.control:Control._send_waiting",
        "self._scope.after(RETRY_S, lambda: self._send_waiting(peer))",
        "waiting.clear()",
    ),
)
