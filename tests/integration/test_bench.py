"""The command `actorrt bench`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from actorrt.bench.rows.catalogue import GROUPS, ROWS, find_row
from actorrt.bench.runner import run_row


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "actorrt.cli", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def test_list_names_every_row_with_its_target_and_measures_nothing() -> None:
    result = bench("--list")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].split(maxsplit=1)[0] == "ask"
    assert lines[0].endswith("at most 1.3 x")
    assert len(lines) == len(ROWS)
    titles = [row.title for row in ROWS]
    assert [
        len(line.partition(title)[2]) - len(line.partition(title)[2].lstrip()) >= 2 or line.endswith(title)
        for line, title in zip(lines, titles, strict=True)
    ] == [True] * len(ROWS)


def test_group_of_rows_is_selected_by_its_name() -> None:
    result = bench("faults", "--list")
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        *("callers-told", "down-delivered", "back-after-kill", "restored", "restart-one", "restart-all"),
    ]


def test_rate_of_sampling_is_measured() -> None:
    result = bench("rl", "--row", "sampling", "--quick")
    assert result.returncode == 0, result.stdout
    *_, line = result.stdout.splitlines()
    assert line.startswith("sampling ")
    assert " steps/s " in line


def test_rows_of_faults_can_be_measured() -> None:
    result = bench("faults", "--quick")
    assert result.returncode == 0, result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines()[2:]] == [row.name for row in GROUPS["faults"]]


def test_quick_run_of_two_rows_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    result = bench("--quick", "--row", "ask", "--row", "create-process", "--json", str(file))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["ask", "create-process"]
    assert "1/2 ask" in result.stderr
    data = json.loads(file.read_text())
    assert (data["schema"], data["effort"]) == (1, "quick")
    assert data["machine"]["cpus"] >= 1
    ask, create = data["rows"]
    assert (ask["status"], ask["unit"], ask["reference"]) == ("measured", "us", "bare ZeroMQ")
    assert len(ask["samples"]) == len(ask["references"]) == ask["count"] == 3
    assert ask["p10"] <= ask["median"] <= ask["p90"] <= ask["p99"]
    assert create["target"] == {"bound": 30, "is_least": False, "is_ratio": False}


def test_unknown_row_exits_with_2_and_names_the_nearest() -> None:
    result = bench("--row", "ask-plane")
    assert result.returncode == 2
    assert result.stderr == "actorrt bench: there is no row 'ask-plane'; did you mean ask-plain?\n"


def test_json_file_that_cannot_be_written_exits_with_2_before_anything_is_measured(tmp_path: Path) -> None:
    result = bench("--json", str(tmp_path / "missing" / "bench.json"))
    assert result.returncode == 2
    assert result.stderr.startswith("actorrt bench: [Errno 2]")
    assert result.stdout == ""


def test_row_that_raises_fails_alone_and_shows_the_last_line_of_its_error() -> None:
    outcome = run_row(replace(find_row("ask"), name="absent"), is_quick=True)
    assert outcome.has_failed
    assert outcome.failure.startswith("ended with 1: ValueError: there is no row 'absent'")


def test_row_that_times_out_is_killed_and_leaves_no_process() -> None:
    outcome = run_row(replace(find_row("ask"), timeout_s=0.4), is_quick=False)
    assert (outcome.has_failed, outcome.failure) == (True, "not done within 0.4 s")


def test_rows_between_nodes_can_be_measured() -> None:
    result = bench("--quick", "--row", "far-ask", "--row", "far-pull", "--row", "far-create-process")
    assert result.returncode == 0, result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines()[2:]] == ["far-ask", "far-pull", "far-create-process"]
