"""Detects a notebook and the cell that is being executed, without importing IPython."""

from __future__ import annotations

import sys
from typing import Any


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return hasattr(_shell(), "kernel")


def cell() -> int | None:
    """Return the number of the notebook cell that is being executed; None outside IPython."""
    return getattr(_shell(), "execution_count", None)


def _shell() -> Any:
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
