"""Runs the daemon of an embedded node; a driver starts it as `python -m actorrt.node`."""

import sys

from actorrt.node.daemon.boot import main, parse

sys.exit(main(parse(sys.argv[1:])))
