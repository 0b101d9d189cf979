"""Mutations of the tasks: which safeguard is taken away, and which story of tasks finds it.

The standard story has no tasks: stories of tasks are long, and each of them is about one thing.

Two safeguards can't be taken away here, since no worker in virtual time waits in plain code or computes: that a worker
which waits gives its queue back, and that an answer does not wait for the next task. They are tested with processes, in
`tests/integration/tasks/test_nested_waits.py`. For the same reason a task that was withdrawn at its worker and begins
nevertheless shows nowhere: it begins in the same instant. That only attempts are charged which had begun is tested in
`tests/unit/tasks/test_book.py`: a coroutine counts as begun just before its first step, so a story can't tell.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

from actorrt.testing import Faults, World
from tests.simulation import stories_of_losses as losses
from tests.simulation import stories_of_tasks as tasks
from tests.simulation.mutations import OWN_FAULTS, Mutation
from tests.simulation.parts import begin_notes


class TaskStory(NamedTuple):
    """A story of tasks.

    Attributes:
        main: the program, which is given the seed.
        faults: what fails meanwhile.
        cpus: of the node.
        check_every_count: after how many callbacks the runtime's tables are checked.
    """

    main: Callable[[int], Coroutine[Any, Any, Any]]
    faults: Faults = Faults(delay_s=0.02)
    cpus: int = 4

    def verdict(self, seed: int) -> str:
        """Run the story of a seed; return what an oracle says against it, in one line, or an empty text."""
        for counts in (tasks.begun, tasks.steps, losses.begun):
            counts.clear()
        world = World(seed=seed, cpus=self.cpus, faults=self.faults)
        world.check_every_count = 50
        try:
            world.run(self.main, seed, timeout_s=3_000.0)
            twice = [number for number, count in tasks.begun.items() if count > 1]
            assert not twice, f"tasks without retries have begun twice: {twice}"
        except OWN_FAULTS:
            raise
        except Exception as error:
            return f"{type(error).__name__}: {error}".replace("\n", " ")
        finally:
            begin_notes()
        return ""


class TaskMutation(NamedTuple):
    """A mutation, the story that finds it, and its seed."""

    mutation: Mutation
    story: TaskStory
    seed: int = 0


GRAPH: Final = TaskStory(tasks.graph, tasks.FAULTS)
FORCED: Final = TaskStory(tasks.forced, Faults(drop=0.3, freeze=0.1, delay_s=0.02, spawn_failure=0.1), cpus=2)
WORN: Final = TaskStory(tasks.worn, cpus=2)
WITHDRAWN: Final = TaskStory(tasks.withdrawn, Faults(), cpus=1)
WEIGHTS: Final = TaskStory(tasks.weights_of_a_loop, Faults())
LOST_ONCE: Final = TaskStory(losses.lost_once)
LOST_ON_ONE_CPU: Final = TaskStory(losses.story, losses.CALM, cpus=1)
SHARED: Final = TaskStory(losses.shared, losses.CALM)

TASKS: Final = (
    TaskMutation(
        Mutation(
            "accept an attempt that was given up",
            "A task that was cancelled, or is late, ends twice.",
            "tasks.policy.book:Book.over",
            "if task is None or task.state is TaskState.ENDED:",
            "if task is None:",
        ),
        GRAPH,
    ),
    TaskMutation(
        Mutation(
            "run a task again that may not",
            "A task without retries begins twice.",
            "tasks.policy.book:Book._charged",
            "if task.retries_left <= 0 or",
            "if",
        ),
        GRAPH,
    ),
    TaskMutation(
        Mutation(
            "forget a task that comes back",
            "A task that a worker gives back, since it does not begin it, never runs.",
            "tasks.policy.book:Book.skipped",
            "lease.queue.add(task, is_next=True)",
            "pass",
        ),
        WORN,
    ),
    TaskMutation(
        Mutation(
            "drop what is queued in a process that is worn out",
            "Tasks that were sent ahead to a process that is about to be replaced are lost.",
            "tasks.working.worker:TaskWorker._wear_out",
            "self._give_back_queued()",
            "self.inbox.give_back()",
        ),
        WORN,
    ),
    TaskMutation(
        Mutation(
            "forget a coroutine that was cancelled before its first step",
            "The attempt never ends at its worker, which is never free again.",
            "tasks.working.worker:TaskWorker.give_up",
            "and not attempt.cancel_coroutine():",
            "and attempt.cancel_coroutine() is None:",
        ),
        WITHDRAWN,
    ),
    TaskMutation(
        Mutation(
            "withdraw nothing from workers",
            "A task runs on after it was cancelled.",
            "tasks.submitting.withdrawals:Withdrawals._withdraw",
            "if task.state is TaskState.ASSIGNED:",
            "if False:",
        ),
        WITHDRAWN,
    ),
    TaskMutation(
        Mutation(
            "ask the node once to end a worker",
            "Code that was cancelled by force goes on, if it had not begun when the node was asked.",
            "tasks.submitting.withdrawals:Withdrawals._end_worker",
            "self._control.notify(self._node, EndWorker(lease=lease.number, sequence=sequence))",
            "pass",
        ),
        FORCED,
    ),
    TaskMutation(
        Mutation(
            "make again without merging",
            "Each of several tasks that take a lost result has it made again.",
            "tasks.submitting.lineage:Lineage._run",
            "wanted, self.being_made, self",
            "wanted, (), self",
        ),
        SHARED,
    ),
    TaskMutation(
        Mutation(
            "make again what is there",
            "A task runs again although its result is in the store.",
            "tasks.policy.search:Search.answered",
            "zip(object_ids, are_here, strict=True)",
            "[(one, False) for one, _ in zip(object_ids, are_here, strict=True)]",
        ),
        LOST_ONCE,
        seed=1,
    ),
    TaskMutation(
        Mutation(
            "pin the bytes of arguments",
            "The store keeps each argument as long as a result that was made from it.",
            "tasks.submitting.lineage:Lineage.kept",
            "inputs.append((at, ref.result_in_store().id if isinstance(ref, TaskRef) else ref.id))",
            "inputs.append((at, ref))",
        ),
        WEIGHTS,
    ),
    TaskMutation(
        Mutation(
            "fail before the keeper is asked",
            "A lost result is an error, though its task can run again.",
            "store.table.entries:ObjectEntries._lose",
            "if not entry.keepers:",
            "if True:",
        ),
        LOST_ONCE,
    ),
    TaskMutation(
        Mutation(
            "send a task whose argument is being made",
            "A task waits at its worker for a result whose own task needs that worker.",
            "tasks.submitting.lineage:Lineage.holds_up",
            "missing = self._missing(task)",
            "missing = []",
        ),
        LOST_ON_ONE_CPU,
        seed=5,
    ),
)
