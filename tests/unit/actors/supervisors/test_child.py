"""Children of supervisors as users write them: what is accepted, what each refusal says, how they are called."""

from __future__ import annotations

import pytest

from actorrt.actors.api.actor import Actor
from actorrt.actors.policy.options import ActorOptions, Isolation, RestartType
from actorrt.actors.supervisors.child import Child, identify
from actorrt.actors.supervisors.supervisor import Supervisor
from actorrt.config import DEFAULT_SHUTDOWN_S


class Simulator(Actor):
    def __init__(self, *args: object, env: str = "") -> None:
        self.env = env


def test_child_takes_options_by_name_and_leaves_the_rest_to_the_constructor() -> None:
    child = Child(Simulator, 1, "x", id="sim", cpus=1, env="CartPole-v1")
    assert (child.actor_class, child.args, child.kwargs, child.id) == (
        Simulator,
        (1, "x"),
        {"env": "CartPole-v1"},
        "sim",
    )
    assert child.options == ActorOptions.of({"cpus": 1, "restart": "permanent"})


def test_child_is_permanent_unless_told() -> None:
    assert Child(Simulator).options.restart is RestartType.PERMANENT
    assert Child(Simulator, restart="transient").options.restart is RestartType.TRANSIENT


@pytest.mark.parametrize("option", ["max_restarts", "period_s"])
def test_intensity_on_a_child_is_refused(option: str) -> None:
    with pytest.raises(TypeError, match=f"{option}=3 on Child\\(Simulator\\): intensity belongs to the supervisor"):
        Child(Simulator, **{option: 3})  # type: ignore[arg-type]


def test_detached_child_is_refused() -> None:
    with pytest.raises(ValueError, match="a child never outlives its supervisor"):
        Child(Simulator, detached=True)


def test_child_of_something_that_is_no_class_is_refused() -> None:
    with pytest.raises(TypeError, match="give the actor's class, then its constructor's arguments"):
        Child(Simulator())  # type: ignore[arg-type]


def test_child_of_a_class_that_is_no_actors_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Child\(object\): object is no actor; derive it from art.Actor"):
        Child(object)


@pytest.mark.parametrize(("args", "options"), [((), {}), ((1, 2, 3), {}), ((1,), {"start": 2})])
def test_child_with_arguments_that_its_constructor_does_not_take_is_refused(
    args: tuple[int, ...], options: dict[str, int]
) -> None:
    class Counter(Actor):
        def __init__(self, start: int) -> None:
            self.start = start

    with pytest.raises(TypeError, match=r"Counter\(start: 'int'\) -> 'None': "):
        Child(Counter, *args, **options)


def test_child_isolation_is_checked_like_any_actors() -> None:
    assert Child(Simulator, isolation="process").options.isolation is Isolation.PROCESS
    with pytest.raises(ValueError, match="option isolation='thread'"):
        Child(Simulator, isolation="thread")


def test_children_without_id_are_named_after_their_class_and_numbered() -> None:
    children = [Child(Simulator), Child(Simulator, id="Simulator-2"), Child(Simulator), Child(Simulator, id="x")]
    assert list(identify(children)) == ["Simulator", "Simulator-2", "Simulator-3", "x"]


def test_two_children_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="child id 'x' is taken: give every child of a supervisor an id= of its own"):
        identify([Child(Simulator, id="x"), Child(Simulator, id="x")])


def test_child_id_that_is_taken_already_is_refused() -> None:
    with pytest.raises(ValueError, match="child id 'x' is taken"):
        identify([Child(Simulator, id="x")], frozenset({"x"}))


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, None), ({"shutdown_s": DEFAULT_SHUTDOWN_S}, DEFAULT_SHUTDOWN_S)],
    ids=["unsaid", "said"],
)
def test_supervisor_has_for_ever_to_stop_unless_somebody_says_otherwise(options, expected):
    class Team(Supervisor):
        pass

    spawned = Team.options(**options)._options
    assert (spawned.shutdown_s, Child(Team, **options).options.shutdown_s) == (expected, expected)
    assert ActorOptions.from_data(spawned.to_data()).shutdown_s == expected
