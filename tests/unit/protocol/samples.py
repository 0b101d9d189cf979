"""One request of each verb, all fields given, and an answer to each."""

from __future__ import annotations

from typing import Any, Final

from actorrt.errors import ActorDiedError, PlacementError
from actorrt.ids import ActorId, ActorIds, JobId, NodeId, ObjectId, PeerAddress, PeerId
from actorrt.protocol import authorities, hosts, leases, nodes, objects, processes
from actorrt.protocol.cluster import code, control, drivers, listing, members, names, peers, questions, workers
from actorrt.protocol.manner import Manner
from actorrt.protocol.verb import Request
from actorrt.reasons import ExitKind, ExitReason

ACTOR, OTHER, JOB = ActorId(b"\x07" * 16), ActorId(b"\x08" * 16), JobId(b"\x09" * 16)
OBJECT, PEER = ObjectId(b"\x0a" * 16), PeerId(b"\x0b" * 16)
NODE = NodeId(b"\x0c" * 16)
ACTORS = ActorIds(ACTOR + OTHER)
AT = PeerAddress(PEER, "memory://peer")
TASK_CLASS = leases.TaskClassRow(1, "1 cpus", 1, 2, 3, 4, 5, 6, "a worker")
TASK = leases.TaskRow(9, "f", "sent", 1, "its worker", PEER)
REASON = ExitReason(ExitKind.ERROR, "no", "a traceback", 9, 1, [b"pickled"])
SEEN = authorities.Sighting(AT, 3)
CARD = authorities.ActorCard(actor=ACTOR, card=b"card", name="x", seen=SEEN)
MEMBER = members.Member(
    node=NODE,
    incarnation=PEER,
    addresses=["tcp://10.0.0.1:7400#00"],
    resources={"cpus": 2.0},
    labels={"zone": "a"},
    status=members.MemberStatus.ALIVE,
    suspicions=[members.Suspicion(NODE, 1e9, 1e9)],
    ended_s=None,
)
ROOM = listing.RoomOfNode(free={"cpus": 2.0}, store_bytes=1 << 30, used_bytes=7)
SETTING = nodes.JobSetting(namespace="default", sys_path=["/"], cwd="/", env_vars={"A": "b"}, log_level=30)
ORDER = authorities.ActorOrder(
    spec=[b"spec", 1],
    card=b"card",
    options={"name": "x"},
    class_name="Child",
    job=JOB,
    namespace="default",
    parent=OTHER,
    supervisor=OTHER,
    child_id="a",
    share=authorities.Share(0, 2),
    is_supervisor=False,
    is_detached=False,
    is_beside=False,
    objects=[authorities.HeldObject(OBJECT, b"token")],
)
ROW = nodes.ActorRow(
    actor=ACTOR,
    parent=OTHER,
    job=JOB,
    home=PEER,
    label="x",
    state="running",
    restarts=1,
    last_exit="killed",
    pid=7,
    is_own=True,
    is_supervisor=False,
    is_detached=False,
)
WORKER = nodes.WorkerStatus(
    label="shared-1",
    kind="shared",
    lent="free",
    job="0909",
    pid=7,
    actors=1,
    is_guest=False,
    memory_bytes=1 << 20,
    cpu_s=0.5,
    peer=PEER,
    address="memory://peer",
)
STATUS_ROW = nodes.ActorStatus(
    actor="0707",
    label="x",
    job="0909",
    namespace="default",
    is_detached=False,
    state="running",
    waits_for="",
    incarnation=1,
    worker="shared-1",
    pid=7,
    node=NODE,
    reserved={"cpus": 0.5},
    last_exit="killed",
)
PAGE = nodes.StatusPage(
    version="1",
    address="memory://node",
    jobs=[nodes.JobStatus(job="0909", driver="memory://driver")],
    totals=nodes.Totals(jobs=1, workers=1, actors=1),
    workers=[WORKER],
    actors=[STATUS_ROW],
    next=nodes.Cursor(1, 2),
    cpus=2,
    reserved_cpus=0.5,
    leased_cpus=1.0,
    gpus=0,
    reserved_gpus=0.0,
    leased_gpus=0.0,
)
TREE = nodes.ActorTree(
    jobs=[nodes.JobRow(job=JOB, driver="memory://driver", task_workers={"leased": 2}, tasks={"sent": 3})],
    actors=[ROW],
    left_out={b"": 1, OTHER: 2},
    queued={ACTOR: 3},
    child_ids={ACTOR: "a"},
    memory_bytes={ACTOR: 1 << 20},
    nodes={PEER: NODE},
)
CENSUS = processes.ProcessCensus(actors=[ROW], left_out={OTHER: 2}, queued={ACTOR: 3}, child_ids={ACTOR: "a"})
DOWN = authorities.DownReport(reason=REASON, incarnation=2, is_final=True, peer_address=AT)
CYCLE = processes.WaitCycle(peer=PEER, call=4, path=["a.b()"], first=b"first")
SOURCE = objects.ObjectSource(length_bytes=10, contained=[OBJECT], source=AT)
FAILURE = hosts.ChildFailure(
    child=OTHER, error=ActorDiedError("gone", reason=REASON), cause=PEER, is_administrative=True
)

