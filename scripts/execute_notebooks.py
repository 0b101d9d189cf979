"""Executes notebooks in place, each in a kernel and a directory of its own, and removes the times of cells.

python scripts/execute_notebooks.py docs/notebooks/training.ipynb
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def execute(path: Path, to: Path) -> None:
    """Run every cell of the notebook at `path`; write the notebook with its outputs to `to`."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as directory:
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": directory}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times
    nbformat.write(notebook, to)


def main() -> None:
    """Execute the notebooks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--to", type=Path, help="write the one notebook to this file instead")
    arguments = parser.parse_args()
    for path in arguments.notebooks:
        execute(path, arguments.to or path)


if __name__ == "__main__":
    main()
