"""The state directory of a node: what it keeps, whom it refuses, and what a crash leaves."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from actorrt.cluster.security.card import Role
from actorrt.cluster.security.state_directory import StateDirectory, default_state_directory
from actorrt.errors import AuthenticationError, RuntimeStateError
from actorrt.machine.disk import NewFile, OsDisk
from tests.unit.cluster.kit import DAY_S, NOW_S, card_of, draws, issuer


def opened(path: Path, seed: str = "directory", disk: OsDisk | None = None) -> StateDirectory:
    return StateDirectory(str(path), disk=disk or OsDisk(), draw=draws(seed), pid=4242)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state"


def test_directory_is_made_for_its_user_only_and_so_are_its_files(path: Path) -> None:
    old = os.umask(0)
    try:
        directory = opened(path)
        directory.begin_cluster(NOW_S)
        directory.keep_ports({"tls": "127.0.0.1:7001"})
        directory.close()
    finally:
        os.umask(old)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()}
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert modes == dict.fromkeys(
        ("lock", "identity.json", "card.key", "card.pem", "authority.pem", "authority.key", "ports.json"), 0o600
    )


def test_restarted_node_is_the_same_node_of_the_same_cluster(path: Path) -> None:
    first = opened(path)
    first.begin_cluster(NOW_S)
    first.keep_ports({"tls": "127.0.0.1:7001"})
    first.close()
    again = opened(path, "other randomness")
    assert again.identity.node == first.identity.node
    assert again.identity.keys == first.identity.keys
    assert (again.cluster, again.card, again.ports) == (first.cluster, first.card, first.ports)
    assert again.issuer is not None
    assert first.issuer is not None
    assert again.issuer.private_key() == first.issuer.private_key()
    again.close()


def test_driver_node_keeps_its_card_and_no_key_of_the_authority(path: Path) -> None:
    cluster = issuer()
    directory = opened(path)
    card = card_of(directory.identity, cluster, Role.DRIVER)
    directory.keep_membership(cluster.authority, None, card)
    directory.close()
    assert not (path / "authority.key").exists()
    again = opened(path)
    assert (again.authority, again.issuer, again.card) == (cluster.authority, None, card)
    assert not again.renew_card(NOW_S + 20 * DAY_S)
    again.close()


def test_second_daemon_is_refused_in_one_line_that_names_the_first(path: Path) -> None:
    first = opened(path)
    with pytest.raises(RuntimeStateError) as caught:
        opened(path)
    assert str(caught.value) == (
        f"another node (process 4242) uses the state directory {path}: stop it, or give another directory with "
        "--state-dir"
    )
    first.close()
    first.close()
    opened(path).close()


@pytest.mark.parametrize("name", [".", "identity.json", "card.key", "authority.key"])
def test_directory_or_file_that_others_may_read_is_refused_with_the_command_that_helps(path: Path, name: str) -> None:
    directory = opened(path)
    directory.begin_cluster(NOW_S)
    directory.close()
    os.chmod(path / name, 0o750 if name == "." else 0o640)
    with pytest.raises(AuthenticationError, match=r"is open to other users \(mode 0..0\); run: chmod go-rwx "):
        opened(path)
    os.chmod(path / name, 0o700 if name == "." else 0o600)
    opened(path).close()


def test_link_in_the_place_of_the_directory_or_of_a_file_is_refused(path: Path, tmp_path: Path) -> None:
    directory = opened(path)
    directory.close()
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(AuthenticationError, match="is a link"):
        opened(tmp_path / "link")
    (path / "card.key").rename(tmp_path / "moved")
    (path / "card.key").symlink_to(tmp_path / "moved")
    with pytest.raises(AuthenticationError, match="is a link"):
        opened(path)


@pytest.mark.parametrize(
    "name", ["identity.json", "card.key", "card.pem", "authority.pem", "authority.key", "ports.json"]
)
@pytest.mark.parametrize("damage", [b"", b"garbage\xff", b"{}", b"[1]"])
def test_damaged_file_is_refused_by_its_name_and_left_alone(path: Path, name: str, damage: bytes) -> None:
    directory = opened(path)
    directory.begin_cluster(NOW_S)
    directory.keep_ports({"tls": "a:1"})
    directory.close()
    if name == "ports.json" and damage == b"{}":
        return
    (path / name).write_bytes(damage)
    with pytest.raises(AuthenticationError) as caught:
        opened(path)
    assert str(path / name) in str(caught.value)
    assert "join again as a new node" in str(caught.value)
    assert (path / name).read_bytes() == damage


def test_card_of_other_keys_is_refused(path: Path) -> None:
    directory = opened(path)
    directory.begin_cluster(NOW_S)
    directory.close()
    other = opened(path.parent / "other", "other")
    other.begin_cluster(NOW_S)
    other.close()
    (path / "card.pem").write_bytes((path.parent / "other" / "card.pem").read_bytes())
    with pytest.raises(AuthenticationError, match="the card is of other keys"):
        opened(path)


def test_card_is_renewed_at_half_of_its_time_and_not_before(path: Path) -> None:
    directory = opened(path)
    directory.begin_cluster(NOW_S)
    first = directory.card
    assert first is not None
    assert not directory.renew_card(NOW_S + 14.9 * DAY_S)
    assert directory.renew_card(NOW_S + 15.1 * DAY_S)
    assert directory.card is not None
    assert directory.card.not_after_s == NOW_S + 45.1 * DAY_S
    assert directory.authority is not None
    assert directory.authority.check(directory.card.certificate, NOW_S + 40 * DAY_S).node == first.node
    directory.close()


def test_node_of_one_cluster_does_not_become_one_of_another(path: Path) -> None:
    directory = opened(path)
    directory.begin_cluster(NOW_S)
    kept = directory.card
    other = issuer("another")
    with pytest.raises(RuntimeStateError, match="belongs to another cluster"):
        directory.keep_membership(other.authority, None, card_of(directory.identity, other))
    with pytest.raises(RuntimeStateError, match="belongs to a cluster already"):
        directory.begin_cluster(NOW_S)
    assert directory.card == kept
    directory.close()


class BreakingDisk(OsDisk):
    """A disk that fails at the n-th operation that changes it."""

    def __init__(self, breaks_at: int) -> None:
        self.left = breaks_at

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(28, "No space left on device")

    def create(self, path: str) -> NewFile:
        self._count()
        return super().create(path)

    def rename(self, path: str, new_path: str) -> None:
        self._count()
        super().rename(path, new_path)


@pytest.mark.parametrize("breaks_at", range(1, 11))
def test_start_that_a_full_disk_cuts_short_is_followed_by_one_that_succeeds(path: Path, breaks_at: int) -> None:
    def start() -> None:
        with closing(opened(path, disk=BreakingDisk(breaks_at))) as directory:
            directory.begin_cluster(NOW_S)

    with pytest.raises(OSError, match="No space left"):
        start()
    again = opened(path, "again")
    if again.authority is None:
        again.begin_cluster(NOW_S)
    assert again.card is not None
    assert again.authority is not None
    assert again.authority.check(again.card.certificate, NOW_S) == again.card
    assert again.issuer is not None
    again.close()


def test_default_directory_is_that_of_the_user_and_below_the_runtime_directory_of_tests() -> None:
    assert default_state_directory({"HOME": "/home/a"}) == "/home/a/.local/state/actorrt"
    assert default_state_directory({"HOME": "/home/a", "XDG_STATE_HOME": "/s"}) == "/s/actorrt"
    assert default_state_directory({"XDG_STATE_HOME": "/s", "ACTORRT_RUNTIME_DIR": "/tmp/x"}) == "/tmp/x/state"