SAMPLES: Final[list[tuple[Request[Any], Any]]] = [
    (authorities.Spawn(actor=ACTOR, order=ORDER), CARD),
    (authorities.SpawnMany(actors=ACTORS, order=ORDER), authorities.GroupPlaces(places=[SEEN, None], place_of=b"ab")),
    (authorities.WithdrawSpawn(actor=ACTOR), None),
    (authorities.AskState(actor=ACTOR), authorities.ActorState(state="starting", reason="killed")),
    (authorities.Resolve(actor=ACTOR, after=-1), SEEN),
    (authorities.AskFate(actor=ACTOR, after=0), authorities.Prospect(starts_in_s=0.5)),
    (authorities.AskAlive(actor=ACTOR), authorities.Life(is_alive=True)),
    (authorities.FindSibling(actor=ACTOR, id="b"), CARD),
    (authorities.Monitor(actor=ACTOR, since=0), DOWN),
    (authorities.AwaitEnd(actor=ACTOR), None),
    (authorities.CheckInvariants(), None),
    (authorities.Stop(actors=ACTORS, reason="no more", kill=False), None),
    (
        authorities.Exited(actors=ACTORS, incarnation=1, reason=REASON, is_administrative=False, is_buried=True),
        None,
    ),
    (authorities.StopChild(actor=ACTOR, reason="no more", kill=False, manner=Manner.AT_ONCE), None),
    (authorities.DelayChild(actor=ACTOR, delay_s=0.5), None),
    (authorities.ForgetChild(actor=ACTOR, reason=REASON), None),
    (authorities.Handled(actor=ACTOR, incarnation=1), None),
    (authorities.SnapshotTaken(actor=ACTOR, incarnation=1, object=OBJECT, token=b"token"), None),
    (authorities.LinkActor(actor=ACTOR, to=b"ref"), None),
    (authorities.UnlinkActor(actor=ACTOR, other=OTHER), None),
    (
        hosts.HostActor(
            actor=ACTOR,
            label="x",
            incarnation=1,
            spec=[b"spec"],
            options={"name": "x"},
            job=JOB,
            namespace="default",
            authority=AT,
            is_supervisor=False,
            is_detached=False,
            snapshots=[OBJECT],
        ),
        None,
    ),
    (hosts.HostInTurn(authority=AT, actors=[hosts.NextIncarnation(ACTOR, 2, [OBJECT])]), None),
    (hosts.StopHosted(actors=ACTORS, reason="no more", is_administrative=True, manner=Manner.ORDERLY), None),
    (hosts.StopInTurn(actors=[ACTOR], reason="no more", manner=Manner.FOR_RESTART), None),
    (hosts.KillHosted(actors=ACTORS), None),
    (hosts.DelayHosted(actor=ACTOR, delay_s=0.5), None),
    (hosts.Bury(actor=ACTOR, error=ActorDiedError("gone", reason=REASON, executed="no")), None),
    (hosts.ChildStarted(supervisor=OTHER, child=ACTOR, card=CARD), None),
    (
        hosts.ChildExited(
            supervisor=OTHER,
            child=ACTOR,
            reason=REASON,
            had_handled_message=True,
            is_administrative=False,
            cause=PEER,
        ),
        None,
    ),
    (hosts.ChildWithdrawn(supervisor=OTHER, child=ACTOR), None),
    (hosts.ChildrenRestarted(supervisor=OTHER, started=[ACTOR], failed=FAILURE, unreached=[OTHER]), None),
    (hosts.Linked(actor=ACTOR, to=b"ref"), None),
    (hosts.Unlinked(actor=ACTOR, other=OTHER), None),
    (hosts.ExplainCall(actor=ACTOR, call=4), hosts.CallState(state="queued", seconds=0.5, ahead=2, in_hand="b()")),
    (processes.FindCycle(actor=ACTOR, call=4, start=OTHER, seen=[ACTOR]), CYCLE),
    (processes.FindCycleOfTask(sequence=4, start=b"start", seen=[OBJECT]), CYCLE),
    (processes.FindCycleOfObject(object=OBJECT, start=b"start", seen=[OBJECT]), None),
    (objects.FindPromise(object=OBJECT), objects.ObjectPromise(process=AT)),
    (
        leases.WantLeases(
            task_class=3,
            cpus=0.5,
            gpus=1,
            resources={"license": 1},
            memory_bytes=1 << 20,
            env_vars={"A": "b"},
            count=2,
            depth=1,
        ),
        None,
    ),
    (leases.TasksPending(is_so=True), None),
    (leases.ReturnLease(lease=4), None),
    (leases.EndWorker(lease=4, sequence=7), None),
    (leases.TaskBlocked(lease=4), None),
    (leases.TaskUnblocked(lease=4), None),
    (leases.WornOut(), None),
    (leases.LeaseGranted(task_class=3, lease=4, worker=AT), None),
    (leases.LeasesRefused(task_class=3, error=PlacementError("no GPU")), None),
    (leases.RecallLease(lease=4), None),
    (leases.ListTasks(count=3), leases.TaskListing(classes=[TASK_CLASS], tasks=[TASK])),
    (
        nodes.AskTasks(count=3),
        nodes.NodeTasks(
            submitters=[
                nodes.SubmitterRow(
                    job=JOB, process="driver", pid=7, has_answered=True, classes=[TASK_CLASS], tasks=[TASK]
                )
            ]
        ),
    ),
    (leases.CancelTask(object=OBJECT, force=True), True),
    (
        nodes.AttachDriver(job=JOB, address="memory://driver", pid=1, setting=SETTING),
        nodes.Attached(version="1", cpus=2, gpus=0),
    ),
    (nodes.Detach(job=JOB), None),
    (nodes.AttachWorker(pid=1), None),
    (nodes.Goodbye(), None),
    (nodes.Preload(modules=["json"], job=JOB, apart=True), None),
    (nodes.LookUp(namespace="default", name="x", timeout_s=0), CARD),
    (nodes.Orphaned(actor=ACTOR), None),
    (nodes.RestartChildren(supervisor=OTHER, actors=[ACTOR]), None),
    (nodes.StopChildren(actors=[ACTOR], reason="no more", manner=Manner.AT_ONCE), None),
    (nodes.Hosted(actors=[nodes.HostedActor(ACTOR, 1, True)]), None),
    (nodes.ExplainSilence(peer=PEER), nodes.SilenceReport(silence="busy", silent_s=0.5, pid=7)),
    (nodes.AskStatus(after=nodes.Cursor(1, 2), count=3), PAGE),
    (nodes.AskTree(siblings_count=3), TREE),
    (objects.HoldObject(object=OBJECT, token=b"token"), objects.Holding(node=b"node")),
    (objects.ObjectArrived(object=OBJECT, token=b"token"), None),
    (objects.ReleaseHold(object=OBJECT), None),
    (objects.NameSource(object=OBJECT, failed=PEER), SOURCE),
    (objects.ObjectRead(object=OBJECT), None),
    (objects.PullObject(object=OBJECT, origin=AT), None),
    (objects.ReleaseObject(object=OBJECT), None),
    (processes.Fence(), None),
    (processes.Flush(address="memory://peer"), None),
    (processes.EndpointDown(peer=PEER, reason=REASON, in_hand=[processes.CallInHand(PEER, 4)]), None),
    (processes.Leave(), None),
    (processes.JobEnded(why="no more"), None),
    (processes.Output(pid=7, lines=[processes.OutputLine("x", "stdout", "a line")]), None),
    (processes.TakeCensus(siblings_count=3), CENSUS),
    (processes.AskStatistics(), {"pending_calls": 0}),
    (peers.ResolvePeer(to=AT), peers.PeerPlace(address="tcp://host:1#00", daemon=PEER)),
    (peers.Listen(), "tcp://host:1#00"),
    (peers.AskKeyOwner(key=bytes(32)), NodeId(b"\x0c" * 16)),
    (peers.KeyRevoked(key=bytes(32)), None),
    (peers.NodeUndecided(node=NODE, why="it is silent"), None),
    (peers.LinkedPeers(daemon=AT, peers=[PEER]), None),
    (peers.WatchEnds(peers=[PEER]), None),
    (
        workers.MakeWorker(
            worker=AT,
            kind="own",
            label="x",
            env_vars={"A": "b"},
            preload=["json"],
            hang_timeout_s=1.5,
            job=workers.GuestJob(job=JOB, driver=AT, home=AT, setting=SETTING),
            reserved={"cpus": 1.0},
        ),
        workers.WorkerMade(pid=7, lacks="", free={"cpus": 1.5}),
    ),
    (workers.KillWorker(worker=PEER, is_expected=False, why="it hangs"), None),
    (workers.LeaveWorker(worker=PEER, grace_s=0.5), None),
    (
        workers.WorkerEnded(
            worker=PEER,
            reason=REASON,
            in_hand=[processes.CallInHand(PEER, 4)],
            begun_count=1,
            parents=[ACTOR],
            free={"cpus": 2.0},
        ),
        None,
    ),
    (workers.HoldForActor(worker=PEER, actor=ACTOR, objects=[OBJECT]), None),
    (workers.ReleaseForActor(worker=PEER, actor=ACTOR), None),
    (workers.GuestJobBegun(job=JOB), None),
    (workers.EndGuestJob(job=JOB), None),
    (workers.NodeRoom(free={"cpus": 2.0}), None),
    (drivers.DriverAlive(member=MEMBER), True),
    (listing.AskNodeRoom(), ROOM),
    (
        listing.AskNodes(),
        [
            listing.NodeRow(
                node=NODE,
                incarnation=PEER,
                address="tcp://10.0.0.1:7400",
                state="alive",
                resources={"cpus": 2.0},
                labels={"zone": "a"},
                room=ROOM,
            )
        ],
    ),
    (
        control.WriteControl(write=control.Write([control.Change("names", b"x", b"v", 1)], b"nonce", 2)),
        control.Outcome(False, 3, 2, [control.Row("names", b"x", b"u", 2)]),
    ),
    (control.ReadControl(table="names", key=b"x"), control.Row("names", b"x", b"u", 2)),
    (
        members.ProbeNode(node=NODE, incarnation=PEER, view=3),
        members.Acknowledged(
            view=3,
            age_s=0.5,
            is_prober_alive=True,
            is_prober_condemned=False,
            is_frozen=False,
            condemned=[NODE],
            counted=[NODE],
        ),
    ),
    (members.ProbeFor(node=NODE), True),
    (members.MintToken(minutes=15.0, uses=1), "art1-token"),
    (members.AskMembers(), [MEMBER]),
    (members.BuryNode(node=NODE), None),
    (members.RevokeNode(node=NODE), None),
    (names.HasName(actor=ACTOR, namespace="default", name="x"), True),
    (questions.AskNode(node=NODE, asked="status", question=b"question"), b"answer"),
    (
        questions.AskObjects(count=3),
        questions.ObjectListing(
            counts={"used_bytes": 7},
            objects=[
                questions.ObjectRow(object=b"abcd", length_bytes=7, state="sealed", holders=["pid 7"], line="a.py:3")
            ],
        ),
    ),
    (
        code.ReadModule(job=JOB, name="lib.part"),
        code.ModuleText(origin="/lib/part.py", source=b"x = 1", is_package=False, is_installed=False),
    ),
    (members.PromiseDeath(nodes=[NODE], view=3), members.Promise(is_given=True, view=3)),
    (
        control.ReadNews(version=1, tables=["names"]),
        control.News(3, 2, 1e9, [control.Row("names", b"x", None, 2)], is_whole=False),
    ),
]
