"""Which children of a supervisor stop and start next, where they do so one after the other."""

from __future__ import annotations

from actorrt.actors.policy.backoff import DEFAULT_BACKOFF, RestartPace
from actorrt.actors.policy.child_order import ChildOrder
from actorrt.actors.policy.childspec import ChildSpec
from actorrt.actors.policy.instructions import ChildState, StartOne, StartSeveral, StopOne, StopSeveral
from actorrt.actors.policy.supervised_child import SupervisedChild
from actorrt.protocol.manner import Manner


def children(ids: str, state: ChildState, *, has_actor: bool = True) -> list[SupervisedChild]:
    return [
        SupervisedChild(ChildSpec(id), position, RestartPace(DEFAULT_BACKOFF), state, has_actor, has_actor)
        for position, id in enumerate(ids)
    ]


def test_children_that_run_and_stop_alike_share_one_order_last_first() -> None:
    order, group = ChildOrder(), children("abc", ChildState.RUNNING)
    order.plan(to_stop=group, to_start=())
    assert list(order.stop_next()) == [StopSeveral(("c", "b", "a"))]
    assert [child.state for child in group] == [ChildState.STOPPING] * 3
    assert (order.is_stopping, list(order.stop_next())) == (True, [])


def test_stop_of_another_manner_or_of_a_start_under_way_is_an_order_of_its_own() -> None:
    order, (a, b, c) = ChildOrder(), children("abc", ChildState.RUNNING)
    b.manner, c.state = Manner.FOR_RESTART, ChildState.STARTING
    order.plan(to_stop=[a, b, c], to_start=())
    stops = []
    for child in (c, b, a):
        stops += order.stop_next()
        order.ended(child)
    assert stops == [StopOne("c"), StopOne("b", manner=Manner.FOR_RESTART), StopOne("a")]
    assert order.is_stopping is False


def test_child_whose_stop_is_ordered_already_is_awaited_without_another_order() -> None:
    order, (a, b) = ChildOrder(), children("ab", ChildState.RUNNING)
    b.state = ChildState.STOPPING
    order.plan(to_stop=[a, b], to_start=())
    assert (list(order.stop_next()), order.is_stopping) == ([], True)
    order.ended(b)
    assert list(order.stop_next()) == [StopOne("a")]


def test_child_that_ended_before_its_turn_is_passed_over() -> None:
    order, (a, b) = ChildOrder(), children("ab", ChildState.RUNNING)
    b.state = ChildState.WAITING
    order.plan(to_stop=[a, b], to_start=())
    assert list(order.stop_next()) == [StopOne("a")]


def test_children_that_start_again_share_one_order_first_to_last() -> None:
    order, group = ChildOrder(), children("abc", ChildState.WAITING)
    order.plan(to_stop=(), to_start=group)
    assert order.start_next(alone=False) == StartSeveral(("a", "b", "c"))
    assert [(child.state, child.restart_count) for child in group] == [(ChildState.STARTING, 1)] * 3
    assert (order.is_starting, order.has_to_start) == (True, False)


def test_child_that_would_be_a_new_actor_starts_alone() -> None:
    order = ChildOrder()
    (a,), (b,), (c,) = (children(id, ChildState.WAITING, has_actor=id != "b") for id in "abc")
    order.plan(to_stop=(), to_start=[a, b, c])
    assert [order.start_next(alone=False) for _ in range(3)] == [StartOne("a"), StartOne("b"), StartOne("c")]
    assert (a.restart_count, b.restart_count, c.restart_count) == (1, 0, 1)


def test_children_start_one_by_one_where_asked_to() -> None:
    order = ChildOrder()
    order.plan(to_stop=(), to_start=children("ab", ChildState.WAITING))
    assert [order.start_next(alone=True), order.start_next(alone=True)] == [StartOne("a"), StartOne("b")]


def test_planned_starts_may_be_put_first_last_or_forgotten() -> None:
    order, (a, b, c) = ChildOrder(), children("abc", ChildState.WAITING)
    order.start_last(b)
    order.start_first(a)
    order.start_last(c)
    order.forget(b)
    assert order.start_next(alone=False) == StartSeveral(("a", "c"))
    order.forget(a)
    order.start_over(c)
    assert (order.is_starting, order.has_to_start) == (False, False)
