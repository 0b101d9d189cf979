"""Runs a node like `python -m actorrt.node`, whose `check_invariants` tells the story of what contradicts itself."""

from __future__ import annotations

import sys

from actorrt.node.daemon.boot import main, parse
from tests import stories

if __name__ == "__main__":
    stories.install()
    sys.exit(main(parse(sys.argv[1:])))
