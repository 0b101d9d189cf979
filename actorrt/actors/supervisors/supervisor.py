"""The class `Supervisor`, from which users derive theirs.

`policy.supervision` decides about children, and a `shell` carries out the decisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from actorrt import config
from actorrt.actors.api.actor import Actor
from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.actors.policy import checks
from actorrt.actors.policy.childspec import AutoShutdown, Strategy, check_quorum
from actorrt.actors.policy.supervision import Supervision
from actorrt.actors.supervisors.child import Child, identify
from actorrt.actors.supervisors.child_authority import ChildAuthority
from actorrt.actors.supervisors.shell import Shell
from actorrt.errors import RuntimeStateError
from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.refs.ref import ActorRef


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """The status of one child, as `Supervisor.children_info` returns it.

    Attributes:
        id: the child's id.
        ref: its ref; None before its first start.
        state: `running`, `starting`, `backing_off` and so on.
        restarts: how often it was started again.
        last_exit: why its last incarnation ended; None while the first one lives.
    """

    id: str
    ref: ActorRef[Any] | None
    state: str
    restarts: int
    last_exit: ExitReason | None


class Supervisor(Actor):
    """Restarts what fails, by OTP's rules. Derive from it and yield children from `children()`.

    Attributes:
        strategy: `"one_for_one"`, `"one_for_all"`, `"rest_for_one"` or `"quorum"`.
        quorum: how many children must run; with fewer it gives up. For `strategy = "quorum"` only.
        max_restarts: the most failures within `period_s`; with one more the supervisor gives up (with a quorum: the
            next restarts wait for `backoff.max_s`). With None it never gives up.
        period_s: the window, in seconds.
        auto_shutdown: whether the end of significant children ends the supervisor.
    """

    strategy: ClassVar[str] = "one_for_one"
    quorum: ClassVar[int | None] = None
    max_restarts: ClassVar[int | None] = config.DEFAULT_MAX_RESTARTS
    period_s: ClassVar[float] = config.DEFAULT_PERIOD_S
    auto_shutdown: ClassVar[str] = "never"
    _is_supervisor: ClassVar[bool] = True
    _default_options: ClassVar[Mapping[str, Any]] = {"shutdown_s": None}  # it ends when its children have

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        strategy = checks.choice(Strategy)(f"{cls.__name__}.strategy", cls.strategy)
        checks.choice(AutoShutdown)(f"{cls.__name__}.auto_shutdown", cls.auto_shutdown)
        check_quorum(strategy, cls.quorum)

    def children(self) -> Iterable[Child]:
        """Yield the first children, in their start order."""
        return ()

    async def on_start(self) -> None:
        """Start the children, one after the other.

        Raises:
            ActorStartError: one did not start; those before it were stopped.
            TypeError, ValueError: `children()` yields something else than a `Child`, or two of one id; nothing was
                started.
        """
        cell, endpoint = self.context._cell, current_endpoint()
        children = identify(_given(type(self).__name__, self.children()))
        supervision = Supervision(
            endpoint.surroundings.random,
            strategy=Strategy(self.strategy),
            max_restarts=self.max_restarts,
            period_s=self.period_s,
            auto_shutdown=AutoShutdown(self.auto_shutdown),
            quorum=self.quorum,
        )
        soon = endpoint.scope.loop.call_soon
        authority = ChildAuthority(
            endpoint.peers.node, endpoint.control, soon, endpoint.spawning, endpoint.refs, cell.actor_id
        )
        shell = cell.shell = Shell(
            cell,
            supervision,
            children,
            authority,
            endpoint.surroundings.ids.actor,
            endpoint.clock,
            endpoint.scope.after,
        )
        shell.begin()
        await shell.ready

    async def on_stop(self, reason: ExitReason) -> None:
        """Return when the children have stopped, last first; their stop began with the order to the supervisor."""
        shell = self.context._cell.shell
        if isinstance(shell, Shell):
            await shell.over

    @property
    def _shell(self) -> Shell:
        shell = self.context._cell.shell
        if not isinstance(shell, Shell):
            raise RuntimeStateError(
                f"{type(self).__name__} has no children: its on_start() has to await super().on_start()"
            )
        return shell

    async def child(self, id: str) -> ActorRef[Any]:
        """Return the ref of a child.

        Raises:
            ValueError: there is no such child.
        """
        ref = self._shell.ref(id)
        if ref is None:
            raise self._unknown(id)
        return ref

    def _unknown(self, id: str) -> ValueError:
        ids = [info.id for info in self._shell.supervision.children()]
        return ValueError(f"{type(self).__name__} has no child {id!r}; it has {', '.join(ids) or 'none'}")

    async def children_info(self) -> list[ChildStatus]:
        """Return the status of every child, in start order."""
        return [
            ChildStatus(info.id, self._shell.ref(info.id), str(info.state), info.restart_count, info.last_reason)
            for info in self._shell.supervision.children()
        ]

    async def start_child(self, child: Child) -> ActorRef[Any]:
        """Start one more child, last in the order. If this is cancelled, the start ends and leaves no child.

        Raises:
            ActorStartError: it did not start; it is not a child then.
            TypeError: `child` is no `Child`.
            ValueError: its id is taken.
            RuntimeStateError: the supervisor is ending.
        """
        (child,) = _given("start_child()", [child])
        return await self._shell.start_child(child)

    async def stop_child(self, id: str) -> None:
        """Stop a child for good, and forget it.

        Raises:
            ValueError: there is no such child.
        """
        if id not in self._shell.supervision:
            raise self._unknown(id)
        end = self._shell.stop_child(id)
        if end is not None:
            await end


def _given(where: str, children: Iterable[Any]) -> list[Child]:
    """Check the children that `children()` yields, and return them.

    Raises:
        TypeError: it gives something else than children.
    """
    if not isinstance(children, Iterable):
        raise TypeError(f"{where}: children() returns {children!r}; yield an art.Child(...) for each child")
    given = list(children)
    for child in given:
        if not isinstance(child, Child):
            hint = f"art.Child({child.__name__}, ...)" if isinstance(child, type) else "art.Child(ActorClass, ...)"
            raise TypeError(f"{where}: {child!r} is no Child; give {hint}")
    return given
