"""A cluster whose control store is in PostgreSQL outlives any of its nodes, also the first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.integration.cluster.machines import Machine, machines_in_a_short_place
from tests.integration.cluster.test_cluster_commands import states, wait_for_states
from tests.postgres_server import PostgresServer, emptied, running_server, why_missing


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    why = why_missing()
    if why is not None:
        pytest.skip(why)
    with running_server() as server:
        yield server


@pytest.fixture
def control(server: PostgresServer) -> str:
    """The option that names an empty database."""
    return f"--control={asyncio.run(emptied(server))}"


@pytest.fixture
def three(control: str) -> Iterator[Sequence[Machine]]:
    with machines_in_a_short_place("a", "b", "c") as machines:
        yield machines


def test_a_cluster_goes_on_without_its_first_node(three: Sequence[Machine], control: str) -> None:
    first, second, third = three
    first.start("--listen=127.0.0.1", control)
    second.start(f"--join={first.token()}")
    wait_for_states(second, ["alive"] * 2)
    third.start(f"--join={second.token()}")
    wait_for_states(second, ["alive"] * 3)
    first.kill()
    wait_for_states(second, ["alive"] * 2, within_s=6.0)
    assert sorted(states(third, "--all")) == ["alive", "alive", "dead"]
    second.kill()
    second.start()  # by its card; it knows the database
    wait_for_states(third, ["alive"] * 2)
    first.start("--listen=127.0.0.1")
    wait_for_states(third, ["alive"] * 3)


def test_a_whole_cluster_starts_again_with_any_node(three: Sequence[Machine], control: str) -> None:
    first, second, _ = three
    first.start("--listen=127.0.0.1", control)
    second.start(f"--join={first.token()}")
    wait_for_states(second, ["alive"] * 2)
    first.kill()
    second.kill()
    second.start()
    assert states(second).count("alive") >= 1
    first.start("--listen=127.0.0.1")
    wait_for_states(second, ["alive"] * 2)


def test_a_revoked_node_does_not_come_back_by_the_database(three: Sequence[Machine], control: str) -> None:
    first, second, _ = three
    first.start("--listen=127.0.0.1", control)
    second.start(f"--join={first.token()}")
    wait_for_states(first, ["alive"] * 2)
    ids = {line.split()[0] for line in first.command("nodes").stdout.splitlines()[1:]}
    second.kill()
    assert sorted(first.command("revoke", one).returncode for one in ids) == [0, 1]
    refused = second.command("node", f"--state-dir={second.state}")
    assert (refused.returncode, "revoked" in refused.stderr) == (1, True)


def test_a_second_cluster_in_the_database_is_refused_in_one_line(
    three: Sequence[Machine], control: str, tmp_path: Path
) -> None:
    first, second, _ = three
    first.start("--listen=127.0.0.1", control)
    refused = second.command("node", f"--state-dir={tmp_path}/x", "--listen=127.0.0.1", control)
    assert refused.returncode == 1
    assert "join that one with --join TOKEN" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "text"),
    [("mysql://x/y", "'mysql' is no database"), ("postgresql://me:secret@127.0.0.1:1/x", "can't be reached for 10 s")],
)
def test_a_database_that_can_not_be_used_is_named_without_its_password(
    three: Sequence[Machine], tmp_path: Path, url: str, text: str
) -> None:
    refused = three[0].command("node", f"--state-dir={tmp_path}/x", "--listen=127.0.0.1", f"--control={url}")
    assert refused.returncode in (1, 2)
    assert text in refused.stderr
    assert "secret" not in refused.stderr
