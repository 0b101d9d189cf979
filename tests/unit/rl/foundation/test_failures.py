"""The cause of a run's failure, and errors of user code told from errors of the runtime."""

from __future__ import annotations

import pytest

import actorrt as art
from actorrt.reasons import ExitKind
from actorrt.rl.foundation import failures
from actorrt.rl.foundation.failures import cause_of, died_for_good, is_from_user_code, leaves_state
from tests.unit.rl.fakes import FakeRef, FakeReply

STUMBLED = art.ActorDiedError("simulator 0 is gone")


def down(kind):
    return FakeReply.of(art.Down(FakeRef(), art.ExitReason(ExitKind(kind)), incarnation=1))


@pytest.mark.parametrize("kind", ["crashed", "killed"])
async def test_end_of_the_supervisor_is_the_cause(kind):
    reason = (await down(kind)).reason
    cause = await cause_of(STUMBLED, down(kind))
    assert str(cause) == f"the supervisor of the run is gone: {reason}; its roles ended with it"
    assert cause.reason == reason


async def test_error_itself_is_the_cause_while_the_supervisor_lives(monkeypatch):
    monkeypatch.setattr(failures, "GRACE_S", 0.0)
    assert await cause_of(STUMBLED, FakeReply()) is STUMBLED


async def test_loss_of_the_node_is_the_cause_if_the_supervisors_end_is_unknown():
    lost = art.ActorDiedError("the node is gone", reason=art.ExitReason("node_lost", ""))
    assert await cause_of(STUMBLED, FakeReply.of(lost)) is lost


async def test_other_errors_of_the_monitor_say_nothing():
    assert await cause_of(STUMBLED, FakeReply.of(art.RuntimeStateError("no runtime"))) is STUMBLED


def test_role_that_died_for_good_is_named_with_its_last_error():
    error = died_for_good("simulator 3", 6, ValueError("killed"))
    assert isinstance(error, art.ActorDiedError)
    assert str(error).startswith("simulator 3 died 6 times in a row: killed")
    assert str(error.reason) == "intensity: simulator 3 died 6 times in a row, without any result between"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ZeroDivisionError(), True),
        (died_for_good("simulator 3", 6, ValueError("killed")), True),
        (art.ActorDiedError("gone", reason=art.ExitReason(ExitKind.NODE_LOST)), False),
        (art.ActorDiedError("gone"), False),
    ],
)
def test_roles_have_their_state_unless_they_are_lost_with_the_runtime(error, expected):
    assert leaves_state(error) is expected


@pytest.mark.parametrize(
    ("error", "whose"),
    [
        (ZeroDivisionError(), True),
        (art.ActorDiedError("stopped"), False),
        (art.CallTimeoutError("late", executed="maybe"), False),
    ],
)
def test_errors_of_user_code_are_told_from_those_of_the_runtime(error, whose):
    assert is_from_user_code(error) is whose
