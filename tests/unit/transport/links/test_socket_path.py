"""The checks of a socket's path, with a fake socket."""

from __future__ import annotations

import errno

import pytest

from actorrt.transport.links import socket_path


class FakeSocket:
    """Connects, or raises `error`."""

    error: OSError | None = None

    def __init__(self, family: int) -> None:
        self.family = family

    def __enter__(self) -> FakeSocket:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def connect(self, path: str) -> None:
        assert path == "/x"
        if self.error is not None:
            raise self.error


def check_free(monkeypatch: pytest.MonkeyPatch, error: OSError | None) -> None:
    monkeypatch.setattr(FakeSocket, "error", error)
    monkeypatch.setattr(socket_path.socket, "socket", FakeSocket)
    socket_path.check_free("unix:///x", "/x")


@pytest.mark.parametrize("error", [FileNotFoundError(), ConnectionRefusedError()], ids=["no file", "stale file"])
def test_path_where_nobody_listens_is_free(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    check_free(monkeypatch, error)


def test_path_where_another_process_listens_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="can't bind to unix:///x: another process listens there") as caught:
        check_free(monkeypatch, None)
    assert caught.value.errno == errno.EADDRINUSE


def test_other_errors_are_raised_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PermissionError):
        check_free(monkeypatch, PermissionError())


def test_length_is_counted_in_bytes() -> None:
    socket_path.check_length("unix://x", "x" * 107)
    socket_path.check_length("unix://x", "ä" * 53)
    for path in ("x" * 108, "ä" * 54):
        with pytest.raises(ValueError, match="the path in 'unix://x' is longer than the 107 bytes"):
            socket_path.check_length("unix://x", path)
