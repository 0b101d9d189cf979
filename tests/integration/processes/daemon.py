"""Takes the place of the node daemon: a separate process that runs one scenario and prints its result as JSON.

The scenarios run in a separate process because they examine its children: the process of the tests must not adopt any.
"""

import asyncio
import itertools
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path

import uvloop

from actorrt.errors import ActorRtError
from actorrt.node.processes import process_watch
from actorrt.node.processes.forker import Forker
from actorrt.node.processes.orphans import child_pids
from actorrt.node.processes.output import OutputReader
from actorrt.node.processes.process_stat import stat_of
from actorrt.node.processes.process_watch import set_subreaper
from actorrt.node.processes.zygote import PRELOAD

HERE = str(Path(__file__).parent)
MODULES = ("colorsys", "tabnanny")
LIGHT = ("msgpack", "actorrt.node.worker.printing")


class Worker:
    """One worker with its process id, its output and its exit."""

    def __init__(self, forker):
        self.forker = forker
        self.lines = []
        self.reader = OutputReader(asyncio.get_running_loop(), "worker", self.lines.extend)
        self.exit = asyncio.get_running_loop().create_future()

    async def fork(self, entry, preload=(), **config):
        path = [HERE, *sys.path]
        config = {"entry": f"entries:{entry}", "sys_path": path, "sent_at": time.monotonic(), **config}
        self.pid = await self.forker.fork(config, self.reader.stdout_fd, self.reader.stderr_fd, preload)
        self.reader.close_write_ends()
        self.process = self.forker.watch(self.pid, self._ended)
        return self

    def _ended(self, how):
        self.reader.drain()
        self.exit.set_result([how.exit_status, how.signal, str(how.to_reason().kind)])

    def texts(self, stream="stdout"):
        return [line.text for line in self.lines if line.stream == stream]

    async def first_line(self):
        while not self.lines:
            await asyncio.sleep(0.001)
        return self.lines[0].text


async def run(forker, entry, preload=(), **config):
    """Fork a worker and wait for its end."""
    worker = await Worker(forker).fork(entry, preload, **config)
    await worker.exit
    return worker


def is_there(pid):
    return Path(f"/proc/{pid}").exists()


async def gone(pids):
    while any(is_there(pid) for pid in pids):
        await asyncio.sleep(0.001)


async def twenty_workers(forker):
    workers = await asyncio.gather(*(Worker(forker).fork("wait_for_ever") for _ in range(20)))
    children = set(child_pids(os.getpid())) - {forker.zygote_pid}
    result = {"are_children": children == {worker.pid for worker in workers}}
    for worker in workers:
        worker.process.kill()
    result["exits"] = [await worker.exit for worker in workers]
    result["left"] = sorted(set(child_pids(os.getpid())) - {forker.zygote_pid})
    return result


async def exits(forker):
    cases = {
        "returns": ("nothing", {}),
        "exits_3": ("exit_with", {"status": 3}),
        "exits_text": ("exit_with", {"status": "gave up"}),
        "raises": ("raise_error", {}),
        "sigkill": ("kill_oneself", {"signal": int(signal.SIGKILL)}),
        "segfault": ("segfault", {}),
        "no_entry": ("missing", {}),
        "no_directory": ("nothing", {"cwd": "/nowhere"}),
    }
    workers = {name: await run(forker, entry, **config) for name, (entry, config) in cases.items()}
    return {name: {"exit": worker.exit.result(), "stderr": worker.texts("stderr")} for name, worker in workers.items()}


async def describe(forker):
    worker = await run(
        forker, "describe", cwd="/", env_vars={"ACTORRT_TEST": "value"}, sys_path=[HERE, *sys.path, "/last"]
    )
    return {"daemon": os.getpid(), "pid": worker.pid, **json.loads(worker.texts()[0])}


