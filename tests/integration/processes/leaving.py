"""A module that is a script, and leaves when it is imported."""

import sys

sys.exit("nothing to do")
