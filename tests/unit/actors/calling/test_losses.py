"""What becomes of the calls of endpoints that end, or are cut off, by what their authorities say, and when."""

from __future__ import annotations

from collections.abc import Callable, Container
from types import SimpleNamespace
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.calling.losses import Losses
from actorrt.actors.calling.undecided import UndecidedNodes
from actorrt.completion import Completion
from actorrt.ids import ActorId, PeerAddress, PeerId
from actorrt.protocol.authorities import AskFate, Prospect
from actorrt.protocol.verb import Handler
from actorrt.reasons import ExitKind, ExitReason

AUTHORITY = PeerAddress(PeerId(b"a" * 16), "memory://authority")
X, Y = PeerId(b"x" * 16), PeerId(b"y" * 16)
KILLED = ExitReason(ExitKind.KILLED, "killed by the test")


class Call:
    """As much of a call as losses look at."""

    def __init__(self, call_id: int, peer: PeerId | None, actor: bytes = b"1", retries: int = 0, sequence: int = 0):
        self.ref = SimpleNamespace(_actor_id=ActorId(actor * 16), _authority=AUTHORITY)
        self.call_id, self.peer, self.attempts_left, self.sequence = call_id, peer, retries, sequence
        self.label, self.method = f"actor {actor!r}", "method"
        self.outcome: Any = None

    def done(self) -> bool:
        return self.outcome is not None


class Surroundings:
    """What losses speak to: pending calls, routes and an authority whose answers the test gives."""

    def __init__(self, *calls: Call) -> None:
        self.pending = calls
        self.looks_count = 0
        self.soon: list[Callable[[], None]] = []
        self.asked: list[tuple[ActorId, Completion[Prospect]]] = []
        self.left_below: int | None = None
        self.authority_ended: ExitReason | None = None
        self.undecided = UndecidedNodes()
        fake: Any = self
        self.losses = Losses(pending=fake, routes=fake, peers=fake, control=fake, transits=fake, loop=fake)

    def handle(self, handler: Handler) -> None:
        """Nodes that are undecided are in `test_undecided`."""

    # What is asked of the loop, of the calls, the routes, the transits and the authority

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def at(self, peers: Container[PeerId]) -> list[Call]:
        self.looks_count += 1
        return [call for call in self.pending if call.peer in peers]

    def __len__(self) -> int:
        return len(self.pending)

    def lost(self, _: PeerId, *, is_alive: bool = False) -> Any:
        return SimpleNamespace(left_below=self.left_below) if is_alive and self.left_below is not None else None

    def of(self, _: Any) -> Any:
        return SimpleNamespace(newest=1)

    def request(self, _: PeerAddress, asked: AskFate) -> Completion[Prospect]:
        assert asked.after == 1
        answer: Completion[Prospect] = Completion()
        self.asked.append((asked.actor, answer))
        return answer

    def reason_of_loss(self, _: PeerId) -> ExitReason | None:
        return self.authority_ended

    def fail(self, call: Call, error: errors.CallError) -> None:
        call.outcome = (type(error), error.executed)

    def send_again(self, call: Call) -> None:
        call.outcome = "sent again"

    def killed(self, call: Call, *_: Any) -> None:
        call.outcome = "blamed"

    # What the test does

    def settle(self) -> None:
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


def test_processes_that_end_together_are_settled_by_one_look_and_each_actor_is_asked_for_once() -> None:
    at = Surroundings(Call(1, X, b"1"), Call(2, X, b"1"), Call(3, X, b"2"), Call(4, Y, b"3"), Call(5, None, b"4"))
    at.losses.process_ended(X, KILLED)
    at.losses.process_ended(Y, KILLED)
    at.settle()
    assert at.looks_count == 1
    assert [actor[:1] for actor, _ in at.asked] == [b"1", b"2", b"3"]
    at.losses.process_ended(X, KILLED)
    at.settle()
    assert at.looks_count == 2


def test_nothing_is_looked_at_when_no_call_is_pending() -> None:
    at = Surroundings()
    at.losses.process_ended(X, KILLED)
    assert at.soon == []


def test_call_ends_with_the_death_that_the_authority_tells_and_with_no_other() -> None:
    died = errors.ActorDiedError("it is gone", reason=KILLED, executed="no")
    unreachable = errors.PeerUnreachableError("nobody answers")
    full = errors.MailboxFullError("too much waits")
    assert outcome_of(died) == (errors.ActorDiedError, "maybe")
    assert outcome_of(unreachable) == outcome_of(full) == (errors.ActorUnavailableError, "maybe")
    assert outcome_of(None) == (errors.ActorUnavailableError, "maybe")


def outcome_of(answer: Exception | None, call: Call | None = None, **surroundings: Any) -> Any:
    """Return how a call ends whose process has ended, when the authority answers so."""
    call = call or Call(1, X)
    at = Surroundings(call)
    vars(at).update(surroundings)
    at.losses.process_ended(X, KILLED, in_hand={7})
    at.settle()
    ((_, request),) = at.asked
    request.set_value(Prospect(starts_in_s=0.0)) if answer is None else request.set_error(answer)
    return call.outcome


def test_authority_that_ended_took_its_actors_with_it() -> None:
    unreachable = errors.PeerUnreachableError("nobody answers")
    assert outcome_of(unreachable, authority_ended=KILLED) == (errors.ActorDiedError, "maybe")


def test_call_with_retries_is_sent_again_or_blamed_where_its_actor_lives_on() -> None:
    unreachable = errors.PeerUnreachableError("nobody answers")
    assert outcome_of(None, Call(1, X, retries=1)) == "sent again"
    assert outcome_of(None, Call(7, X, retries=1)) == "blamed"
    assert outcome_of(unreachable, Call(1, X, retries=1)) == (errors.ActorUnavailableError, "maybe")


@pytest.mark.parametrize("answer", [None, errors.ActorDiedError("it is gone")], ids=["lives on", "gone"])
def test_call_that_has_found_another_way_meanwhile_is_left_alone(answer: Exception | None) -> None:
    moved, waits = Call(1, X, retries=1), Call(2, X, retries=1)
    at = Surroundings(moved, waits)
    at.losses.process_ended(X, KILLED)
    at.settle()
    moved.peer, waits.peer = Y, None
    ((_, request),) = at.asked
    request.set_value(Prospect(starts_in_s=0.0)) if answer is None else request.set_error(answer)
    assert (moved.outcome, waits.outcome) == (None, None)


def test_call_that_is_cut_off_is_unexecuted_only_where_its_frame_never_left() -> None:
    calls = [Call(n, X, sequence=sequence) for n, sequence in enumerate((0, 4, 5, 6))]
    at = Surroundings(*calls, other := Call(9, Y))
    at.left_below = 5
    at.losses.cut_off(X, errors.PeerUnreachableError("nobody answers", executed="no"))
    words = [call.outcome for call in calls]
    assert words == [(errors.ActorUnavailableError, word) for word in ("maybe", "maybe", "no", "no")]
    assert other.outcome is None


def test_call_that_is_cut_off_from_a_link_that_nobody_knows_may_have_run() -> None:
    call = Call(1, X, sequence=0)
    at = Surroundings(call)
    at.losses.cut_off(X, errors.PeerUnreachableError("nobody answers", executed="no"))
    assert call.outcome == (errors.ActorUnavailableError, "maybe")
