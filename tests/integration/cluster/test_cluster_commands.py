"""Two machines in three commands: `actorrt node --listen`, `actorrt token`, `actorrt node --join`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.integration.cluster.machines import Machine, machines_in_a_short_place


@pytest.fixture
def three() -> Iterator[Sequence[Machine]]:
    with machines_in_a_short_place("a", "b", "c") as machines:
        yield machines


def states(machine: Machine, *options: str) -> list[str]:
    """Return the states of the nodes as one of them sees them."""
    shown = machine.command("nodes", *options)
    assert shown.stdout.startswith("node"), shown.stderr
    return [line.split()[1] for line in shown.stdout.splitlines()[1:] if " is missing: " not in line]


def wait_for_states(machine: Machine, expected: list[str], *options: str, within_s: float = 15.0) -> None:
    end = time.monotonic() + within_s
    while (seen := sorted(states(machine, *options))) != sorted(expected):
        assert time.monotonic() < end, seen
        time.sleep(0.1)  # polling interval, since the command shows the view of one moment


def test_a_machine_joins_by_a_token_and_both_see_both(three: Sequence[Machine]) -> None:
    first, second, _ = three
    first.start("--listen=127.0.0.1", "--label=zone=a")
    second.start(f"--join={first.token()}", "--resource=licences=3")
    for one in (first, second):
        wait_for_states(one, ["alive", "alive"])
    assert "zone=a" in second.command("nodes").stdout


def test_a_node_that_stops_has_left_and_one_that_is_killed_is_dead(three: Sequence[Machine]) -> None:
    first, second, third = three
    first.start("--listen=127.0.0.1")
    token = first.token()
    second.start(f"--join={token}")
    third.start(f"--join={token}")
    wait_for_states(first, ["alive"] * 3)
    assert second.stop() == 0
    wait_for_states(first, ["alive"] * 2)
    assert sorted(states(first, "--all")) == ["alive", "alive", "left"]
    third.kill()
    wait_for_states(first, ["alive"], within_s=6.0)
    assert sorted(states(first, "--all")) == ["alive", "dead", "left"]
    third.start()  # by its card, with no token
    wait_for_states(first, ["alive"] * 2)


def test_a_cluster_goes_on_when_its_first_node_starts_again(three: Sequence[Machine]) -> None:
    first, second, _ = three
    first.start("--listen=127.0.0.1")
    second.start(f"--join={first.token()}")
    wait_for_states(first, ["alive"] * 2)
    first.kill()
    first.start("--listen=127.0.0.1")
    for one in (first, second):
        wait_for_states(one, ["alive"] * 2)


def test_when_more_than_half_are_gone_an_operator_says_so(three: Sequence[Machine]) -> None:
    first, *others = three
    first.start("--listen=127.0.0.1")
    token = first.token()
    for other in others:
        other.start(f"--join={token}")
    wait_for_states(first, ["alive"] * 3)
    own = first.command("nodes").stdout
    for other in others:
        other.kill()
    ids = [line.split()[0] for line in own.splitlines()[1:]]
    refused = first.command("bury", ids[0])
    assert (refused.returncode, "--it-is-off" in refused.stderr) == (1, True)
    done = [first.command("bury", one, "--it-is-off").returncode for one in ids]
    assert sorted(done) == [0, 0, 1]  # the node that answers can't be off
    assert states(first) == ["alive"]


def test_a_revoked_node_is_refused_from_then_on(three: Sequence[Machine]) -> None:
    first, second, _ = three
    first.start("--listen=127.0.0.1")
    second.start(f"--join={first.token()}")
    wait_for_states(first, ["alive"] * 2)
    before = {line.split()[0] for line in first.command("nodes").stdout.splitlines()[1:]}
    second.stop()
    second.start()
    wait_for_states(first, ["alive"] * 2)
    done = [first.command("revoke", one).returncode for one in before]
    assert sorted(done) == [0, 1]
    wait_for_states(first, ["alive"], within_s=8.0)  # its probes are ignored, so it is written dead
    second.kill()
    refused = second.command("node", f"--state-dir={second.state}")
    assert (refused.returncode, "revoked" in refused.stderr) == (1, True)


def test_a_wrong_token_is_refused_in_one_line(three: Sequence[Machine], tmp_path: Path) -> None:
    first, second, _ = three
    first.start("--listen=127.0.0.1")
    used = first.token("--uses=1")
    for token, text in ((used[:-1], "token"), ("art1-nonsense", "token")):
        refused = second.command("node", f"--state-dir={tmp_path}/x", f"--join={token}")
        assert refused.returncode == 1
        assert text in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1


def test_options_of_a_cluster_without_a_cluster_are_refused(three: Sequence[Machine]) -> None:
    refused = three[0].command("node", "--label=a=b")
    assert (refused.returncode, "--listen HOST or --join TOKEN" in refused.stderr) == (1, True)
