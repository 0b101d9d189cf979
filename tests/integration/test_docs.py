"""The documentation is true: guides run and print the output that they show, and links and named tests exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import ROOT, Node, run_script

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
GUIDE_S = 90.0  # the guide on training trains several policies
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.timeout(GUIDE_S + 30)
@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_guide_runs_as_one_script_and_prints_the_output_that_it_shows(page: Path, node: Node, tmp_path: Path) -> None:
    script = run_script("\n\n".join(blocks(page, "python")), tmp_path, within_s=GUIDE_S)
    output: str = script.output  # type: ignore[attr-defined]
    assert (output, script.process.returncode) == ("".join(blocks(page, "text")), 0), script.stderr


RAY_PYTHON = os.environ.get("ACTORRT_RAY_PYTHON", sys.executable)
COMING_FROM_RAY = ROOT / "docs" / "guides" / "coming-from-ray.md"
RAY_S = 120.0


@pytest.mark.timeout(RAY_S + 30)
def test_the_ray_program_prints_what_its_port_prints(tmp_path: Path) -> None:
    """Skipped where Ray is not installed; `ACTORRT_RAY_PYTHON` names a Python that has it."""
    if subprocess.run([RAY_PYTHON, "-c", "import ray"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs Ray: set ACTORRT_RAY_PYTHON to a Python that has it")
    script = tmp_path / "script.py"
    script.write_text("".join(blocks(COMING_FROM_RAY, "py")))
    ended = subprocess.run(
        [RAY_PYTHON, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=RAY_S, check=False
    )
    printed = [line for line in ended.stdout.splitlines(keepends=True) if "(raylet)" not in line]
    assert ("".join(printed), ended.returncode) == ("".join(blocks(COMING_FROM_RAY, "text")), 0), ended.stderr


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_the_documentation_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_and_tests_named_in_the_documentation_exist(page: Path) -> None:
    named = re.findall(r"`((?:actorrt|tests|scripts|docs)/[\w/.-]+)(?:::(\w+))?`", page.read_text())
    missing = [f"{path}::{test}" for path, test in named if not is_there(ROOT / path, test)]
    assert missing == []


def is_there(path: Path, test: str) -> bool:
    return path.exists() and (not test or f"def {test}(" in path.read_text())


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
SOURCES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "actorrt").rglob("*.py"))}


def test_lives_name_modules_and_classes_of_today() -> None:
    lives = ARCHITECTURE[ARCHITECTURE.index("## The life of a message") :]
    modules = re.findall(r"`((?!tests/)(?:\w+/)*\w+\.py)`", lives)
    missing = [name for name in modules if not any(f"/{path}".endswith(f"/{name}") for path in SOURCES)]
    classes = re.findall(r"`([A-Z]+[a-z]\w*)(?:\.(\w+))?`", lives)
    assert len(modules) > 60
    assert len(classes) > 60
    assert missing + [f"{name}.{member}" for name, member in classes if not is_defined(name, member)] == []


def is_defined(name: str, member: str) -> bool:
    definition = re.compile(rf"^class {name}\b|^{name}\b.* = ", re.MULTILINE)
    modules = [text for text in SOURCES.values() if definition.search(text)]
    return any(not member or f"def {member}(" in text for text in modules)


MESSAGING = (ROOT / "docs" / "messaging.md").read_text()


def test_every_promise_of_messaging_names_a_test() -> None:
    rows = [row for row in MESSAGING.splitlines() if row.startswith("|") and not row.startswith("|---")]
    promises = [row for row in rows if not row.endswith(" test |")]
    assert len(promises) > 60
    assert [row for row in promises if not re.search(r"`tests/[\w/]+\.py::test_\w+` \|$", row)] == []


def test_every_test_of_the_event_table_has_its_row() -> None:
    named = set(re.findall(r"`tests/integration/test_event_table\.py::(\w+)`", MESSAGING))
    there = re.findall(r"^async def (test_\w+)", (ROOT / "tests/integration/test_event_table.py").read_text(), re.M)
    assert sorted(named) == sorted(there)
