"""What tests of supervision share: specs of children, exit reasons, and a shell that carries everything out at once."""

from __future__ import annotations

from actorrt.actors.policy.childspec import AutoShutdown, ChildSpec, Strategy
from actorrt.actors.policy.instructions import (
    GiveUp,
    Instruction,
    RetryAfter,
    StartOne,
    StartSeveral,
    StopOne,
    StopSeveral,
)
from actorrt.actors.policy.options import RestartType
from actorrt.actors.policy.supervision import Supervision
from actorrt.protocol.manner import Manner
from actorrt.reasons import KILLED, NORMAL, SHUTDOWN, ExitKind, ExitReason

CRASHED = ExitReason(ExitKind.CRASHED, signal=9)
ERROR = ExitReason(ExitKind.ERROR, "ValueError: broken")
REASONS = {reason.kind: reason for reason in (NORMAL, SHUTDOWN, KILLED, CRASHED, ERROR)} | {
    kind: ExitReason(kind) for kind in (ExitKind.OUT_OF_MEMORY, ExitKind.NODE_LOST, ExitKind.INTENSITY)
}
HEALTHY = {"had_handled_message": True}


def specs(text: str, restart: RestartType = RestartType.PERMANENT) -> list[ChildSpec]:
    return [ChildSpec(id, restart) for id in text]


def significant(text: str, restart: RestartType = RestartType.TRANSIENT) -> list[ChildSpec]:
    return [ChildSpec(id, restart, significant=True) for id in text]


def running(
    children: list[ChildSpec],
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    max_restarts: int | None = 5,
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
    quorum: int = 1,
) -> Supervision:
    """Make a supervision of which all children run since time 0."""
    supervision = Supervision(
        lambda: 0.0,
        strategy=strategy,
        max_restarts=max_restarts,
        auto_shutdown=auto_shutdown,
        quorum=quorum if strategy is Strategy.QUORUM else None,
    )
    supervision.start_requested(children)
    for child in children:
        supervision.child_started(child.id, 0.0)
    return supervision


def recalled(*ids: str) -> Instruction:
    """Return the stop of children that a sibling's failure ends, and that start again with it."""
    return _stop(ids, Manner.FOR_RESTART)


def cut(*ids: str) -> Instruction:
    """Return the stop of children that a sibling's failure ends for good."""
    return _stop(ids, Manner.AT_ONCE)


def _stop(ids: tuple[str, ...], manner: Manner) -> Instruction:
    return StopSeveral(ids, manner) if len(ids) > 1 else StopOne(ids[0], manner=manner)


def states(supervision: Supervision) -> dict[str, str]:
    return {child.id: child.state.value for child in supervision.children()}


def settle(supervision: Supervision, instructions: list[Instruction], now: float) -> list[Instruction]:
    """Carry everything out at once, and return all that was to be done, in order, one child at a time."""
    done: list[Instruction] = []
    queue = list(instructions)
    while queue:
        match queue.pop(0):
            case StartSeveral(ids):
                queue[:0] = [StartOne(id) for id in ids]
            case StopSeveral(ids, manner):
                queue[:0] = [StopOne(id, manner=manner) for id in ids]
            case instruction:
                done.append(instruction)
                queue[:0] = follow(supervision, instruction, now)
    return done


def follow(supervision: Supervision, instruction: Instruction, now: float) -> list[Instruction]:
    """Carry one instruction out, and return what follows from that."""
    match instruction:
        case StartOne(id):
            return supervision.child_started(id, now)
        case StopOne(id):
            return supervision.child_exited(id, SHUTDOWN, now)
        case RetryAfter(id):
            return supervision.retry_due(id)
    return []


def given_up(instructions: list[Instruction]) -> ExitReason:
    """Return the reason of the supervisor's end, which is the last of these."""
    assert isinstance(instructions[-1], GiveUp)
    return instructions[-1].reason