async def everything_preloaded(forker):
    """Fork workers with the modules of real zygotes, in an environment that asks for threads."""
    asked = {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4"}
    os.environ.update(asked)
    preloaded = Forker(asyncio.get_running_loop())
    worker = await run(preloaded, "describe_imports", names=[*PRELOAD, "torch", "gymnasium"])
    changed = await run(preloaded, "describe", env_vars={"OMP_NUM_THREADS": "2"})
    await preloaded.close()
    return {**json.loads(worker.texts()[0]), "changed": json.loads(changed.texts()[0])["omp"]}


async def interrupted(forker):
    worker = await Worker(forker).fork("describe")
    await worker.exit
    waiting = await Worker(forker).fork("wait_for_ever")
    waiting.process.kill(signal.SIGTERM)
    return await waiting.exit


async def out_of_memory(forker):
    """Let the kernel's count of out-of-memory kills grow between the fork and the end of a worker."""
    counts = itertools.count()
    process_watch.oom_kill_count = lambda: next(counts)
    by_the_kernel = await run(forker, "kill_oneself", signal=int(signal.SIGKILL))
    by_us = await Worker(forker).fork("wait_for_ever")
    by_us.process.kill()
    return [by_the_kernel.exit.result(), await by_us.exit]


async def stray(forker):
    """End the worker of a process that has its own session: the process survives until the node closes."""
    worker = await Worker(forker).fork("start_stray")
    pid = int(await worker.first_line())
    worker.process.kill()
    await worker.exit
    is_adopted = pid in child_pids(os.getpid())
    await forker.close()
    return {"is_adopted": is_adopted, "is_there": is_there(pid)}


async def stray_that_ends(forker):
    worker = await Worker(forker).fork("start_stray")
    pid = int(await worker.first_line())
    worker.process.kill()
    await worker.exit
    os.kill(pid, signal.SIGKILL)
    while (stat := stat_of(pid)) is not None and stat.parent_pid == os.getpid():
        await run(forker, "nothing")
    return "reaped"


async def draws(forker):
    return [(await run(forker, "draw")).texts()[0].split() for _ in range(3)]


async def zygote_killed(forker):
    before = await Worker(forker).fork("wait_for_ever")
    first = forker.zygote_pid
    os.kill(first, signal.SIGKILL)
    after = await asyncio.gather(*(Worker(forker).fork("nothing") for _ in range(5)))
    result = {"is_another": forker.zygote_pid not in (None, first), "after": [await worker.exit for worker in after]}
    result["before_lives"] = before.process.is_running
    before.process.kill()
    result["before"] = await before.exit
    result["left"] = sorted(set(child_pids(os.getpid())) - {forker.zygote_pid})
    return result


async def zygotes_killed_before_they_are_ready(forker):
    """Kill the zygote twice before it is ready: the fork that waits for it succeeds with the third."""
    fork = asyncio.get_running_loop().create_task(run(forker, "nothing"))
    killed = []
    while len(killed) < 2:
        await asyncio.sleep(0)
        if forker.zygote_pid not in (None, *killed):
            killed.append(forker.zygote_pid)
            os.kill(forker.zygote_pid, signal.SIGKILL)
    return (await fork).exit.result()


def zygotes_left(forker):
    """Return the children that are not zygotes."""
    return sorted(set(child_pids(os.getpid())) - {forker.zygote_pid, forker.zygote_pid_of(MODULES)})


async def zygote_killed_at_random(forker):
    """Kill the zygote again and again while workers are forked: each fork ends in a worker or a typed error."""
    return await killed_at_random(forker, (), lambda: forker.zygote_pid)


async def zygote_of_a_set_killed_at_random(forker):
    """Do the same with the zygote of a set of modules."""
    first = forker.zygote_pid
    result = await killed_at_random(forker, MODULES, lambda: forker.zygote_pid_of(MODULES))
    return {**result, "is_first_there": forker.zygote_pid == first and is_there(first)}


async def killed_at_random(forker, preload, zygote_pid):
    async def one():
        try:
            await run(forker, "nothing", preload)
        except ActorRtError as error:
            return type(error).__name__
        return "worker"

    async def many():
        return [await one() for _ in range(15)]

    async def kill():
        for round_number in range(6):
            await one()
            await asyncio.sleep(0.002 * round_number)
            if zygote_pid() is not None:
                os.kill(zygote_pid(), signal.SIGKILL)

    outcomes = await asyncio.gather(many(), many(), many(), kill())
    names = [name for names in outcomes[:3] for name in names]
    await run(forker, "nothing", preload)
    return {
        "count": len(names),
        "others": sorted(set(names) - {"worker", "ActorStartError"}),
        "left": zygotes_left(forker),
    }


async def modules_of_a_set(forker):
    """Fork workers of several sets of modules; those of the first zygote have none of the modules."""
    forker.preload(["fileinput"], sys.path)
    names = [*MODULES, "no_such_module", "fileinput"]
    found = []
    for preload in ((), MODULES, ("no_such_module",), ("threaded",)):
        worker = await run(forker, "describe_imports", preload, names=names)
        found.append(json.loads(worker.texts()[0]))
    pids = [forker.zygote_pid, forker.zygote_pid_of(MODULES), forker.zygote_pid_of(["no_such_module"])]
    return {"found": found, "zygotes": len({pid for pid in pids if is_there(pid)})}


async def torch_in_a_set(forker):
    """Fork two workers that compute with torch, which their zygote has imported; one of them uses two threads."""
    preload = ("torch", "gymnasium")
    settings = [{"OMP_NUM_THREADS": count} for count in ("1", "2")]
    workers = [await run(forker, "learn_in_torch", preload, env_vars=env_vars) for env_vars in settings]
    threads = os.listdir(f"/proc/{forker.zygote_pid_of(preload)}/task")
    facts = [json.loads(worker.texts()[0]) for worker in workers]
    return {"workers": facts, "zygote_threads": len(threads)}


async def zygote_that_cannot_start(forker):
    broken = Forker(asyncio.get_running_loop(), preload=("no_such_module",))
    errors = []
    for _ in range(2):
        try:
            await run(broken, "nothing")
        except ActorRtError as error:
            errors.append([type(error).__name__, str(error)])
    await broken.close()
    return errors


async def zygote_that_is_stuck(forker):
    stuck = Forker(asyncio.get_running_loop(), preload=LIGHT, fork_timeout_s=3.0)
    await run(stuck, "nothing")
    os.kill(stuck.zygote_pid, signal.SIGSTOP)
    try:
        await run(stuck, "nothing")
    except ActorRtError as error:
        outcome = [type(error).__name__, str(error)]
    after = await run(stuck, "nothing")
    await stuck.close()
    return [outcome, after.exit.result()]


async def zygote_with_threads(forker):
    threaded = Forker(asyncio.get_running_loop(), preload=(*LIGHT, "threaded"))
    try:
        await run(threaded, "nothing")
    except ActorRtError as error:
        return [type(error).__name__, str(error)]
    finally:
        await threaded.close()


async def modules_preloaded(forker):
    """Preload modules of which some fail, each in a different way, while a fork waits for all of them."""
    warnings = []
    logging.getLogger("actorrt.node.processes.zygotes").addFilter(lambda record: warnings.append(record.getMessage()))
    names = ["colorsys", "no_such_module", "leaving", "ending", "threaded", "fileinput"]
    forker.preload(names, [HERE, *sys.path])
    first = await run(forker, "describe_imports", names=names)
    forker.preload(names, [HERE, *sys.path])
    os.kill(forker.zygote_pid, signal.SIGKILL)
    second = await run(forker, "describe_imports", names=names)
    return [*(json.loads(worker.texts()[0]) for worker in (first, second)), warnings]


async def cancelled(forker):
    loop = asyncio.get_running_loop()
    for delay_s in (0.0, 0.001, 0.002, 0.003, 0.004, 0.006):
        forks = [loop.create_task(Worker(forker).fork("wait_for_ever")) for _ in range(3)]
        await asyncio.sleep(delay_s)
        for task in forks:
            task.cancel()
        done = await asyncio.gather(*forks, return_exceptions=True)
        for worker in done:
            if isinstance(worker, Worker):
                worker.process.kill()
                await worker.exit
    await run(forker, "nothing")  # answered after those that were cancelled
    while left := set(child_pids(os.getpid())) - {forker.zygote_pid}:
        await asyncio.sleep(0.001)
    return sorted(left)


async def grandchildren(forker):
    worker = await Worker(forker).fork("start_grandchildren")
    pids = [int(pid) for pid in (await worker.first_line()).split()]
    are_there = [is_there(pid) for pid in pids]
    worker.process.kill()
    await worker.exit
    await gone(pids)
    return {"are_there": are_there, "left": sorted(set(child_pids(os.getpid())) - {forker.zygote_pid})}


async def printed(forker):
    worker = await run(forker, "print_lines")
    crashed = await run(forker, "print_and_crash")
    return {
        "lines": [[line.label, line.stream, line.text] for line in worker.lines],
        "crash": [[line.label, line.stream, line.text] for line in crashed.lines],
        "last_lines": crashed.reader.last_lines,
    }


async def flooded(forker):
    count = 100_000
    worker = await Worker(forker).fork("flood", count=count)
    longest_s, before = 0.0, time.monotonic()
    while not worker.exit.done():
        await asyncio.sleep(0)
        now = time.monotonic()
        longest_s, before = max(longest_s, now - before), now
    texts = worker.texts()
    is_whole = texts == [f"{index:099d}" for index in range(count)]
    return {"is_whole": is_whole, "longest_turn_s": longest_s}


async def closing(forker):
    workers = [await Worker(forker).fork("wait_for_ever") for _ in range(3)]
    parents = await Worker(forker).fork("start_grandchildren")
    pids = [int(pid) for pid in (await parents.first_line()).split()]
    late = asyncio.get_running_loop().create_task(Worker(forker).fork("wait_for_ever"))
    await asyncio.sleep(0)
    began = time.monotonic()
    await asyncio.gather(forker.close(), forker.close())
    took_s = time.monotonic() - began
    outcome = await asyncio.gather(late, Worker(forker).fork("nothing"), return_exceptions=True)
    return {
        "took_s": took_s,
        "exits": [worker.exit.result() for worker in workers],
        "late": [type(error).__name__ for error in outcome],
        "left": child_pids(os.getpid()),
        "grandchildren_left": [pid for pid in pids if is_there(pid)],
    }


async def descriptors(forker):
    await run(forker, "nothing")
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(10):
        await run(forker, "nothing")
    return sorted(os.listdir("/proc/self/fd")) == before


async def too_large(forker):
    try:
        await run(forker, "nothing", env_vars={"X": "x" * 200_000})
    except ValueError as error:
        return str(error)


async def latency(forker):
    preloaded = Forker(asyncio.get_running_loop(), preload=PRELOAD)
    await run(preloaded, "nothing")
    answers_s, mains_s = [], []
    for _ in range(30):
        began = time.monotonic()
        worker = await Worker(preloaded).fork("describe")
        answers_s.append(time.monotonic() - began)
        await worker.exit
        mains_s.append(json.loads(worker.texts()[0])["latency_s"])
    await preloaded.close()
    return {"answer_s": sorted(answers_s), "main_s": sorted(mains_s)}


async def wait_to_be_killed(forker):
    """Print the ids of all processes and wait; the test kills this process."""
    workers = [await Worker(forker).fork("wait_for_ever") for _ in range(3)]
    parents = await Worker(forker).fork("start_grandchildren")
    pids = [worker.pid for worker in workers] + [int(pid) for pid in (await parents.first_line()).split()]
    print(json.dumps([forker.zygote_pid, parents.pid, *pids]), flush=True)
    await asyncio.get_running_loop().create_future()


async def main(name):
    set_subreaper()
    forker = Forker(asyncio.get_running_loop(), preload=LIGHT)
    await forker.start()
    try:
        result = await globals()[name](forker)
    finally:
        await forker.close()
    print(json.dumps({"result": result, "children": child_pids(os.getpid())}), flush=True)


if __name__ == "__main__":
    run_loop = asyncio.run if sys.argv[2:] == ["asyncio"] else uvloop.run
    run_loop(main(sys.argv[1]))
