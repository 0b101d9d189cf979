"""Runs the node daemon that a driver embeds."""

import sys

from actorrt.node.daemon.boot import main, parse

sys.exit(main(parse(sys.argv[1:])))
