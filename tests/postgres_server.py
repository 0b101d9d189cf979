"""A PostgreSQL server of the tests' own, in a directory of its own, which is reached by a Unix socket only."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

START_TIMEOUT_S = 30.0
SETTINGS = (
    "listen_addresses=",
    "max_connections=30",
    "shared_buffers=4MB",
    "logging_collector=off",
    "autovacuum=off",  # it and the next start processes at any time, which tests would take for left behind
    "max_logical_replication_workers=0",
    "dynamic_shared_memory_type=mmap",  # in its own directory: other tests look for what is left in /dev/shm
)


def _find(program: str) -> str | None:
    """Return a program of the distribution's newest version, which is not on the search path on Debian."""
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: int(path.parts[-3]))
    return shutil.which(program) or (str(newest[-1]) if newest else None)


def why_missing() -> str | None:
    """Return why no server can be started here; None if one can."""
    if _find("initdb") is None or _find("postgres") is None:
        return "PostgreSQL is not installed; on Debian and Ubuntu: apt-get install postgresql"
    if os.geteuid() == 0 and not any(entry.pw_name == "postgres" for entry in pwd.getpwall()):
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


class PostgresServer:
    """One server; `start` after `kill` recovers what was committed.

    Attributes:
        directory: where its socket is.
        url: of its database.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._data = str(directory / "data")
        self._user = "postgres" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._log = directory / "log"
        self.url = f"postgresql://postgres@/postgres?host={directory}"
        if self._user is not None:
            shutil.chown(directory, self._user)
        made = ["initdb", "--pgdata", self._data, "--username", "postgres", "--auth", "trust", "--no-sync"]
        self._run(made)

    def _run(self, command: list[str]) -> None:
        path = _find(command[0])
        assert path is not None
        done = subprocess.run([path, *command[1:]], user=self._user, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def start(self, *settings: str) -> None:
        """Start it; return when it takes connections."""
        path = _find("postgres")
        assert path is not None
        options = [f"unix_socket_directories={self.directory}", *SETTINGS, *settings]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [path, "-D", self._data, *(part for option in options for part in ("-c", option))],
                user=self._user,
                cwd="/",
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        status = Path(self._data) / "postmaster.pid"
        while not (status.exists() and status.read_text().rstrip().endswith("ready")):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, "PostgreSQL did not start in time"
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it in order, without waiting for its clients. Idempotent."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End all its processes as a failing machine does. Idempotent."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if number == signal.SIGKILL:
            os.killpg(process.pid, signal.SIGKILL)
            (Path(self._data) / "postmaster.pid").unlink(missing_ok=True)
        else:
            process.send_signal(number)
        process.wait(START_TIMEOUT_S)


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a server; at the end, leave nothing of it behind."""
    directory = Path(tempfile.mkdtemp(prefix="art-pg-"))
    try:
        server = PostgresServer(directory)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory)


async def emptied(server: PostgresServer | None) -> str:
    """Return the URL of a server, with no control store in its database."""
    if server is None:
        pytest.skip(why_missing() or "")
    connection = await asyncpg.connect(server.url)
    await connection.execute("DROP SCHEMA IF EXISTS actorrt CASCADE")
    await connection.close()
    return server.url
