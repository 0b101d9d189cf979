"""The children of a supervisor as users write them, and the ids that they go by.

`policy.supervision` decides what a supervisor does with its children.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from actorrt.actors.api.actor import Actor
from actorrt.actors.policy import checks
from actorrt.actors.policy.childspec import ChildSpec
from actorrt.actors.policy.options import OPTION_NAMES, ActorOptions, RestartType


class Child:
    """One child of a supervisor: the actor to start and how to keep it.

    Args:
        actor_class: the actor's class.
        *args: positional arguments of its constructor.
        id: the child's id, unique within its supervisor; None takes the class's name, numbered when taken.
        significant: whether its end can end the supervisor (`auto_shutdown`).
        **options_and_kwargs: names of actor options are options; all others go to the constructor. `restart` is
            `"permanent"` unless given.

    Raises:
        TypeError: `actor_class` is no actor class; `max_restarts` or `period_s`, which belong to the supervisor; a
            keyword that is neither an option nor the constructor's; arguments that the constructor does not take; or
            an option of a wrong type.
        ValueError: an option outside its range; `detached`, since a child never outlives its supervisor.
    """

    __slots__ = ("actor_class", "args", "id", "kwargs", "options", "significant")

    def __init__(
        self,
        actor_class: type,
        /,
        *args: Any,
        id: str | None = None,
        significant: bool = False,
        **options_and_kwargs: Any,
    ) -> None:
        if not isinstance(actor_class, type):
            raise TypeError(f"Child({actor_class!r}): give the actor's class, then its constructor's arguments")
        if not issubclass(actor_class, Actor):
            name = actor_class.__name__
            raise TypeError(f"Child({name}): {name} is no actor; derive it from art.Actor")
        for name in ("max_restarts", "period_s"):
            if name in options_and_kwargs:
                raise TypeError(
                    f"{name}={options_and_kwargs[name]!r} on Child({actor_class.__name__}): intensity belongs to the "
                    f"supervisor; set {name} on its class"
                )
        options = {name: value for name, value in options_and_kwargs.items() if name in OPTION_NAMES}
        self.actor_class = actor_class
        self.args = args
        self.kwargs = {name: value for name, value in options_and_kwargs.items() if name not in OPTION_NAMES}
        _check_keywords(actor_class, self.kwargs)
        checks.constructor(actor_class, args, self.kwargs)
        self.id = checks.optional(checks.text)("id", id)
        self.significant = checks.flag("significant", significant)
        self.options = ActorOptions.of(
            {"restart": RestartType.PERMANENT, **getattr(actor_class, "_default_options", {}), **options}
        )
        if self.options.detached:
            raise ValueError(f"detached=True on {self!r}: a child never outlives its supervisor; spawn it elsewhere")

    def spec(self, id: str) -> ChildSpec:
        """Return what the supervisor's decisions need to know, under the id that it goes by."""
        return ChildSpec(id, self.options.restart, self.options.backoff, self.significant)

    def __repr__(self) -> str:
        return f"Child({self.actor_class.__name__}, id={self.id!r})"


def _check_keywords(actor_class: type, kwargs: dict[str, Any]) -> None:
    """Refuse a keyword that the constructor does not take: most likely it is a misspelt option."""
    try:
        parameters = inspect.signature(actor_class).parameters
    except (TypeError, ValueError):
        return  # a constructor in C says nothing of its parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for name in kwargs:
        if name not in parameters:
            near = get_close_matches(name, [*OPTION_NAMES, "id", "significant", *parameters], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(
                f"{name!r} on Child({actor_class.__name__}): no option and no argument of its constructor{hint}"
            )


def identify(children: Iterable[Child], taken: frozenset[str] = frozenset()) -> dict[str, Child]:
    """Give every child its id, in their order: its own, or its class's name, numbered from 2 when taken.

    Raises:
        ValueError: two children of one id, or one that is in `taken`.
    """
    children, used = list(children), set(taken)
    for child in children:
        if child.id in used:
            raise ValueError(f"child id {child.id!r} is taken: give every child of a supervisor an id= of its own")
        if child.id is not None:
            used.add(child.id)
    identified: dict[str, Child] = {}
    for child in children:
        id = child.id or _free_id(child.actor_class.__name__, used)
        used.add(id)
        identified[id] = child
    return identified


def _free_id(name: str, taken: set[str]) -> str:
    id, number = name, 1
    while id in taken:
        number += 1
        id = f"{name}-{number}"
    return id
