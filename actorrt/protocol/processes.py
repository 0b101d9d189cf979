"""Pure: requests to any process with actors, from its node and from the processes that it exchanges messages with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from actorrt.ids import ActorId, JobId, ObjectId, PeerAddress, PeerId
from actorrt.protocol.forms import Count
from actorrt.protocol.nodes import ActorRow
from actorrt.protocol.verb import Record, Request, verb
from actorrt.reasons import ExitReason

Stream: TypeAlias = Literal["stdout", "stderr"]

ALL_BEGUN: Final = 2**63 - 1
"""The number of an attempt that no attempt reaches."""

# Messages on their way


@verb("fence", asked_by="another process")
class Fence(Request[None]):
    """Answer at once. On the lane of messages, the answer says that all messages sent before have arrived."""


@verb("flush", asked_by="a process that monitors an actor here")
class Flush(Request[None]):
    """Send the messages that wait here for the asker, whose address is `address`; answer when they have arrived."""

    address: str


# Requests of a node to its processes


class CodeSource(Record):
    """Whom a worker asks for modules that its driver has on another machine.

    Attributes:
        socket: the path of the socket where the daemon answers.
        job: the job of the driver.
        here, there: what the machine of the worker and that of the driver are called in errors.
    """

    socket: str
    job: JobId
    here: str
    there: str


class WorkerSetting(Record):
    """The setting that a worker gets at its start, through the zygote that forks it.

    Attributes:
        peer, address: the id and the address of its endpoint.
        crash_notes: the file in which it notes the calls that it is handling; the file outlives the process.
        node: the daemon's endpoint.
        store: the path of the object store's socket.
        job, namespace, log_level, sys_path, cwd, env_vars: see `JobSetting`.
        label: its name for people.
        serves_tasks: whether it runs tasks; otherwise it hosts actors.
        is_light: whether its tasks are light, and of all submitters of the job.
        code: where the code of the driver is found if the driver is on another node. Then `sys_path` is not used, and
            `cwd` only if it exists.
    """

    peer: PeerId
    address: str
    crash_notes: str
    node: PeerAddress
    store: str
    job: JobId
    label: str
    namespace: str
    log_level: Count
    sys_path: list[str]
    cwd: str
    env_vars: dict[str, str]
    serves_tasks: bool
    is_light: bool
    code: CodeSource | None


class CallInHand(NamedTuple):
    """A call with retries that a process was handling: the caller, and the number that the caller gave to the call.

    For a worker of tasks: a submitter, and the number of the newest of its attempts that the worker had begun.
    """

    caller: PeerId
    call: Count


@verb("endpoint_down", asked_by="a node")
class EndpointDown(Request[None]):
    """A process of the node has ended.

    Attributes:
        in_hand: the calls with retries that it was handling; for a worker of tasks, which attempts it had begun, with
            `ALL_BEGUN` for submitters of which that is not known.
    """

    peer: PeerId
    reason: ExitReason
    in_hand: Sequence[CallInHand]


@verb("leave", asked_by="a node")
class Leave(Request[None]):
    """Send the messages that wait, and end: the worker hosts no actors any more."""


@verb("job_ended", asked_by="a node")
class JobEnded(Request[None]):
    """The node has ended the driver's job."""

    why: str


class OutputLine(NamedTuple):
    """A line that an actor or a worker printed."""

    label: str
    stream: Stream
    text: str


@verb("output", asked_by="a node")
class Output(Request[None]):
    """A worker of the driver's job has printed lines."""

    pid: Count
    lines: Sequence[OutputLine]


# What people ask


class ProcessCensus(Record):
    """The light children that a process is the authority of, and the longest mailboxes of its actors.

    Attributes:
        actors: parents come before their children.
        left_out: the number of children of each parent that are not listed.
        queued: the number of messages in the longest mailboxes, by actor.
        child_ids: the ids by which supervisors know their children.
    """

    actors: list[ActorRow]
    left_out: dict[bytes, Count]
    queued: dict[ActorId, Count]
    child_ids: dict[ActorId, str]


@verb("census", asked_by="a node")
class TakeCensus(Request[ProcessCensus]):
    """List the actors that only this process knows, at most `siblings_count` of one parent."""

    siblings_count: Count


@verb("statistics", asked_by="a driver")
class AskStatistics(Request[dict[str, Any]]):
    """Tell the lengths of all queues, and the numbers of messages that were dropped; see `Runtime.statistics`."""


# Searches for cycles of waits: of calls, tasks and objects that wait for each other. A search begins at an actor with
# queued calls, whose id is its `start`, or at a wait of a task, which gets a longer name. It is handed on from process
# to process. `seen` has what it has passed, so that it ends in cycles that do not lead back to its start.


class WaitCycle(Record):
    """A cycle of waits.

    Attributes:
        peer, call: the caller, and the number that it gave to the call that is queued at the actor where the search
            began. For a search that began at a task: the process of the task, and 0.
        path: the methods and tasks from the start, or from the process that was asked, back to the start.
        first: of the waits of tasks on the path where searches begin too, the one whose name comes first.
    """

    peer: PeerId
    call: Count
    path: list[str]
    first: bytes = b""


@verb("behind", asked_by="a host that looks for cycles of waits")
class FindCycle(Request[WaitCycle | None]):
    """Follow the waits of a call of the asker. The answer is the cycle that all of them lead to.

    Attributes:
        actor, call: the actor that the call was sent to, and the number of the call.
        start, seen: the name of the search, and what it has passed.
    """

    actor: ActorId
    call: Count
    start: bytes
    seen: list[bytes]


@verb("behind_task", asked_by="the submitter of a task")
class FindCycleOfTask(Request[WaitCycle | None]):
    """Follow the waits of an attempt that runs here: the answer is as for `FindCycle`.

    Attributes:
        sequence: the asker's number of the attempt.
        start, seen: the name of the search, and what it has passed.
    """

    sequence: Count
    start: bytes
    seen: list[bytes]


@verb("behind_object", asked_by="a host that looks for cycles of waits")
class FindCycleOfObject(Request[WaitCycle | None]):
    """Follow the waits of what makes an object that this process has promised; the answer is as for `FindCycle`."""

    object: ObjectId
    start: bytes
    seen: list[bytes]
