"""Makes results again that a store has lost: the submitter of their tasks is the keeper of their objects.

It keeps how each result in a store was made (`Origins`). When the store asks for a lost one, because somebody waits for
it, `Search` finds what is missing below it, and the tasks of that run again, as tasks like any other. What they return
is put as the same objects, so that whoever has a ref reads on. Whatever can't be made again fails with an error that
says why.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from actorrt.errors import ActorRtError, ObjectLostError, to_data
from actorrt.ids import ObjectId, short
from actorrt.store.client.ref import ObjectRef
from actorrt.store.connection.connection import NotReadyError
from actorrt.store.table.objects import Presence
from actorrt.tasks.policy.class_queue import Lease
from actorrt.tasks.policy.origins import MAX_BYTES, Origin, Origins
from actorrt.tasks.policy.search import Search
from actorrt.tasks.submitting.submission import PLAIN_BYTES, Submission, SubmissionKind
from actorrt.tasks.submitting.task_ref import TaskRef
from actorrt.texts import in_words

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint
    from actorrt.store.client.client import StoreClient
    from actorrt.store.client.keeping import Keeping
    from actorrt.tasks.submitting.submitter import Submitter

KeptInput = tuple["int | str", "TaskRef[Any] | ObjectId"]
"""The place of an argument that is a ref: a result that this process has itself, or the object of it."""

Claimed = dict[ObjectId, tuple[ObjectRef[Any], bool]]
"""Objects that are held, and whether this process has to make each of them."""


class KeptTask(NamedTuple):
    """What a task needs to run again; for the fields see `Submission`."""

    kind: SubmissionKind
    depth: int
    body: Any
    buffers: Sequence[bytes]
    inputs: Sequence[KeptInput]
    inner: Sequence[tuple[ObjectId, bytes]]
    size_bytes: int
    refusal: str


class _Kept:
    """Keeps an origin as long as the ref to its result lives."""

    __slots__ = ("_ended", "number")

    def __init__(self, ended: deque[int], number: int) -> None:
        self._ended = ended
        self.number = number

    def __del__(self) -> None:
        self._ended.append(self.number)


class _Remake(NamedTuple):
    """A task that runs again.

    Attributes:
        ref: its result.
        held: holds the objects that are made of the result.
        loss: how they were lost.
    """

    ref: TaskRef[Any]
    held: dict[ObjectId, ObjectRef[Any]]
    loss: str


class Lineage:
    """The lineage of one submitter's results.

    Args:
        submitter: runs tasks again.
        endpoint: the submitter's.

    Attributes:
        being_made: the objects that are being made again.
    """

    def __init__(self, submitter: Submitter, endpoint: ActorEndpoint) -> None:
        self._submitter = submitter
        self._loop = endpoint.loop
        self._threads = endpoint.threads
        self._clock = endpoint.clock
        self._store = endpoint.store
        self.origins = Origins()
        self.being_made: dict[ObjectId, _Remake] = {}
        self._ended: deque[int] = deque()
        self._lost: dict[ObjectId, str] = {}
        self._lost_again: dict[ObjectId, str] = {}  # what was lost before it was known to be made
        if endpoint.store is not None:
            endpoint.store.keeping.on_lost = self._on_lost

    @property
    def _keeping(self) -> Keeping:
        return self._client.keeping

    @property
    def _client(self) -> StoreClient:
        assert self._store is not None, "there are results in a store"
        return self._store

    # How results are made

    def kept(self, task: Submission) -> KeptTask | None:
        """Return what a task that ends with a result in the store needs to run again; None if its result was lost."""
        if task.object_id is not None:
            return None
        refusal = task.why_not_again()
        if refusal:
            return KeptTask(task.kind, task.depth, (), (), (), (), 0, refusal)
        inputs: list[KeptInput] = []
        size_bytes = task.size_bytes - PLAIN_BYTES
        for at, ref in task.inputs:
            travelled = ref.travelled if isinstance(ref, TaskRef) else None
            if travelled is not None:
                inputs.append((at, ref))  # type: ignore[arg-type]  # only tasks' results travel
                body, buffers = travelled
                size_bytes += (len(body) if isinstance(body, bytes) else PLAIN_BYTES) + sum(map(len, buffers))
            else:
                inputs.append((at, ref.result_in_store().id if isinstance(ref, TaskRef) else ref.id))
        return KeptTask(task.kind, task.depth, task.body, task.buffers, inputs, task.inner, size_bytes, "")

    def made(self, ref: TaskRef[Any], stored: ObjectRef[Any], kept: KeptTask) -> None:
        """Called when a task has ended whose result is an object of the store."""
        if self.origins.of(stored.id) is not None:
            return  # the task has returned the result of another one
        needs = [self.origins.need(_label(at), value) for at, value in kept.inputs if isinstance(value, bytes)]
        needs += [self.origins.need("a ref inside an argument", object_id) for object_id, _ in kept.inner]
        origin = self.origins.made(stored.id, ref.name, needs, kept.size_bytes, refusal=kept.refusal, payload=kept)
        ref.kept = _Kept(self._ended, origin.number)
        self._keeping.keep(stored.id)
        self._let_go()  # now that this one needs them

    def copied(self, ref: TaskRef[Any], object_id: ObjectId) -> None:
        """Called in any thread when the result of a task was put as another object, which others read."""
        self._keeping.keep(object_id)
        kept = ref.kept
        if isinstance(kept, _Kept):
            self._threads.on_loop(lambda: self.origins.copied(kept.number, object_id))

    def _let_go(self) -> None:
        """Forget how results were made that nobody refers to any more."""
        while self._ended:
            self.origins.let_go(self._ended.popleft())
        if self.origins.has_many_doubtful:
            doubtful = self.origins.doubtful()
            asked = [object_id for origin in doubtful for object_id in origin.object_ids]
            found = zip(asked, self._keeping.find(asked), strict=True)
            known = {object_id for object_id, presence in found if presence is not Presence.UNKNOWN}
            self.origins.looked_at([(origin, known.isdisjoint(origin.object_ids)) for origin in doubtful])

    # Making them again

    def _on_lost(self, object_id: ObjectId, loss: BaseException) -> None:
        """Called when the store asks for a lost object. All of this tick are made again together."""
        self._ask(object_id, str(loss))

    def _ask(self, object_id: ObjectId, loss: str) -> None:
        if not self._lost:
            self._loop.call_soon(self._make_again)
        self._lost[object_id] = loss

    def _make_again(self) -> None:
        lost, self._lost = self._lost, {}
        wanted: list[Origin] = []
        for object_id, loss in lost.items():
            origin = self.origins.of(object_id)
            copied = self._submitter.promises.ref(object_id)
            if copied is not None:
                self._copy_again(copied, object_id, loss)
            elif origin is None:
                why = f"how it was made has been dropped: at most {MAX_BYTES >> 20} MiB of that are kept"
                self._give_up(object_id, loss, f"and can't be made again: {why}")
            elif object_id in self.being_made:
                self._lost_again[object_id] = loss
            else:
                wanted.append(origin)
        try:
            self._run(wanted, lost)
        except ActorRtError as error:  # the store is gone, and has failed whoever waits
            for origin in wanted:
                self._give_up(origin.object_id, lost[origin.object_id], f"and was not made again: {error}")

    def _copy_again(self, ref: ObjectRef[Any], object_id: ObjectId, loss: str) -> None:
        """Put the result of a task as another object, as soon as it is there."""
        try:
            self._client.put(ref.value(), object_id=object_id)
        except NotReadyError:
            again = partial(self._copy_again, ref, object_id, loss)
            ref.once_more().add_callback(lambda _: self._threads.on_loop(again))
        except Exception as error:  # of the task, of the value's own code, or of a store without room
            self._give_up(object_id, loss, f"and could not be made again: {in_words(error)}")

    def _run(self, wanted: Sequence[Origin], lost: dict[ObjectId, str]) -> None:
        """Run the tasks again that are needed for lost objects."""
        search = Search(self.origins, wanted, self.being_made, self._clock.now())
        runs, held = self._found(search, lost)
        refusals = search.refusals()
        for origin in search.wanted:
            if origin.number in refusals:
                why = f"and can't be made again: {refusals[origin.number]}"
                for object_id in origin.object_ids:
                    if object_id in lost or object_id == origin.object_id:
                        self._give_up(object_id, lost.get(object_id, ""), why, origin.name)
        for origin in runs:
            mine = {one: held[one][0] for one in origin.object_ids if one in held and held[one][1]}
            loss = next((lost[object_id] for object_id in mine if object_id in lost), "")
            if origin.object_id in mine:
                self._run_again(origin, _Remake(TaskRef(self._submitter, origin.name), mine, loss), held)
            else:
                for copy in mine:
                    self._copy_again(held[origin.object_id][0], copy, loss)
        if runs:
            self._take_back()

    def _found(self, search: Search, lost: Collection[ObjectId]) -> tuple[list[Origin], Claimed]:
        """Return the origins whose tasks run again, and the objects that are held for that."""
        while True:
            while asked := search.to_ask():
                search.answered(asked, self._are_here(asked))
            runs = search.runs(search.refusals())
            held = self._claimed(runs, lost)
            made = {object_id for origin in runs for object_id in origin.object_ids}
            vanished = [object_id for object_id, (_, is_mine) in held.items() if is_mine and object_id not in made]
            if not vanished:
                return runs, held
            for object_id in vanished:
                origin = self.origins.of(object_id)
                search.vanished(object_id, origin)
                if origin is None:
                    self._client.fail(object_id, ObjectLostError(f"object {short(object_id)} is gone"))

    def _are_here(self, object_ids: Sequence[ObjectId]) -> Iterator[bool]:
        """Yield whether the store has each object, or another process makes it again."""
        for object_id, found in zip(object_ids, self._keeping.find(object_ids), strict=True):
            yield found is Presence.HERE or (found is Presence.LOST and self.origins.of(object_id) is None)

    def _claimed(self, runs: Sequence[Origin], lost: Collection[ObjectId]) -> Claimed:
        """Hold what is made and what it is made from. Return the refs, and whether this process makes the object."""
        wanted = {object_id: None for origin in runs for object_id in origin.object_ids if object_id in lost}
        for origin in runs:
            wanted[origin.object_id] = None
            wanted.update({need.object_id: None for need in origin.needs if need.object_id not in self.being_made})
        return dict(zip(wanted, self._keeping.claim(list(wanted)), strict=True))

    def _run_again(self, origin: Origin, remake: _Remake, held: Claimed) -> None:
        kept: KeptTask = origin.payload
        ref = remake.ref
        timeout_s = kept.kind.options.timeout_s
        deadline = None if timeout_s is None else self._clock.now() + timeout_s
        task = Submission(next(self._submitter.numbers), kept.kind, ref, kept.depth, deadline, ())
        task.body, task.buffers, task.size_bytes = kept.body, kept.buffers, kept.size_bytes
        task.inputs = [(at, self._input(value, held)) for at, value in kept.inputs]
        if kept.inner:
            task.hold_inner(self._client, [(self._object(one, held), token) for one, token in kept.inner])
        task.object_id = origin.object_id
        self.being_made.update(dict.fromkeys(remake.held, remake))
        self.origins.runs(origin, self._clock.now())
        ref.add_callback(lambda _: self._threads.on_loop(lambda: self._has_run(origin)))
        self._submitter.take_again(task)

    def _input(self, value: TaskRef[Any] | ObjectId, held: Claimed) -> ObjectRef[Any]:
        if isinstance(value, TaskRef):
            return value
        remake = self.being_made.get(value)
        return held[value][0] if remake is None else remake.ref

    def _object(self, object_id: ObjectId, held: Claimed) -> ObjectRef[Any]:
        remake = self.being_made.get(object_id)
        return held[object_id][0] if remake is None else remake.held[object_id]

    def _has_run(self, origin: Origin) -> None:
        """Called when a task that ran again has ended."""
        remake = self.being_made[origin.object_id]
        for object_id in remake.held:
            del self.being_made[object_id]
        error = remake.ref.error()
        for object_id in remake.held:
            lost_again = self._lost_again.pop(object_id, None)
            if lost_again is not None:
                self._ask(object_id, lost_again)
            elif error is not None:
                why = f"and could not be made again: {in_words(error)}"
                self._give_up(object_id, remake.loss, why, origin.name, to_data(error)["notes"])
            elif object_id != remake.ref.stored_id:  # a copy, or the task has returned something else than before
                self._copy_again(remake.ref, object_id, remake.loss)

    def _give_up(self, object_id: ObjectId, loss: str, why: str, name: str = "", notes: Sequence[str] = ()) -> None:
        """Fail a lost object: whoever waits for it is told how it was lost, and why it is not made again."""
        what = f"object {short(object_id)}, the result of task {name}()," if name else f"object {short(object_id)}"
        error = ObjectLostError(f"{what} is lost {why}" + (f"; it was lost so: {loss}" if loss else ""))
        for note in notes:
            error.add_note(note)
        self._client.fail(object_id, error)

    # Tasks that take what is made again

    def _take_back(self) -> None:
        """Take tasks back from workers that wait for lost arguments: their workers may be needed to make these."""
        for lease in self._submitter.book.leases():
            for sequence, task in lease.in_hand.items():
                if self._missing(task):
                    self._submitter.workers.give_back(lease, sequence)

    def _missing(self, task: Submission) -> list[TaskRef[Any]]:
        """Return the results that a task takes and that are made again now."""
        found = []
        for _, value in task.inputs:
            object_id = value.stored_id if isinstance(value, TaskRef) else value.id
            remake = None if object_id is None else self.being_made.get(object_id)
            if remake is not None and value is not remake.ref:
                found.append(remake.ref)
        return found

    def holds_up(self, lease: Lease[Submission], task: Submission) -> bool:
        """Called before a task is sent while objects are made again. Return whether it waits for one from now on."""
        missing = self._missing(task)
        if missing:
            self._submitter.book.waits_again(task, lease, len(missing), self._clock.now())
        for ref in missing:
            self._submitter.await_input(task, ref)
        return bool(missing)

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if what is kept contradicts itself."""
        self.origins.check_invariants()
        for object_id, remake in self.being_made.items():
            assert object_id in remake.held, f"object {short(object_id)} is not held while it is made again"


def _label(at: int | str) -> str:
    return f"argument {at}" if isinstance(at, int) else f"argument {at!r}"
