"""`task`: makes a function whose calls can run in other processes, many at a time."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.store.client.ref import ObjectRef
from actorrt.tasks.policy.options import TaskOptions
from actorrt.tasks.working.endpoint_tasks import tasks_of

if TYPE_CHECKING:
    from actorrt.tasks.submitting.submission import SubmissionKind

P = ParamSpec("P")
T = TypeVar("T")


class RemoteFunction(Generic[P, T]):
    """A function whose calls can be submitted as tasks. Called directly, it runs here and now.

    Args:
        function: a plain function or a coroutine function.
        options: the options of its tasks.
    """

    def __init__(self, function: Callable[P, T], options: TaskOptions) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = getattr(function, "__qualname__", repr(function))
        self.task_options = options
        self._signature = _signature(function)
        self._least_count, self._most_count = _counts(self._signature)
        self._origin: RemoteFunction[P, T] | None = None  # None if it is its own: it refers to itself in no cycle
        self.kind: Callable[[], SubmissionKind | None] = _no_kind

    @property
    def origin(self) -> RemoteFunction[P, T]:
        """What is pickled, once, whatever the options of its tasks."""
        return self._origin or self

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.function(*args, **kwargs)

    def submit(self, *args: Any, **kwargs: Any) -> ObjectRef[Any]:
        """Submit a task, and return the ref to its result at once.

        A top-level argument that is an `ObjectRef` arrives as its value; the task runs when it is there.

        Args:
            *args, **kwargs: the arguments; they are fixed now, so a later change of them is not seen.

        Raises:
            TypeError: the function does not take these arguments.
            SerializationError: the function or an argument can't be sent; the message names its path.
            MailboxFullError: 1,000,000 tasks, or arguments of 256 MiB, wait here already. A plain thread waits instead.
            RuntimeStateError: the runtime is not running here.
        """
        if kwargs or not self._least_count <= len(args) <= self._most_count:
            self._check(args, kwargs)
        return tasks_of(current_endpoint()).submitter.submit(self, args, kwargs)

    def submit_many(self, many: Iterable[tuple[Any, ...]]) -> list[ObjectRef[Any]]:
        """Submit a task for each tuple of arguments, and return the refs in their order; raises as `submit`."""
        arguments = [tuple(args) for args in many]
        for args in arguments:
            if not self._least_count <= len(args) <= self._most_count:
                self._check(args, {})
        refs: list[ObjectRef[Any]] = []
        refs += tasks_of(current_endpoint()).submitter.submit_many(self, arguments)
        return refs

    def options(self, **options: Any) -> RemoteFunction[P, T]:
        """Return the same function with other options for its tasks; see `task`."""
        return _with_options(self.origin, self.task_options.replaced(**options))

    def _check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse arguments that the function does not take, before anything is sent."""
        if self._signature is None:
            return
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}{self._signature}: {error}") from None

    def __reduce__(self) -> Any:
        if self._origin is not None:
            return _with_options, (self._origin, self.task_options)
        if _is_importable(self):
            return self.name
        return RemoteFunction, (self.function, self.task_options)

    def __repr__(self) -> str:
        return f"<task {self.name}>"


def _with_options(origin: RemoteFunction[P, T], options: TaskOptions) -> RemoteFunction[P, T]:
    """Return a function with other options."""
    other = RemoteFunction(origin.function, options)
    other._origin = origin
    return other


def _no_kind() -> None:
    """Stand for the kind of a function whose tasks have none yet."""


def _is_importable(function: RemoteFunction[..., Any]) -> bool:
    """Whether a worker finds the function by its name; otherwise it travels by value."""
    module = str(function.__module__)
    if module == "__main__" or module not in sys.modules:
        return False
    cloudpickle = sys.modules.get("cloudpickle")
    by_value = () if cloudpickle is None else cloudpickle.list_registry_pickle_by_value()
    if any(module == name or module.startswith(f"{name}.") for name in by_value):
        return False
    found: Any = sys.modules[module]
    for part in function.name.split("."):
        found = getattr(found, part, None)
    return found is function


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None  # a function in C says nothing of its parameters


def _counts(signature: inspect.Signature | None) -> tuple[int, int]:
    """Return how many positional arguments surely fit: the least and the most number of them; (1, 0) if none does."""
    if signature is None:
        return 1, 0
    kinds = inspect.Parameter
    parameters = signature.parameters.values()
    if any(one.kind is kinds.KEYWORD_ONLY and one.default is kinds.empty for one in parameters):
        return 1, 0
    places = [one for one in parameters if one.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    takes_more = any(one.kind is kinds.VAR_POSITIONAL for one in parameters)
    least_count = sum(one.default is kinds.empty for one in places)
    return least_count, sys.maxsize if takes_more else len(places)


@overload
def task(function: Callable[P, T], /) -> RemoteFunction[P, T]: ...


@overload
def task(**options: Any) -> Callable[[Callable[P, T]], RemoteFunction[P, T]]: ...


def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function whose calls can be submitted as tasks: `@task`, or `@task(cpus=2, retries=0)`.

    A task with retries may run more than once, so it should not matter if it does: seeds of random numbers are
    arguments.

    Args:
        function: a plain function or a coroutine function.
        cpus: the CPUs that a task reserves while it runs, 1 by default; 0: light tasks, many at a time in one worker.
        gpus, resources: other things that it reserves.
        memory_bytes: memory that it reserves.
        retries: further attempts after its worker or its node died, 3 by default.
        retry_on: exceptions that are retried too, out of the same number of attempts, after a delay.
        timeout_s: the deadline of each task, in seconds from its submission.
        max_calls: the number of tasks after which a worker's process is replaced.
        env_vars: environment variables of the worker's process.

    Raises:
        TypeError, ValueError: the function can't be a task, there is no such option, or its value is wrong.
    """
    checked = TaskOptions.checked(**options)

    def decorated(function: Any) -> RemoteFunction[Any, Any]:
        if not callable(function) or isinstance(function, type | RemoteFunction):
            raise TypeError(f"@task on {function!r}: give a function")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"@task on {function.__qualname__}: it yields, and a task has one result; return a list")
        return RemoteFunction(function, checked)

    return decorated if function is None else decorated(function)
