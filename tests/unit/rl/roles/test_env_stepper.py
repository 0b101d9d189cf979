"""Actors that step environments, when an environment raises: a note says where, and the incarnation ends."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import actorrt as art
from actorrt.rl.roles.env_stepper import EnvStepper
from tests.unit.rl.fakes import FakeRef


def make_stepper(incarnation=1):
    stepper = EnvStepper()
    stepper.context = SimpleNamespace(incarnation=incarnation, ref=FakeRef())
    return stepper


def test_error_of_an_environment_says_where_and_ends_the_incarnation():
    stepper, error = make_stepper(), ZeroDivisionError("in step")
    with pytest.raises(ZeroDivisionError) as raised, stepper._playing(lambda: "simulator 3, environment 2"):
        raise error
    assert raised.value is error
    assert error.__notes__ == ["simulator 3, environment 2"]
    assert stepper.context.ref.calls == [("fail.tell", "ZeroDivisionError: in step")]


def test_error_of_the_runtime_leaves_the_environments_alone():
    stepper = make_stepper()
    with pytest.raises(art.ActorDiedError) as raised, stepper._playing(lambda: "simulator 3"):
        raise art.ActorDiedError("the inference actor is gone")
    assert stepper.context.ref.calls == []
    assert not hasattr(raised.value, "__notes__")


def broken():
    raise FileNotFoundError("no such map")


def test_first_incarnation_fails_to_start_where_environments_can_not_be_made():
    with pytest.raises(FileNotFoundError, match="no such map"):
        make_stepper()._make(broken)


def test_later_incarnation_raises_it_with_the_first_message_that_needs_them():
    stepper = make_stepper(incarnation=2)
    assert stepper._make(broken) is None
    with pytest.raises(FileNotFoundError, match="no such map"):
        stepper._require_made()


def test_later_incarnation_tries_several_times_to_make_environments():
    stepper, outcomes = make_stepper(incarnation=2), iter([broken, broken, lambda: "environments"])
    assert stepper._make(lambda: next(outcomes)()) == "environments"
    stepper._require_made()


def test_environments_that_were_made_are_returned():
    stepper = make_stepper(incarnation=2)
    assert stepper._make(lambda: "environments") == "environments"
    stepper._require_made()


def test_fail_raises_the_given_text():
    with pytest.raises(RuntimeError, match=r"^ZeroDivisionError: in step$"):
        make_stepper().fail("ZeroDivisionError: in step")
