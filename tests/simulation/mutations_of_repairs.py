"""Mutations that take a repair out again: each brings back a defect that a reader of the code had found.

No test or simulation had found these defects. The simulation finds them now, which shows that it would find others of
their kind.
"""

from __future__ import annotations

from typing import Final

from tests.simulation.mutations import Mutation

REPAIRS: Final = (
    Mutation(
        "let through what an exception raises when it is shown",
        "A method's exception that can't be shown leaves its caller waiting, or ends its worker.",
        "texts:_render",
        "except BaseException as problem:",
        "except ZeroDivisionError as problem:",
    ),
    Mutation(
        "treat a failed lookup as a death",
        "An actor that can't be found for a moment is told dead for good.",
        "actors.calling.verdicts:verdict",
        "return error if reason is None else",
        "return",
    ),
    Mutation(
        "answer that a call did not run, although it may have left",
        "The callers of an actor that is cut off are told that their calls did not run.",
        "actors.calling.losses:Losses.cut_off",
        '"maybe" if has_left else "no"',
        '"no"',
    ),
    Mutation(
        "let a launch fail with a typed error only",
        "A worker that gets no process, since the daemon has no descriptor left, ends the daemon.",
        "node.placement.workers:Workers._launch",
        "except BaseException as error:",
        "except __import__('actorrt').ActorStartError as error:",
    ),
    Mutation(
        "begin each settlement with a full window",
        "A sender whose route is settled anew counts from zero, and its receiver does not.",
        "actors.calling.routes:Routes._new_window",
        "if not self._table.settled(route, peer):",
        "if not self._table.settled(route, peer) or True:",
    ),
    Mutation(
        "swallow what the start of a child raises",
        "A supervisor waits for ever for a child that could not be sent, and can't be stopped.",
        "actors.supervisors.shell:Shell._raised",
        "self._start_failed(due.id, error)",
        "pass",
    ),
    Mutation(
        "tell a supervisor nothing of a first start",
        "A supervisor hears of its child's end before it hears of the child's start.",
        "actors.authority.registry:Registry.started",
        "self._child_events.started(record)",
        "pass",
    ),
    Mutation(
        "take for granted that a started actor runs",
        "A group whose actor ends while others still start is answered with an error of the runtime, and runs on.",
        "actors.authority.record:ActorRecord.sighting",
        "return None if self.peer_address is None else Sighting(",
        "assert self.peer_address is not None\n    return Sighting(",
    ),
    Mutation(
        "let a full mailbox refuse signals",
        "A Down or an exit signal is lost if the mailbox of its receiver is full.",
        "actors.cells.mailbox:Mailbox.offer",
        " and type(message) is not Signal",
        "",
    ),
    Mutation(
        "leave callers in the dark during a back-off",
        "The callers of a child in back-off hear of it only when it starts.",
        "actors.supervisors.shell:Shell._carry_out",
        "self._authority.delay(self._actors[id], delay_s)",
        "pass",
    ),
)
