"""Runs a node as `python -m actorrt.node` does; its `BrokenInvariantError`s show the last changes of their subject."""

from __future__ import annotations

import sys

from actorrt.node.daemon.boot import main, parse
from tests import stories

if __name__ == "__main__":
    stories.install()
    sys.exit(main(parse(sys.argv[1:])))
