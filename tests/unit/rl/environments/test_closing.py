"""An environment that can't be closed fails nothing, and its error is logged once."""

from __future__ import annotations

import logging

import gymnasium
import pytest

from actorrt.rl.environments import closing
from actorrt.rl.environments.description import examine
from actorrt.rl.environments.env_failures import EnvFailures
from actorrt.rl.environments.several import make_environments
from tests.unit.rl.counting import CountingEnv


@pytest.fixture(autouse=True)
def nothing_is_told_yet(monkeypatch):
    monkeypatch.setattr(closing, "_told", set())


class Unclosable(CountingEnv):
    """Can't be closed, and counts how often that was tried."""

    tried_count = 0

    def __init__(self):
        super().__init__(3, truncates=False)

    def close(self):
        type(self).tried_count += 1
        raise OSError("no window")


def test_error_of_close_is_logged_once_with_the_name_of_the_environment(caplog):
    with caplog.at_level(logging.WARNING):
        closing.close(Unclosable())
        closing.close(gymnasium.wrappers.TimeLimit(Unclosable(), 5))
    assert [entry.getMessage().partition(", so")[0] for entry in caplog.records] == [
        "environment Unclosable can't be closed"
    ]
    assert caplog.records[0].getMessage().endswith(": OSError: no window. Further errors of its close() are not logged")


def test_registered_environment_is_named_by_its_id(caplog, monkeypatch):
    environment = gymnasium.make("CartPole-v1")
    monkeypatch.setattr(environment.unwrapped, "close", Unclosable().close)
    with caplog.at_level(logging.WARNING):
        closing.close(environment)
    assert caplog.records[0].getMessage().startswith("environment CartPole-v1 can't be closed, so ")


def test_interrupt_while_an_environment_closes_is_let_through():
    class Interrupted:
        def close(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        closing.close(Interrupted())


def test_each_of_several_environments_is_closed_although_the_first_can_not_be(monkeypatch):
    monkeypatch.setattr(Unclosable, "tried_count", 0)
    environments = make_environments(Unclosable, 3, lambda k, episode: 0)
    environments.close()
    assert Unclosable.tried_count == 3


def test_environment_that_can_not_be_closed_is_examined_and_replaced():
    assert examine(Unclosable).vector_count is None
    failures = EnvFailures(Unclosable)
    replaced = failures.replaced(0, Unclosable(), ValueError("broke"), "here", has_progressed=True)
    assert isinstance(replaced, Unclosable)


def test_error_of_a_vector_of_another_size_is_told_although_it_can_not_be_closed():
    def vector():
        made = gymnasium.vector.SyncVectorEnv([lambda: CountingEnv(3, truncates=False)] * 2)
        made.close_extras = Unclosable().close
        return made

    with pytest.raises(ValueError, match="makes 2 environments, and 3 are stepped together here"):
        make_environments(vector, 3, lambda k, episode: 0, native=True)
