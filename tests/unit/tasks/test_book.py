"""The book of a submitter under every order of grants, outcomes, losses and cancellations, against a plain account."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from actorrt.ids import PeerAddress, PeerId
from actorrt.tasks.policy.book import MAX_DEATHS_COUNT, Book
from actorrt.tasks.policy.class_queue import KEEP_S, Lease
from actorrt.tasks.policy.task import FunctionCost, Task, TaskKind, TaskState, WorkerEnd

CLASS = 1
END = "its worker ended"


class Account:
    """What a test knows of one task: how often it began, and how it ended."""

    def __init__(self, retries: int) -> None:
        self.retries = retries
        self.begun_count = 0
        self.charged_count = 0
        self.allowed_count = retries + 1
        self.end: str | None = None


class BookMachine(RuleBasedStateMachine):
    tasks: Bundle[Task] = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.book: Book[Task] = Book()
        self.queue = self.book.begin_class(CLASS, is_light=False)
        self.cost = FunctionCost()
        self.accounts: dict[Task, Account] = {}
        self.now = 0.0
        self.lease_count = 0
        self.begun: dict[PeerId, int] = {}
        self.retired_deaths = 0

    def ended(self, task: Task, how: str) -> None:
        assert self.accounts[task].end is None, f"it ends a second time: {task.story}"
        self.accounts[task].end = how

    @rule(target=tasks, missing=st.integers(0, 2), retries=st.integers(0, 3))
    def submit(self, missing: int, retries: int) -> Task:
        kind = TaskKind(self.cost, retries)
        kind.queue = self.queue
        task = Task(len(self.accounts) + 1, kind)
        task.missing_count = missing
        self.accounts[task] = Account(retries)
        self.book.submitted(task)
        return task

    @rule(task=tasks)
    def an_input_arrives(self, task: Task) -> None:
        if task.state is TaskState.WAITING:
            self.book.input_arrived(task)

    @rule()
    def grant(self) -> None:
        self.lease_count += 1
        peer = PeerId(self.lease_count.to_bytes(16, "big"))
        self.book.granted(CLASS, self.lease_count, PeerAddress(peer, "memory://"), self.now)

    @rule(data=st.data())
    def recall(self, data: Any) -> None:
        if lease := self.drawn(data):
            lease.is_recalled = True

    @rule(seconds=st.sampled_from([0.0, KEEP_S]))
    def time_passes_and_idle_leases_are_returned(self, seconds: float) -> None:
        self.now += seconds
        for lease in self.queue.to_return(self.now):
            assert not lease.in_hand
            self.book.returned(lease.number)

    @rule()
    def send(self) -> None:
        for lease, task in self.queue.assign():
            assert lease.is_open
            assert task.state is TaskState.ASSIGNED

    def drawn(self, data: Any, *, in_hand: bool = False) -> Lease[Task] | None:
        leases = [lease for lease in self.book.leases() if lease.in_hand or not in_hand]
        return data.draw(st.sampled_from(leases)) if leases else None

    def begin(self, lease: Lease[Task]) -> int:
        """Let the worker begin the oldest attempt that it has not begun, or take up the one that it has."""
        sequence = min(lease.in_hand)
        if sequence > self.begun.get(lease.worker.peer, 0):
            self.begun[lease.worker.peer] = sequence
            task = lease.in_hand[sequence]
            account = self.accounts[task]
            if account.end is None:
                account.begun_count += 1
        return sequence

    @rule(data=st.data())
    def a_worker_begins(self, data: Any) -> None:
        if lease := self.drawn(data, in_hand=True):
            self.begin(lease)

    @rule(data=st.data(), seconds=st.sampled_from([0.00001, 0.01]))
    def a_task_succeeds(self, data: Any, seconds: float) -> None:
        if lease := self.drawn(data, in_hand=True):
            task = self.book.over(lease, self.begin(lease), self.now, seconds)
            if task is not None:
                self.ended(task, "value")
                self.book.ended(task)

    @rule(data=st.data())
    def a_task_raises_what_is_retried(self, data: Any) -> None:
        if lease := self.drawn(data, in_hand=True):
            task = self.book.over(lease, self.begin(lease), self.now, 0.001)
            if task is not None and self.book.rests(task):
                self.accounts[task].charged_count += 1
            elif task is not None:
                self.ended(task, "error")
                self.book.ended(task)

    @rule(task=tasks)
    def a_rest_is_over(self, task: Task) -> None:
        self.book.rested(task)

    @rule(data=st.data())
    def a_worker_gives_back_what_it_has_not_begun(self, data: Any) -> None:
        if lease := self.drawn(data, in_hand=True):
            begun = self.begun.get(lease.worker.peer, 0)
            for sequence in sorted((one for one in lease.in_hand if one > begun), reverse=True):
                self.book.skipped(lease, sequence, self.now)

    @rule(data=st.data(), is_killed=st.booleans())
    def a_worker_is_lost(self, data: Any, is_killed: bool) -> None:
        lease = self.drawn(data)
        if lease is None:
            return
        peer = lease.worker.peer
        how = WorkerEnd.KILLED if is_killed else WorkerEnd.CRASHED
        for interrupted in self.book.worker_lost(peer, self.begun.get(peer, 0), how, END):
            account = self.accounts[interrupted.task]
            if is_killed and account.retries:
                assert interrupted.runs_again
                account.allowed_count += interrupted.has_begun
                continue
            account.charged_count += interrupted.has_begun
            if not interrupted.runs_again:
                assert interrupted.has_begun
                assert account.charged_count > account.retries or len(interrupted.task.deaths) == MAX_DEATHS_COUNT
                self.ended(interrupted.task, "died")

    @rule(task=consumes(tasks))
    def cancel(self, task: Task) -> None:
        if self.accounts[task].end is None:
            self.ended(task, "cancelled")
            self.book.ended(task)

    @rule(target=tasks, task=consumes(tasks))
    def run_in_place(self, task: Task) -> Any:
        if not self.book.takes_in_place(task):
            return multiple(task)
        self.accounts[task].begun_count += 1
        self.ended(task, "value")
        self.book.ended(task)
        return multiple()

    @invariant()
    def the_book_is_sound(self) -> None:
        self.book.check_invariants()
        assert len(self.book) == sum(account.end is None for account in self.accounts.values())

    @invariant()
    def no_task_begins_more_often_than_its_retries_allow(self) -> None:
        for task, account in self.accounts.items():
            assert account.begun_count <= account.allowed_count, task.story

    @invariant()
    def no_ready_task_waits_while_a_worker_is_free(self) -> None:
        is_free = any(lease.is_open and not lease.in_hand for lease in self.book.leases())
        if is_free and self.queue.ready_count:
            assert list(self.queue.assign())

    def teardown(self) -> None:
        """With one worker alive, everything ends."""
        for task in list(self.accounts):
            while task.state is TaskState.WAITING:
                self.book.input_arrived(task)
            self.book.rested(task)
        self.grant()
        while len(self.book):
            list(self.queue.assign())
            for lease in list(self.book.leases()):
                for sequence in list(lease.in_hand):
                    task = self.book.over(lease, sequence, self.now, 0.0)
                    if task is not None:
                        self.ended(task, "value")
                        self.book.ended(task)
            self.grant()
        self.book.check_invariants()
        assert all(account.end is not None for account in self.accounts.values())


TestBook = BookMachine.TestCase
TestBook.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
