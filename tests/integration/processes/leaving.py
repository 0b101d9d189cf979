"""A module that is a script and calls `sys.exit` when it is imported."""

import sys

sys.exit("nothing to do")
