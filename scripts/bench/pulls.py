"""Print how fast objects come from another node of a cluster on this machine, by their size.

`scripts/bench/bare_tls.py` prints what TLS alone takes.

    python scripts/bench/pulls.py [--repeats 9]
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from actorrt.config import MIB

SIZES_KIB: Final = (128, 512, 1024, 1025, 2048, 4096, 65536)

MAKER: Final = """
import sys
import actorrt as art

class Maker(art.Actor):
    def make(self, size_bytes):
        return [art.put(bytes(size_bytes))]

art.init(address="auto")
maker = Maker.options(name="maker", cpus=1).spawn().result()
print("up", flush=True)
sys.stdin.read()
"""
READER: Final = """
import sys, time
import actorrt as art

art.init(address="auto")
maker = art.lookup("maker", timeout_s=5).result()
size_bytes, repeats = int(sys.argv[1]), int(sys.argv[2])
for _ in range(repeats):
    [ref] = maker.make(size_bytes).result(60)
    started = time.perf_counter()
    value = ref.get(timeout_s=60)
    print(time.perf_counter() - started)
    del value, ref
"""


@contextmanager
def node(path: Path, name: str, *options: str) -> Iterator[dict[str, str]]:
    """Run a node; yield the environment of processes that use it."""
    environment = {**os.environ, "ACTORRT_RUNTIME_DIR": str(path / name)}
    command = [sys.executable, "-m", "actorrt.cli", "node", "--cpus=2", f"--state-dir={path / name}-state", *options]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            while not list((path / name).glob("*/node.json")):
                assert process.poll() is None, "the node did not start"
                time.sleep(0.02)  # polling interval, since a node that has not started can't notify us
            yield environment
        finally:
            process.terminate()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    python = [sys.executable, "-c"]
    with tempfile.TemporaryDirectory(prefix="art-") as place:
        path = Path(place)
        with node(path, "a", "--listen=127.0.0.1") as first:
            token = subprocess.check_output([sys.executable, "-m", "actorrt.cli", "token"], env=first, text=True)
            found = re.search(r"\S+", token)
            assert found is not None
            with (
                node(path, "b", f"--join={found[0]}") as second,
                subprocess.Popen(
                    [*python, MAKER], env=second, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                ) as maker,
            ):
                assert maker.stdout is not None
                maker.stdout.readline()
                for kib in SIZES_KIB:
                    printed = subprocess.check_output([*python, READER, str(kib * 1024), str(repeats + 1)], env=first)
                    taken = [float(line) for line in printed.split()][1:]  # the first one opens connections
                    rate = kib * 1024 / statistics.median(taken) / MIB
                    worst_ms = max(taken) * 1e3
                    print(
                        f"{kib:6} KiB: {statistics.median(taken) * 1e3:8.2f} ms, {rate:6.0f} MiB/s; "
                        f"worst {worst_ms:.2f} ms"
                    )
                maker.terminate()


if __name__ == "__main__":
    main()
