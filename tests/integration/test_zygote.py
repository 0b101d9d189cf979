"""Workers forked by a real zygote: their parent, their ends, and that they leave nothing behind."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROCESSES = Path(__file__).parent / "processes"


@pytest.fixture
def scenario():
    """A function that runs a scenario of `processes/daemon.py` and checks that it leaves no child behind."""

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{PROCESSES}", "PYTHONWARNINGS": "error"}
        ended = subprocess.run(
            [sys.executable, PROCESSES / "daemon.py", *arguments],
            capture_output=True,
            text=True,
            timeout=45,
            env=environment,
            start_new_session=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        outcome = json.loads(ended.stdout.splitlines()[-1])
        assert outcome["children"] == []
        return outcome["result"]

    return run


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_twenty_workers_are_children_of_the_daemon_and_leave_no_zombie(scenario, loop):
    result = scenario("twenty_workers", loop)
    assert result == {"are_children": True, "exits": [[None, 9, "killed"]] * 20, "left": []}


def test_exit_of_a_worker_is_reported_with_its_last_lines(scenario):
    result = scenario("exits")
    assert {name: case["exit"] for name, case in result.items()} == {
        "returns": [0, None, "crashed"],
        "exits_3": [3, None, "crashed"],
        "exits_text": [1, None, "crashed"],
        "raises": [1, None, "crashed"],
        "sigkill": [None, 9, "crashed"],
        "segfault": [None, 11, "crashed"],
        "no_entry": [1, None, "crashed"],
        "no_directory": [1, None, "crashed"],
    }
    assert result["returns"]["stderr"] == []
    assert result["exits_text"]["stderr"] == ["gave up"]
    assert result["raises"]["stderr"][-1] == "RuntimeError: no such luck"
    assert result["segfault"]["stderr"][0] == "Fatal Python error: Segmentation fault"
    assert any("in segfault" in line for line in result["segfault"]["stderr"])
    assert result["no_entry"]["stderr"][-1] == "AttributeError: module 'entries' has no attribute 'missing'"
    assert result["no_directory"]["stderr"][-1] == "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere'"


def test_worker_starts_clean_and_configured(scenario):
    facts = scenario("describe")
    del facts["latency_s"]
    daemon, pid = facts.pop("daemon"), facts["pid"]
    assert facts == {
        "pid": pid,
        "parent": daemon,
        "session": pid,
        "group": pid,
        "cwd": "/",
        "variable": "value",
        "omp": "1",
        "path": "/last",
        "stdin": "/dev/null",
        "fds": [0, 1, 2, 3],  # the last one is open to list the others
        "main": ["main", "sys"],
        "interrupt": True,
        "terminate": True,
    }


def test_real_zygote_has_one_thread_even_if_the_environment_asks_for_more(scenario):
    facts = scenario("everything_preloaded")
    assert facts == {"missing": ["torch", "gymnasium"], "threads": 1, "omp": "4", "changed": "2"}


def test_worker_ended_by_sigterm_is_reported_as_killed(scenario):
    assert scenario("interrupted") == [None, 15, "killed"]


def test_sigkill_with_a_growing_kernel_count_of_memory_kills_is_reported_as_out_of_memory(scenario):
    assert scenario("out_of_memory") == [[None, 9, "out_of_memory"], [None, 9, "killed"]]


def test_workers_draw_different_random_numbers(scenario):
    draws = scenario("draws")
    assert len({draw for pair in draws for draw in pair}) == 6


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_killed_zygote_is_replaced_and_its_workers_survive(scenario, loop):
    assert scenario("zygote_killed", loop) == {
        "is_another": True,
        "after": [[0, None, "crashed"]] * 5,
        "before_lives": True,
        "before": [None, 9, "killed"],
        "left": [],
    }


def test_fork_succeeds_after_zygotes_were_killed_before_they_were_ready(scenario):
    assert scenario("zygotes_killed_before_they_are_ready") == [0, None, "crashed"]


def test_forks_end_in_a_worker_or_a_typed_error_while_zygotes_are_killed(scenario):
    assert scenario("zygote_killed_at_random") == {"count": 45, "others": [], "left": []}


def test_forks_end_in_a_worker_or_a_typed_error_while_zygotes_of_a_set_are_killed(scenario):
    expected = {"count": 45, "others": [], "left": [], "is_first_there": True}
    assert scenario("zygote_of_a_set_killed_at_random") == expected


def test_worker_has_the_modules_of_its_set_imported_and_others_do_not(scenario):
    found = scenario("modules_of_a_set")
    missing = [facts["missing"] for facts in found["found"]]
    assert missing == [
        ["colorsys", "tabnanny", "no_such_module"],
        ["no_such_module"],
        *[["colorsys", "tabnanny", "no_such_module"]] * 2,
    ]
    assert {facts["threads"] for facts in found["found"]} == {1}
    assert found["zygotes"] == 3


def test_workers_compute_with_the_torch_that_their_zygote_imported(scenario):
    pytest.importorskip("torch")
    pytest.importorskip("gymnasium")
    result = scenario("torch_in_a_set")
    gradient = [64.0 * 82 * 82] * 8
    assert result == {
        "workers": [{"was_there": True, "threads": used, "used": used, "gradient": gradient} for used in (1, 2)],
        "zygote_threads": 1,
    }


def test_zygote_that_cannot_start_fails_each_fork(scenario):
    message = "the zygote ended before it forked the worker; its own output says why"
    assert scenario("zygote_that_cannot_start") == [["ActorStartError", message]] * 2


def test_stuck_zygote_is_replaced_after_a_typed_error(scenario):
    error = ["ActorStartError", "no worker could be forked: no answer in 3.0 s"]
    assert scenario("zygote_that_is_stuck") == [error, [0, None, "crashed"]]


def test_zygote_with_a_second_thread_refuses_to_fork_and_names_the_reason(scenario):
    kind, message = scenario("zygote_with_threads")
    assert kind == "ActorStartError"
    assert message.startswith("no worker could be forked: the zygote has 2 threads (")


def test_modules_that_cannot_be_preloaded_are_reported_and_skipped_and_no_fork_fails(scenario):
    first, second, warnings = scenario("modules_preloaded")
    assert first == second == {"missing": ["no_such_module", "leaving", "ending", "threaded"], "threads": 1, "omp": "1"}
    given_up = "{} is not preloaded: {}; workers import it themselves".format
    restarted = "the zygote ended and is started again"
    threads = "it starts threads (python), whose locks a fork would copy"
    assert [re.sub(r"threads \(.*?\)", "threads (python)", warning) for warning in warnings] == [
        given_up("no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        given_up("leaving", "SystemExit: nothing to do"),
        restarted,
        given_up("ending", "the zygote ended while it imported it"),
        restarted,
        given_up("threaded", threads),
        restarted,
    ]


def test_fork_that_is_cancelled_leaves_no_worker(scenario):
    assert scenario("cancelled") == []


def test_processes_started_by_user_code_end_with_their_worker(scenario):
    assert scenario("grandchildren") == {"are_there": [True, True], "left": []}


def test_process_that_left_its_session_ends_when_the_node_closes(scenario):
    assert scenario("stray") == {"is_adopted": True, "is_there": False}


def test_process_that_left_its_session_and_ended_is_reaped(scenario):
    assert scenario("stray_that_ends") == "reaped"


def test_printed_lines_are_labelled_complete_and_in_order(scenario):
    result = scenario("printed")
    assert result["lines"] == [
        ["worker", "stdout", "worker speaking"],
        ["Counter#0", "stdout", "line 0"],
        ["Counter#1", "stdout", "line 1"],
        ["Counter#0", "stdout", "line 2"],
        ["worker", "stdout", "from C"],
        ["Counter#0", "stdout", "unfinished"],
    ]
    assert result["crash"][0] == ["Counter#1", "stdout", "last words"]
    assert result["crash"][1] == ["worker", "stderr", "Fatal Python error: Segmentation fault"]
    assert result["last_lines"] == [text for _, _, text in result["crash"]]


def test_flood_of_output_is_complete_and_leaves_the_loop_responsive(scenario):
    result = scenario("flooded")
    assert result["is_whole"]
    assert result["longest_turn_s"] < 1


def test_close_ends_every_process_and_fails_pending_forks(scenario):
    result = scenario("closing")
    assert result.pop("took_s") < 2
    assert result == {
        "exits": [[None, 9, "killed"]] * 3,
        "late": ["RuntimeStateError", "RuntimeStateError"],
        "left": [],
        "grandchildren_left": [],
    }


def test_forks_leave_no_descriptor_behind(scenario):
    assert scenario("descriptors") is True


def test_configuration_that_is_too_large_is_refused(scenario):
    message = scenario("too_large")
    assert message.startswith("a worker's configuration takes 2")
    assert message.endswith("more than 131072: shorten env_vars or sys.path")


def test_median_fork_is_answered_in_30_ms_and_runs_in_50_ms(scenario):
    figures = scenario("latency")
    assert figures["answer_s"][15] < 0.03  # the targets are 10 and 15 ms; a machine that runs tests is busy
    assert figures["main_s"][15] < 0.05
